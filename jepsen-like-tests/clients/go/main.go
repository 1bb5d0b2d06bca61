// Go's clientv3 with its packages concurrency, mirror, leasing and namespace, as their documentation
// uses them. Arguments: host, port. Prints `ok NAME what` or `FAIL NAME why`, one line a step.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/namespace"
)

const prefix = "clients/go/"

var endpoint = os.Args[1] + ":" + os.Args[2]

// A step gives what there is to compare.
type step struct {
	name string
	run  func(context.Context, *clientv3.Client) (string, error)
}

func main() {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second})
	if err != nil {
		fmt.Println("FAIL connect", err)
		os.Exit(1)
	}
	defer client.Close()
	failed := false
	for _, step := range []step{
		{"kv", kv}, {"txn", txn}, {"errors", refusals}, {"compaction", compaction}, {"get_stream", stream},
		{"watch", watch}, {"watch_progress", progress}, {"watch_compacted", watchCompacted},
		{"lease", lease}, {"lease_runs_out", runsOut}, {"mutex", mutex}, {"election", election},
		{"stm", stm}, {"mirror", mirrored}, {"leasing", leased}, {"namespace", namespaced},
		{"maintenance", maintenance}, {"auth", auth},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		said, err := step.run(ctx, client)
		cancel()
		if err != nil {
			failed = true
			fmt.Println("FAIL", step.name, strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Println("ok", step.name, said)
	}
	if failed {
		os.Exit(1)
	}
}

func kv(ctx context.Context, c *clientv3.Client) (string, error) {
	p := prefix + "kv/"
	if _, err := c.Put(ctx, p+"a", "1"); err != nil {
		return "", err
	}
	put, err := c.Put(ctx, p+"a", "2", clientv3.WithPrevKV())
	if err != nil {
		return "", err
	}
	for _, key := range []string{"b", "c"} {
		if _, err := c.Put(ctx, p+key, key); err != nil {
			return "", err
		}
	}
	list, err := c.Get(ctx, p, clientv3.WithPrefix(), clientv3.WithLimit(2), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend))
	if err != nil {
		return "", err
	}
	old, err := c.Get(ctx, p+"a", clientv3.WithRev(put.Header.Revision-1), clientv3.WithSerializable())
	if err != nil {
		return "", err
	}
	gone, err := c.Delete(ctx, p, clientv3.WithPrefix(), clientv3.WithPrevKV())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("prev=%s count=%d more=%v first=%s old=%s deleted=%d prev=%d",
		put.PrevKv.Value, list.Count, list.More, list.Kvs[0].Key, old.Kvs[0].Value, gone.Deleted, len(gone.PrevKvs)), nil
}

func txn(ctx context.Context, c *clientv3.Client) (string, error) {
	p := prefix + "txn"
	answer, err := c.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(p), "=", 0)).
		Then(clientv3.OpPut(p, "made"), clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpGet(p)}, nil)).
		Else(clientv3.OpGet(p)).Commit()
	if err != nil {
		return "", err
	}
	inner := answer.Responses[1].GetResponseTxn().Responses[0].GetResponseRange()
	again, err := c.Txn(ctx).If(clientv3.Compare(clientv3.Value(p), "!=", "made")).
		Then(clientv3.OpDelete(p)).Else(clientv3.OpGet(p), clientv3.OpDelete(p)).Commit()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%v inner=%s %v deleted=%d", answer.Succeeded, inner.Kvs[0].Value,
		again.Succeeded, again.Responses[1].GetResponseDeleteRange().Deleted), nil
}

// The errors that programs compare with those of rpctypes.
func refusals(ctx context.Context, c *clientv3.Client) (string, error) {
	p := prefix + "refused"
	cases := []struct {
		wanted error
		ask    func() error
	}{
		{rpctypes.ErrEmptyKey, func() error { _, err := c.Put(ctx, "", "x"); return err }},
		{rpctypes.ErrFutureRev, func() error { _, err := c.Get(ctx, p, clientv3.WithRev(1<<40)); return err }},
		{rpctypes.ErrLeaseNotFound, func() error { _, err := c.Put(ctx, p, "x", clientv3.WithLease(99)); return err }},
		{rpctypes.ErrLeaseNotFound, func() error { _, err := c.Revoke(ctx, 99); return err }},
		{rpctypes.ErrLeaseNotFound, func() error { _, err := c.KeepAliveOnce(ctx, 99); return err }},
		{rpctypes.ErrLeaseTTLTooLarge, func() error { _, err := c.Grant(ctx, 1<<40); return err }},
		{rpctypes.ErrDuplicateKey, func() error {
			_, err := c.Txn(ctx).Then(clientv3.OpPut(p, "1"), clientv3.OpPut(p, "2")).Commit()
			return err
		}},
		{rpctypes.ErrTooManyOps, func() error {
			ops := make([]clientv3.Op, 129)
			for at := range ops {
				ops[at] = clientv3.OpGet(p)
			}
			_, err := c.Txn(ctx).Then(ops...).Commit()
			return err
		}},
		{rpctypes.ErrKeyNotFound, func() error { _, err := c.Put(ctx, p+"-none", "", clientv3.WithIgnoreValue()); return err }},
		{rpctypes.ErrFutureRev, func() error { _, err := c.Compact(ctx, 1<<40); return err }},
		{rpctypes.ErrRequestTooLarge, func() error {
			_, err := c.Put(ctx, p, strings.Repeat("x", 1700*1024))
			return err
		}},
	}
	var said []string
	for at, one := range cases {
		err := one.ask()
		if !errors.Is(err, one.wanted) && (err == nil || err.Error() != one.wanted.Error()) {
			return "", fmt.Errorf("case %d: %v, not %v", at, err, one.wanted)
		}
		said = append(said, err.Error())
	}
	short, cancel := context.WithTimeout(ctx, time.Nanosecond)
	defer cancel()
	_, err := c.Get(short, p)
	if !errors.Is(err, context.DeadlineExceeded) {
		return "", fmt.Errorf("deadline: %v", err)
	}
	return strings.Join(said, "; "), nil
}

func compaction(ctx context.Context, c *clientv3.Client) (string, error) {
	p := prefix + "compacted"
	first, err := c.Put(ctx, p, "1")
	if err != nil {
		return "", err
	}
	second, err := c.Put(ctx, p, "2")
	if err != nil {
		return "", err
	}
	if _, err := c.Compact(ctx, second.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		return "", err
	}
	_, err = c.Get(ctx, p, clientv3.WithRev(first.Header.Revision))
	if !errors.Is(err, rpctypes.ErrCompacted) {
		return "", fmt.Errorf("%v", err)
	}
	_, again := c.Compact(ctx, first.Header.Revision)
	return fmt.Sprintf("%v; %v", err, again), nil
}

func stream(ctx context.Context, c *clientv3.Client) (string, error) {
	p := prefix + "stream/"
	for number := range 50 {
		if _, err := c.Put(ctx, fmt.Sprintf("%s%03d", p, number), strings.Repeat("x", 1000)); err != nil {
			return "", err
		}
	}
	answers, err := c.GetStream(ctx, p, clientv3.WithPrefix())
	if err != nil {
		return "", err
	}
	keys, count := 0, int64(0)
	for answer := range answers {
		if err := answer.Err(); err != nil {
			return "", err
		}
		keys += len(answer.RangeResponse.Kvs)
		count = max(count, answer.RangeResponse.Count)
	}
	return fmt.Sprintf("%d of %d", keys, count), nil
}

func next(ctx context.Context, events clientv3.WatchChan, wanted int) ([]string, error) {
	var seen []string
	for len(seen) < wanted {
		select {
		case answer, open := <-events:
			if !open || answer.Err() != nil {
				return seen, fmt.Errorf("the watch ended: %v", answer.Err())
			}
			for _, event := range answer.Events {
				prev := ""
				if event.PrevKv != nil {
					prev = string(event.PrevKv.Value)
				}
				seen = append(seen, fmt.Sprintf("%s %s=%s<%s", event.Type, event.Kv.Key, event.Kv.Value, prev))
			}
		case <-ctx.Done():
			return seen, ctx.Err()
		}
	}
	return seen, nil
}

func watch(ctx context.Context, c *clientv3.Client) (string, error) {
	p := prefix + "watch/"
	own, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	events := c.Watch(own, p, clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithCreatedNotify())
	if created := <-events; !created.Created {
		return "", errors.New("no notice of its creation")
	}
	first, err := c.Put(ctx, p+"a", "1")
	if err != nil {
		return "", err
	}
	_, _ = c.Put(ctx, p+"a", "2")
	_, _ = c.Txn(ctx).Then(clientv3.OpPut(p+"b", "1"), clientv3.OpDelete(p+"a")).Commit()
	seen, err := next(ctx, events, 4)
	if err != nil {
		return "", err
	}
	puts := c.Watch(own, p, clientv3.WithPrefix(), clientv3.WithRev(first.Header.Revision), clientv3.WithFilterDelete(), clientv3.WithFragment())
	past, err := next(ctx, puts, 3)
	cancel()
	for range events {
	}
	return fmt.Sprintf("%v past %v", seen, past), err
}

func progress(ctx context.Context, c *clientv3.Client) (string, error) {
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	events := c.Watch(own, prefix+"quiet", clientv3.WithCreatedNotify())
	<-events
	put, err := c.Put(ctx, prefix+"other", "1")
	if err != nil {
		return "", err
	}
	if err := c.RequestProgress(own); err != nil {
		return "", err
	}
	select {
	case answer := <-events:
		if !answer.IsProgressNotify() || answer.Header.Revision < put.Header.Revision {
			return "", fmt.Errorf("%+v", answer)
		}
		return "", nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func watchCompacted(ctx context.Context, c *clientv3.Client) (string, error) {
	p := prefix + "watch-compacted"
	first, err := c.Put(ctx, p, "1")
	if err != nil {
		return "", err
	}
	second, err := c.Put(ctx, p, "2")
	if err != nil {
		return "", err
	}
	if _, err := c.Compact(ctx, second.Header.Revision); err != nil {
		return "", err
	}
	answer := <-c.Watch(ctx, p, clientv3.WithRev(first.Header.Revision))
	if answer.CompactRevision != second.Header.Revision || !answer.Canceled {
		return "", fmt.Errorf("%+v", answer)
	}
	return answer.Err().Error(), nil
}

func lease(ctx context.Context, c *clientv3.Client) (string, error) {
	p := prefix + "lease/"
	granted, err := c.Grant(ctx, 30)
	if err != nil {
		return "", err
	}
	if _, err := c.Put(ctx, p+"a", "1", clientv3.WithLease(granted.ID)); err != nil {
		return "", err
	}
	own, cancel := context.WithCancel(ctx)
	kept, err := c.KeepAlive(own, granted.ID)
	if err != nil {
		cancel()
		return "", err
	}
	beat := <-kept
	cancel()
	told, err := c.TimeToLive(ctx, granted.ID, clientv3.WithAttachedKeys())
	if err != nil {
		return "", err
	}
	all, err := c.Leases(ctx)
	if err != nil {
		return "", err
	}
	listed := false
	for _, one := range all.Leases {
		listed = listed || one.ID == granted.ID
	}
	if _, err := c.Revoke(ctx, granted.ID); err != nil {
		return "", err
	}
	after, err := c.TimeToLive(ctx, granted.ID)
	if err != nil {
		return "", err
	}
	left, err := c.Get(ctx, p, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("ttl=%d granted=%d keys=%s listed=%v after=%d left=%d",
		beat.TTL, told.GrantedTTL, told.Keys, listed, after.TTL, left.Count), nil
}

func runsOut(ctx context.Context, c *clientv3.Client) (string, error) {
	p := prefix + "short"
	granted, err := c.Grant(ctx, 1)
	if err != nil {
		return "", err
	}
	events := c.Watch(ctx, p, clientv3.WithFilterPut())
	if _, err := c.Put(ctx, p, "1", clientv3.WithLease(granted.ID)); err != nil {
		return "", err
	}
	seen, err := next(ctx, events, 1)
	return fmt.Sprint(seen), err
}

func mutex(ctx context.Context, c *clientv3.Client) (string, error) {
	first, err := concurrency.NewSession(c, concurrency.WithTTL(20))
	if err != nil {
		return "", err
	}
	defer first.Close()
	second, err := concurrency.NewSession(c, concurrency.WithTTL(20))
	if err != nil {
		return "", err
	}
	one, two := concurrency.NewMutex(first, prefix+"mutex"), concurrency.NewMutex(second, prefix+"mutex")
	if err := one.Lock(ctx); err != nil {
		return "", err
	}
	taken := two.TryLock(ctx)
	owned, err := c.Txn(ctx).If(one.IsOwner()).Commit()
	if err != nil {
		return "", err
	}
	waiting := make(chan error, 1)
	go func() { waiting <- two.Lock(ctx) }()
	if err := one.Unlock(ctx); err != nil {
		return "", err
	}
	if err := <-waiting; err != nil {
		return "", err
	}
	// The end of a session frees what it holds.
	go func() { waiting <- one.Lock(ctx) }()
	if err := second.Close(); err != nil {
		return "", err
	}
	if err := <-waiting; err != nil {
		return "", err
	}
	return fmt.Sprintf("%v owner=%v %v %v", taken, owned.Succeeded, one.Unlock(ctx), one.Unlock(ctx)), nil
}

func election(ctx context.Context, c *clientv3.Client) (string, error) {
	sessions := [2]*concurrency.Session{}
	for at := range sessions {
		session, err := concurrency.NewSession(c, concurrency.WithTTL(20))
		if err != nil {
			return "", err
		}
		defer session.Close()
		sessions[at] = session
	}
	one := concurrency.NewElection(sessions[0], prefix+"election")
	two := concurrency.NewElection(sessions[1], prefix+"election")
	_, none := one.Leader(ctx)
	if err := one.Campaign(ctx, "one"); err != nil {
		return "", err
	}
	heard := two.Observe(ctx)
	words := []string{string((<-heard).Kvs[0].Value)}
	if err := one.Proclaim(ctx, "one again"); err != nil {
		return "", err
	}
	words = append(words, string((<-heard).Kvs[0].Value))
	won := make(chan error, 1)
	go func() { won <- two.Campaign(ctx, "two") }()
	if err := one.Resign(ctx); err != nil {
		return "", err
	}
	if err := <-won; err != nil {
		return "", err
	}
	words = append(words, string((<-heard).Kvs[0].Value))
	leader, err := one.Leader(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%v; %v; %s; %v", none, words, leader.Kvs[0].Value, one.Proclaim(ctx, "late")), nil
}

func stm(ctx context.Context, c *clientv3.Client) (string, error) {
	p := prefix + "stm/"
	for _, account := range []string{"a", "b"} {
		if _, err := c.Put(ctx, p+account, "100"); err != nil {
			return "", err
		}
	}
	move := func(s concurrency.STM) error {
		var from, to int
		fmt.Sscan(s.Get(p+"a"), &from)
		fmt.Sscan(s.Get(p+"b"), &to)
		s.Put(p+"a", fmt.Sprint(from-1))
		s.Put(p+"b", fmt.Sprint(to+1))
		return nil
	}
	var group sync.WaitGroup
	failures := make(chan error, 40)
	for _, isolation := range []concurrency.Isolation{
		concurrency.SerializableSnapshot, concurrency.Serializable, concurrency.SerializableSnapshot, concurrency.RepeatableReads,
	} {
		group.Go(func() {
			for range 5 {
				if _, err := concurrency.NewSTM(c, move, concurrency.WithIsolation(isolation), concurrency.WithAbortContext(ctx)); err != nil {
					failures <- err
				}
			}
		})
	}
	group.Wait()
	close(failures)
	for err := range failures {
		return "", err
	}
	list, err := c.Get(ctx, p, clientv3.WithPrefix())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %s", list.Kvs[0].Value, list.Kvs[1].Value), nil
}

func mirrored(ctx context.Context, c *clientv3.Client) (string, error) {
	p := prefix + "mirror/"
	for number := range 30 {
		if _, err := c.Put(ctx, fmt.Sprintf("%s%02d", p, number), "x"); err != nil {
			return "", err
		}
	}
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	syncer := mirror.NewSyncer(c, p, 0)
	base, failed := syncer.SyncBase(own)
	count := 0
	for answer := range base {
		count += len(answer.Kvs)
	}
	if err := <-failed; err != nil {
		return "", err
	}
	updates := syncer.SyncUpdates(own)
	_, _ = c.Put(ctx, p+"new", "1")
	_, _ = c.Delete(ctx, p+"00")
	seen, err := next(ctx, updates, 2)
	return fmt.Sprintf("%d then %v", count, seen), err
}

func leased(ctx context.Context, c *clientv3.Client) (string, error) {
	p := prefix + "leasing/"
	first, closeFirst, err := leasing.NewKV(c, p+"leases/")
	if err != nil {
		return "", err
	}
	defer closeFirst()
	second, closeSecond, err := leasing.NewKV(c, p+"leases/")
	if err != nil {
		return "", err
	}
	defer closeSecond()
	if _, err := first.Put(ctx, p+"k", "1"); err != nil {
		return "", err
	}
	read := func(kv clientv3.KV) string {
		answer, err := kv.Get(ctx, p+"k")
		if err != nil || len(answer.Kvs) == 0 {
			return fmt.Sprint("none ", err)
		}
		return string(answer.Kvs[0].Value)
	}
	said := []string{read(first), read(first)}
	// The other one's write takes the key back from the first.
	if _, err := second.Put(ctx, p+"k", "2"); err != nil {
		return "", err
	}
	said = append(said, read(first), read(second))
	answer, err := second.Txn(ctx).If(clientv3.Compare(clientv3.Value(p+"k"), "=", "2")).
		Then(clientv3.OpPut(p+"k", "3"), clientv3.OpGet(p+"k")).Commit()
	if err != nil {
		return "", err
	}
	if _, err := first.Delete(ctx, p+"k"); err != nil {
		return "", err
	}
	said = append(said, fmt.Sprint(answer.Succeeded), read(second))
	return fmt.Sprint(said), nil
}

func namespaced(ctx context.Context, c *clientv3.Client) (string, error) {
	own, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second})
	if err != nil {
		return "", err
	}
	defer own.Close()
	own.KV = namespace.NewKV(own.KV, prefix+"space/")
	own.Watcher = namespace.NewWatcher(own.Watcher, prefix+"space/")
	own.Lease = namespace.NewLease(own.Lease, prefix+"space/")
	events := own.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-events
	granted, err := own.Grant(ctx, 30)
	if err != nil {
		return "", err
	}
	if _, err := own.Put(ctx, "k", "1", clientv3.WithLease(granted.ID)); err != nil {
		return "", err
	}
	seen, err := next(ctx, events, 1)
	if err != nil {
		return "", err
	}
	told, err := own.TimeToLive(ctx, granted.ID, clientv3.WithAttachedKeys())
	if err != nil {
		return "", err
	}
	outside, err := c.Get(ctx, prefix+"space/k")
	if err != nil {
		return "", err
	}
	answer, err := own.Txn(ctx).If(clientv3.Compare(clientv3.Version("k"), "=", 1)).Then(clientv3.OpGet("", clientv3.WithFromKey())).Commit()
	if err != nil {
		return "", err
	}
	inside := answer.Responses[0].GetResponseRange().Kvs
	return fmt.Sprintf("%v %s %s %d %s", seen, told.Keys, outside.Kvs[0].Value, len(inside), inside[0].Key), nil
}

func maintenance(ctx context.Context, c *clientv3.Client) (string, error) {
	status, err := c.Status(ctx, endpoint)
	if err != nil {
		return "", err
	}
	members, err := c.MemberList(ctx)
	if err != nil {
		return "", err
	}
	if status.DbSize == 0 || status.Leader != members.Members[0].ID || status.RaftIndex == 0 {
		return "", fmt.Errorf("%+v", status)
	}
	if _, err := c.Defragment(ctx, endpoint); err != nil {
		return "", err
	}
	hash, err := c.HashKV(ctx, endpoint, 0)
	if err != nil || hash.Hash == 0 {
		return "", fmt.Errorf("hash: %v", err)
	}
	alarms, err := c.AlarmList(ctx)
	if err != nil {
		return "", err
	}
	file, err := c.SnapshotWithVersion(ctx)
	if err != nil {
		return "", err
	}
	defer file.Snapshot.Close()
	buffer, size := make([]byte, 64*1024), 0
	for {
		count, err := file.Snapshot.Read(buffer)
		size += count
		if err != nil {
			break
		}
	}
	if err := c.Sync(ctx); err != nil {
		return "", err
	}
	_, moved := c.MoveLeader(ctx, 12345)
	return fmt.Sprintf("%s %s alarms=%d rest=%d %s %v", status.Version, members.Members[0].Name,
		len(alarms.Alarms), size%512, file.Version, moved), nil
}

// Last: with authentication on, and off again.
func auth(ctx context.Context, c *clientv3.Client) (said string, failed error) {
	do := func(_ any, err error) {
		if failed == nil {
			failed = err
		}
	}
	p := prefix + "auth/"
	do(c.RoleAdd(ctx, "root"))
	do(c.UserAdd(ctx, "root", "secret"))
	do(c.UserGrantRole(ctx, "root", "root"))
	do(c.RoleAdd(ctx, "some"))
	do(c.RoleGrantPermission(ctx, "some", p, clientv3.GetPrefixRangeEnd(p), clientv3.PermissionType(clientv3.PermReadWrite)))
	do(c.UserAdd(ctx, "anna", "word"))
	do(c.UserGrantRole(ctx, "anna", "some"))
	do(c.AuthEnable(ctx))
	if failed != nil {
		return "", failed
	}
	as := func(name, password string) (*clientv3.Client, error) {
		return clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second, Username: name, Password: password})
	}
	root, err := as("root", "secret")
	if err != nil {
		return "", err
	}
	defer root.Close()
	_, wrong := as("anna", "not it")
	_, nobody := c.Get(ctx, p)
	anna, err := as("anna", "word")
	if err != nil {
		return "", err
	}
	defer anna.Close()
	do(anna.Put(ctx, p+"k", "1"))
	events := anna.Watch(ctx, p, clientv3.WithPrefix(), clientv3.WithRev(1), clientv3.WithFilterDelete())
	_ = events
	_, other := anna.Put(ctx, prefix+"other", "1")
	_, admin := anna.UserList(ctx)
	outside := <-anna.Watch(ctx, "zzz")
	users, err := root.UserList(ctx)
	do(nil, err)
	role, err := root.RoleGet(ctx, "some")
	do(nil, err)
	do(root.AuthDisable(ctx))
	for _, user := range []string{"anna", "root"} {
		do(c.UserDelete(ctx, user))
	}
	for _, name := range []string{"some", "root"} {
		do(c.RoleDelete(ctx, name))
	}
	if failed != nil {
		return "", failed
	}
	return fmt.Sprintf("%v; %v; %v; %v; %v; %v %d", wrong, nobody, other, admin, outside.Err(), users.Users, len(role.Perm)), nil
}

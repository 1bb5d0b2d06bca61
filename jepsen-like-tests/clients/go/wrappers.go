// What wraps a client: the packages mirror, leasing and namespace.
package main

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/namespace"
)

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

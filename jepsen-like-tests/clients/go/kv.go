// Keys: puts, ranges, transactions, streamed ranges, compaction, and what is refused.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

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

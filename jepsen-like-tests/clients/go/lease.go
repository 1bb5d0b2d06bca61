// Leases: kept, looked at, revoked, run out.
package main

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

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

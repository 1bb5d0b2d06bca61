// The package concurrency: sessions with mutexes and elections, and STM.
package main

import (
	"context"
	"fmt"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

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

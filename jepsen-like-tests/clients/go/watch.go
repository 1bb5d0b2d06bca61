// Watches: filters, fragments, the past, progress, and what was compacted.
package main

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

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

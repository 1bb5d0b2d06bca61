// The cluster and its upkeep: status, members, hashes, alarms, the snapshot.
package main

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

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

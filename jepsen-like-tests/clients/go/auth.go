// Users and roles, with authentication on, and off again.
package main

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// With authentication on, and off again.
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

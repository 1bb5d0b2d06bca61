// Go's clientv3 with its packages concurrency, mirror, leasing and namespace, as their documentation
// uses them. Arguments: host, port. Prints `ok NAME what` or `FAIL NAME why`, one line a step.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
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

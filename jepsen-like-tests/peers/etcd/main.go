// The etcd server of the published module, as the peer, oracle and opponent of the tests.
// Nothing of Engram is in here: the pinned module runs unchanged.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}

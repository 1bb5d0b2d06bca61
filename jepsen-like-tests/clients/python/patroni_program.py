"""Patroni's etcd3 module: its store of a cluster's state, and its client. Arguments: host, port."""

import json
import logging
import sys
import time

from patroni.dcs import get_dcs
from patroni.dcs import etcd3

from told import Told, equal

ENDPOINT = f"{sys.argv[1]}:{sys.argv[2]}"
logging.disable(logging.CRITICAL)
told = Told()


def store(name):
    """What a Patroni node of this name keeps its state in."""
    return get_dcs(
        {
            "scope": "demo",
            "name": name,
            "namespace": "/clients/",
            "ttl": 30,
            "loop_wait": 10,
            "retry_timeout": 10,
            "etcd3": {"host": ENDPOINT},
        }
    )


one, two = store("one"), store("two")
client = one._client


def error_of(work):
    """The class, code and text of the module's error that `work` must end with."""
    try:
        work()
    except etcd3.Etcd3ClientError as error:
        return f"{type(error).__name__} {error.as_dict()}"
    raise AssertionError("not refused")


def member_list():
    """The members' client URLs, and that the version is one it can parse."""
    urls = client._get_members(f"http://{ENDPOINT}", **client._prepare_get_members(1))
    equal(urls, [f"http://{ENDPOINT}"])
    assert client._cluster_version >= (3, 4)
    return client.version_prefix


def members():
    """Two nodes write themselves down, and see each other."""
    for node, name in ((one, "one"), (two, "two")):
        equal(node.touch_member({"conn_url": f"postgres://{name}", "state": "running"}), True)
    until = time.monotonic() + 10
    while len((cluster := one.get_cluster()).members) < 2 and time.monotonic() < until:
        one.watch(None, 0.1)
    return sorted((it.name, it.data["state"], it.session == one._lease) for it in cluster.members)


def initialize():
    """Only one node makes the cluster."""
    return f"{bool(one.initialize(True, '123'))} {bool(two.initialize(True, '124'))}"


def leader_seen_by(node):
    """The leader, once a node's copy of the state has it."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        seen = node.get_cluster().leader
        if seen is not None and seen.name:
            return seen
        node.watch(None, 0.1)
    raise AssertionError("no leader")


def leader():
    """The lock of the leader: taken by one, refused to the other, kept, and given back."""
    got = [bool(node.attempt_to_acquire_leader()) for node in (one, two)]
    seen = leader_seen_by(two)
    kept = one.update_leader(one.get_cluster(), 42)
    given = one.delete_leader(leader_seen_by(one))
    taken = bool(two.attempt_to_acquire_leader())
    return f"{got} {seen.name} {kept} {given} {taken} {leader_seen_by(two).name}"


def watched():
    """A node that waits is woken by another's write."""
    version = leader_seen_by(two).version
    one.set_config_value(json.dumps({"ttl": 30}))
    one.set_history_value("[]")
    until = time.monotonic() + 20
    while time.monotonic() < until and one.get_cluster().config is None:
        one.watch(version, 0.2)
    cluster = one.get_cluster()
    return f"{cluster.config.data} {cluster.history.lines} {cluster.initialize}"


def sync_state():
    """Writes that compare the revision: a stale one is refused."""
    revision = one.set_sync_state_value('{"leader":"one"}')
    stale = one.set_sync_state_value('{"leader":"two"}', version=str(int(revision) - 1))
    fresh = one.set_sync_state_value('{"leader":"two"}', version=str(revision))
    return f"{stale} {int(fresh) > int(revision)} {bool(one.delete_sync_state())}"


def leases():
    """A lease that is gone is told of by the error that the module looks for."""
    lease = client.lease_grant(30)
    kept = client.lease_keepalive(lease)
    client.call_rpc("/lease/revoke", {"ID": lease})
    after = client.lease_keepalive(lease)
    return f"{kept} {after} {error_of(lambda: client.put('/clients/x', '1', lease))}"


def prefix_and_delete():
    """Ranges by prefix, with etcd's field names, and their end."""
    for key in ("a", "b"):
        client.put("/clients/p/" + key, key)
    answer = client.prefix("/clients/p/", serializable=False)
    fields = sorted(answer["kvs"][0])
    gone = client.deleteprefix("/clients/p/")
    empty = client.prefix("/clients/p/", serializable=False)
    return f"{answer['count']} {fields} {gone['deleted']} {sorted(empty)} {sorted(empty['header'])}"


def watch_stream():
    """Lines of JSON, from a revision of the past."""
    revision = client.put("/clients/w", "1")["header"]["revision"]
    client.put("/clients/w", "2")
    answer = client.watchprefix("/clients/w", revision, read_timeout=10)
    seen = []
    for line in iter(answer.readline, b""):
        result = json.loads(line)["result"]
        seen.extend(event["kv"]["value"] for event in result.get("events", []))
        if len(seen) >= 2:
            break
    answer.close()
    return seen


def refusals():
    """Errors by code."""
    return " | ".join(
        [
            error_of(lambda: client.call_rpc("/kv/put", {"key": ""})),
            error_of(lambda: client.call_rpc("/kv/compaction", {"revision": "99999999"})),
            error_of(lambda: client.call_rpc("/kv/range", {"key": "eA==", "revision": "99999999"})),
            error_of(lambda: client.call_rpc("/auth/authenticate", {"name": "a", "password": "b"})),
            error_of(lambda: client.call_rpc("/auth/user/get", {"name": "nobody"})),
        ]
    )


def the_end():
    """Nothing of the cluster is left."""
    gone = bool(one.delete_cluster())
    return f"{gone} {'kvs' in client.prefix('/clients/demo/', serializable=False)}"


for step in (
    member_list, initialize, members, leader, watched, sync_state, leases, prefix_and_delete,
    watch_stream, refusals, the_end,
):
    told.step(step.__name__, step)
told.end()

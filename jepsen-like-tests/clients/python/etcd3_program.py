"""python-etcd3: the usage of its documentation. Arguments: host, port."""

import sys
import threading

import etcd3
import grpc

from told import PREFIX, Told, equal, refused

HOST, PORT = sys.argv[1], int(sys.argv[2])
P = PREFIX + "etcd3/"
client = etcd3.client(host=HOST, port=PORT, timeout=10)
told = Told()


def rpc_error(work):
    """The code and the text of an error that the library passes on as gRPC's."""
    try:
        work()
    except grpc.RpcError as error:
        return f"{error.code().name}: {error.details()}"
    raise AssertionError("not refused")


def put_and_get():
    client.put(P + "a", "one")
    value, meta = client.get(P + "a")
    equal((value, meta.key.decode(), meta.version), (b"one", P + "a", 1))
    client.put(P + "a", "two")
    value, meta = client.get(P + "a")
    equal((value, meta.version), (b"two", 2))
    assert meta.mod_revision > meta.create_revision
    return equal(client.get(P + "none"), (None, None))


def prev_kv():
    response = client.put(P + "prev", "2")
    equal(response.HasField("prev_kv"), False)
    response = client.put(P + "prev", "3", prev_kv=True)
    return equal(response.prev_kv.value, b"2")


def prefixes():
    for name in ("x", "y", "z"):
        client.put(f"{P}list/{name}", name)
    listed = [(value, meta.key.decode()) for value, meta in client.get_prefix(P + "list/")]
    down = [value for value, _ in client.get_prefix(P + "list/", sort_order="descend")]
    keys = [meta.key for _, meta in client.get_prefix(P + "list/", keys_only=True)]
    some = [value for value, _ in client.get_range(P + "list/x", P + "list/z")]
    response = client.get_prefix_response(P + "list/")
    equal(response.count, 3)
    gone = client.delete_prefix(P + "list/").deleted
    return f"{listed} {down} {len(keys)} {some} {gone} {client.delete(P + 'list/x')}"


def replace_and_put_if_absent():
    client.put(P + "r", "old")
    first = client.replace(P + "r", "old", "new")
    second = client.replace(P + "r", "old", "other")
    absent = client.put_if_not_exists(P + "r", "x")
    client.delete(P + "r")
    return f"{first} {second} {absent} {client.put_if_not_exists(P + 'r', 'x')}"


def transaction():
    client.put(P + "t", "v")
    tx = client.transactions
    good, answers = client.transaction(
        compare=[tx.value(P + "t") == "v", tx.version(P + "t") > 0, tx.create(P + "no") == 0],
        success=[tx.put(P + "t", "w"), tx.get(P + "t"), tx.delete(P + "t-none")],
        failure=[tx.put(P + "t", "bad")],
    )
    equal(good, True)
    bad, other = client.transaction(
        compare=[tx.value(P + "t") == "v"], success=[], failure=[tx.get(P + "t")]
    )
    nested, inner = client.transaction(
        compare=[],
        success=[tx.txn(compare=[tx.mod(P + "t") > 0], success=[tx.get(P + "t")], failure=[])],
        failure=[],
    )
    nested_answer = inner[0].response_txn.responses[0].response_range.kvs[0].value
    return f"{answers[1][0][0]} {len(answers)} {bad} {other[0][0][0]} {nested} {nested_answer}"


def twice_in_one():
    tx = client.transactions
    return rpc_error(
        lambda: client.transaction(
            compare=[], success=[tx.put(P + "dup", "1"), tx.put(P + "dup", "2")], failure=[]
        )
    )


def watch():
    events, cancel = client.watch(P + "watched")
    client.put(P + "watched", "1")
    client.put(P + "watched", "2")
    client.delete(P + "watched")
    seen = [(type(event).__name__, event.value) for _, event in zip(range(3), events)]
    cancel()
    return f"{seen} {next(events, 'ended')}"


def watch_from_the_past():
    revision = client.put(P + "past/a", "1").header.revision
    client.put(P + "past/b", "2")
    events, cancel = client.watch_prefix(P + "past/", start_revision=revision)
    seen = [(event.key, event.value) for _, event in zip(range(2), events)]
    cancel()
    return seen


def watch_callback():
    seen, full = [], threading.Event()

    def heard(response):
        seen.extend(event.value for event in response.events)
        if len(seen) >= 2:
            full.set()

    watch_id = client.add_watch_prefix_callback(P + "called/", heard)
    client.put(P + "called/a", "1")
    client.put(P + "called/b", "2")
    equal(full.wait(20), True)
    client.cancel_watch(watch_id)
    return seen


def watch_of_compacted():
    revision = client.put(P + "compacted", "1").header.revision
    client.put(P + "compacted", "2")
    client.compact(client.put(P + "compacted", "3").header.revision)
    events, cancel = client.watch(P + "compacted", start_revision=revision)
    try:
        next(events)
    except etcd3.exceptions.RevisionCompactedError as error:
        assert error.compacted_revision > revision
        return type(error).__name__
    finally:
        cancel()
    raise AssertionError("events of a compacted revision")


def compacted():
    revision = client.put(P + "c", "1").header.revision
    return rpc_error(lambda: client.compact(revision - 1) or client.compact(1))


def leases():
    lease = client.lease(60)
    client.put(P + "leased", "1", lease=lease)
    answers = lease.refresh()
    info = client.get_lease_info(lease.id)
    seen = (answers[0].ID, lease.granted_ttl, list(lease.keys))
    equal(seen, (lease.id, 60, [(P + "leased").encode()]))
    assert 0 < lease.remaining_ttl <= 60 and info.grantedTTL == 60
    lease.revoke()
    equal(client.get(P + "leased"), (None, None))
    return f"{client.refresh_lease(lease.id).__next__().TTL} {client.get_lease_info(lease.id).TTL}"


def lease_runs_out():
    lease = client.lease(1)
    client.put(P + "short", "1", lease=lease)
    events, cancel = client.watch(P + "short")
    event = next(events)
    cancel()
    return type(event).__name__


def unknown_lease():
    return rpc_error(lambda: client.put(P + "l", "1", lease=424242)) + " | " + rpc_error(
        lambda: client.revoke_lease(424242)
    )


def lease_twice():
    client.lease(60, lease_id=777)
    try:
        return refused(lambda: client.lease(60, lease_id=777))
    finally:
        client.revoke_lease(777)


def locks():
    first = client.lock("python", ttl=20)
    second = etcd3.client(host=HOST, port=PORT).lock("python", ttl=20)
    held = first.acquire()
    equal(second.acquire(timeout=1), False)
    was = first.is_acquired()
    released = first.release()
    taken = second.acquire(timeout=10)
    with client.lock("python-with", ttl=20) as lock:
        within = lock.is_acquired()
    return f"{held} {was} {released} {taken} {within} {second.release()}"


def cluster():
    members = list(client.members)
    equal(len(members), 1)
    status = client.status()
    assert status.db_size > 0 and status.raft_term > 0 and status.raft_index > 0
    equal(status.leader.id, members[0].id)
    client.defragment()
    assert client.hash() != 0
    return f"{members[0].name} {status.version.split('.')[:2]} {members[0].active_alarms.__name__}"


def alarms():
    client.create_alarm()
    raised = [alarm.alarm_type for alarm in client.list_alarms()]
    refusal = rpc_error(lambda: client.put(P + "full", "1"))
    gone = [alarm.alarm_type for alarm in client.disarm_alarm()]
    client.put(P + "full", "1")
    return f"{raised} {refusal} {gone} {list(client.list_alarms())}"


def snapshot():
    with open(sys.argv[3], "wb") as file:
        client.snapshot(file)
        return equal(file.tell() % 512, 32)


def nobody_listens():
    other = etcd3.client(host="127.0.0.1", port=1, timeout=2)
    return refused(lambda: other.get("a"))


def empty_key():
    return rpc_error(lambda: client.put("", "1"))


for name in (
    "put_and_get prev_kv prefixes replace_and_put_if_absent transaction twice_in_one watch "
    "watch_from_the_past watch_callback watch_of_compacted compacted leases lease_runs_out "
    "unknown_lease lease_twice locks cluster alarms snapshot nobody_listens empty_key"
).split():
    told.step(name, globals()[name])
told.end()

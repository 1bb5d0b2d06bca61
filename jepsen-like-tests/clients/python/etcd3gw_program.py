"""etcd3gw: the usage of its documentation, through the JSON gateway. Arguments: host, port."""

import sys

import etcd3gw
from etcd3gw.utils import _encode

from told import PREFIX, Told, equal

HOST, PORT = sys.argv[1], int(sys.argv[2])
P = PREFIX + "etcd3gw/"
client = etcd3gw.client(host=HOST, port=PORT, timeout=10)
told = Told()


def answer_of(work):
    """The class of an error, and the server's answer in it."""
    try:
        work()
    except Exception as error:
        return f"{type(error).__name__} {getattr(error, 'detail_text', '')} {error}"
    raise AssertionError("not refused")


def put_and_get():
    equal(client.put(P + "a", "one"), True)
    (value, meta), = client.get(P + "a", metadata=True)
    return f"{value} {sorted(meta)} {meta['version']} {client.get(P + 'none')}"


def binary():
    client.put(P + "bytes", b"\x00\xff\n")
    client.put(P + "empty", "")
    return f"{client.get(P + 'bytes')} {client.get(P + 'empty')}"


def prefixes():
    for name in ("x", "y", "z"):
        client.put(f"{P}list/{name}", name)
    listed = [(value, meta["key"]) for value, meta in client.get_prefix(P + "list/")]
    order = {"sort_order": "descend", "sort_target": "key"}
    down = [value for value, _ in client.get_prefix(P + "list/", **order)]
    everything = len([1 for _, meta in client.get_all() if meta["key"].startswith(P.encode())])
    one = client.delete(P + "list/x")
    gone = [client.delete_prefix(P + "list/"), client.delete(P)]
    return f"{listed} {down} {everything} {one} {gone}"


def create_and_replace():
    said = [client.create(P + "c", "1"), client.create(P + "c", "2")]
    said += [client.replace(P + "c", "1", "3"), client.replace(P + "c", "1", "4")]
    return f"{said} {client.get(P + 'c')}"


def transaction():
    key = _encode(P + "t")
    answer = client.transaction(
        {
            "compare": [{"key": key, "result": "EQUAL", "target": "VERSION", "version": 0}],
            "success": [
                {"request_put": {"key": key, "value": _encode("v")}},
                {"request_range": {"key": key}},
            ],
            "failure": [],
        }
    )
    kinds = [sorted(one) for one in answer["responses"]]
    value = answer["responses"][1]["response_range"]["kvs"][0]["value"]
    return f"{answer['succeeded']} {kinds} {value}"


def leases():
    lease = client.lease(ttl=60)
    client.put(P + "leased", "1", lease=lease)
    said = f"{0 < lease.ttl() <= 60} {lease.refresh()} {lease.keys()} {lease.revoke()}"
    return f"{said} {client.get(P + 'leased')} {lease.ttl()}"


def locks():
    first, second = client.lock(id="python-gw", ttl=20), client.lock(id="python-gw", ttl=20)
    said = [first.acquire(), second.acquire(), first.is_acquired(), first.refresh() > 0]
    said += [first.release(), second.acquire(), first.release(), second.release()]
    with client.lock(id="python-gw-with", ttl=20) as lock:
        said.append(lock.is_acquired())
    return said


def watch():
    client.put(P + "other", "0")
    events, cancel = client.watch_prefix(P + "watched/")
    client.put(P + "watched/a", "1")
    client.put(P + "watched/a", "2")
    client.delete(P + "watched/a")
    seen = [event for _, event in zip(range(3), events)]
    cancel()
    return [(event.get("type"), event["kv"].get("value"), sorted(event["kv"])) for event in seen]


def watch_times_out():
    return answer_of(lambda: client.watch_once(P + "never", timeout=1))


def cluster():
    status = client.status()
    members = client.members()
    assert int(status["dbSize"]) > 0 and status["leader"] == members[0]["ID"]
    return f"{status['version']} {sorted(status)} {sorted(members[0])} {client.api_path}"


def refusals():
    return " | ".join(
        [
            answer_of(lambda: client.put("", "1")),
            answer_of(lambda: client.post(client.get_url("/kv/put"), data="{no json")),
            answer_of(lambda: client.post(client.get_url("/kv/put"), json={"none": 1})),
            answer_of(lambda: client.post(client.get_url("/kv/none"), json={})),
            answer_of(lambda: client.post(client.get_url("/lease/revoke"), json={"ID": 99})),
        ]
    )


for step in (
    put_and_get, binary, prefixes, create_and_replace, transaction, leases, locks, watch,
    watch_times_out, cluster, refusals,
):
    told.step(step.__name__, step)
told.end()

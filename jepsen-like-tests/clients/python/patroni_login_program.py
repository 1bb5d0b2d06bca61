"""Patroni's etcd3 module with a user and a password: its login, and how it logs in again. Arguments: host, port."""

import json
import logging
import sys
import time

from patroni.dcs import get_dcs
from patroni.dcs import etcd3
from patroni.dcs.etcd import DnsCachingResolver

from told import Told, equal

ENDPOINT = f"{sys.argv[1]}:{sys.argv[2]}"
logging.disable(logging.CRITICAL)
told = Told()


def store(name, **login):
    """What a Patroni node of this name keeps its state in."""
    return get_dcs(
        {
            "scope": "login",
            "name": name,
            "namespace": "/clients/",
            "ttl": 30,
            "loop_wait": 10,
            "retry_timeout": 10,
            "etcd3": {"host": ENDPOINT, **login},
        }
    )


def client_of(**login):
    """The module's client alone: without the thread of a store, which would log in again as well."""
    config = {"host": sys.argv[1], "port": int(sys.argv[2]), "retry_timeout": 10, **login}
    return etcd3.Etcd3Client(config, DnsCachingResolver())


def error_of(work):
    """The class, code and text of the module's error that `work` must end with."""
    try:
        work()
    except etcd3.Etcd3ClientError as error:
        return f"{type(error).__name__} {error.as_dict()}"
    raise AssertionError("not refused")


# Made before authentication is on: the one has no login, the other a login that is not wanted yet.
plain = client_of()
early = store("early", username="patroni", password="word")
stores, clients = {}, {}


def admin(method, **fields):
    """A call as root."""
    return clients["root"].call_rpc("/auth/" + method, fields)


def invalidate():
    """Ends the tokens of the user: its password is changed, to the same one."""
    return bool(admin("user/changepw", name="patroni", password="word"))


def not_enabled():
    """A login on a server that wants none is no error: the module goes on without a token."""
    return f"{early._client._token} {bool(early.touch_member({'state': 'early'}))}"


def enable():
    """A role for the keys below the namespace, its user, root, and authentication on."""
    call = plain.call_rpc
    for role in ("root", "patroni"):
        call("/auth/role/add", {"name": role})
    permission = {
        "permType": "READWRITE",
        "key": etcd3.base64_encode("/clients/"),
        "range_end": etcd3.base64_encode(etcd3.prefix_range_end("/clients/")),
    }
    call("/auth/role/grant", {"name": "patroni", "perm": permission})
    for user, password in (("root", "secret"), ("patroni", "word")):
        call("/auth/user/add", {"name": user, "password": password})
        call("/auth/user/grant", {"user": user, "role": user})
    return sorted(call("/auth/enable", {}))


def login():
    """Each client has a token of its own."""
    clients["root"] = client_of(username="root", password="secret")
    clients["patroni"] = client_of(username="patroni", password="word")
    for name in ("one", "two"):
        stores[name] = store(name, username="patroni", password="word")
    tokens = {it._token for it in clients.values()} | {it._client._token for it in stores.values()}
    assert None not in tokens
    return len(tokens)


def exit_of(**login):
    """How a node ends that cannot log in."""
    try:
        store("wrong", **login)
    except SystemExit as ended:
        return ended.code
    raise AssertionError("logged in")


def login_refused():
    """A wrong password and an unknown user end the node at its start."""
    wrong = exit_of(username="patroni", password="not it")
    unknown = exit_of(username="nobody", password="word")
    asked = {"name": "patroni", "password": "not it"}
    words = error_of(lambda: plain.call_rpc("/auth/authenticate", asked))
    return f"{wrong} {unknown} {words}"


def no_login():
    """A node without a login is told what is missing."""
    return error_of(lambda: plain.put("/clients/x", "1"))


def late_login():
    """A node that was there before authentication was on logs in with its next request."""
    done = bool(early.touch_member({"state": "late"}))
    return f"{done} {early._client._token is not None}"


def seen_by(node, wanted):
    """The cluster, once a node's copy of the state is as wanted."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        cluster = node.get_cluster()
        if wanted(cluster):
            return cluster
        node.watch(None, 0.1)
    raise AssertionError("not seen")


def leader():
    """What two nodes do in their loops, each with its login."""
    one, two = stores["one"], stores["two"]
    for node in (one, two):
        equal(node.touch_member({"state": "running"}), True)
    got = [bool(one.initialize(True, "123"))]
    got += [bool(node.attempt_to_acquire_leader()) for node in (one, two)]
    cluster = seen_by(two, lambda it: it.leader and it.leader.name and len(it.members) == 3)
    got.append(bool(one.update_leader(one.get_cluster(), 42)))
    return f"{got} {cluster.leader.name} {sorted(it.name for it in cluster.members)}"


def token_renewed():
    """A token that became invalid is told of; the client, and a node, log in again by themselves."""
    client, node = clients["patroni"], stores["one"]
    before = client._token
    invalidate()
    # As a call sees it that does not log in again.
    words = error_of(lambda: client.call_rpc("/kv/range", etcd3.build_range_request("/clients/x")))
    assert words.startswith("InvalidAuthToken"), words
    put = sorted(client.put("/clients/x", "1"))
    equal(client._token != before, True)
    return f"{words} {put} {bool(node.update_leader(node.get_cluster(), 43))}"


def each_request_renews():
    """Every request that the module guards logs in again: reads, writes, leases and the members."""
    client = clients["patroni"]
    lease = client.lease_grant(30)
    seen = []
    for name, work in (
        ("range", lambda: client.range("/clients/x")["count"]),
        ("put", lambda: bool(client.put("/clients/x", "1"))),
        ("delete", lambda: client.deleterange("/clients/x")["deleted"]),
        ("keepalive", lambda: client.lease_keepalive(lease)),
        ("grant", lambda: bool(client.lease_grant(30))),
        ("members", lambda: len(client._get_machines_list(client.machines_cache))),
    ):
        client._token = "nonsense.1"
        seen.append(f"{name} {work()}")
        equal(client._token != "nonsense.1", True)
    return seen


def watch_renewed():
    """The watch that fills a node's copy is made again after its token became invalid."""
    one, two = stores["one"], stores["two"]
    invalidate()
    two._client._kv_cache.kill_stream()
    one.set_config_value('{"ttl": 31}')
    return seen_by(two, lambda it: it.config and it.config.data == {"ttl": 31}).config.data


def watch_of_a_bad_token():
    """What the stream says of it: canceled, with the reason."""
    client = clients["patroni"]
    client._token = "nonsense.2"
    answer = client.watchprefix("/clients/", read_timeout=10)
    result = json.loads(answer.readline())["result"]
    answer.close()
    result.pop("header")
    return f"{answer.status} {result}"


def outside():
    """What the role does not hold is denied, after one more login."""
    client = clients["patroni"]
    put = error_of(lambda: client.put("/other", "1"))
    users = error_of(lambda: client.call_rpc("/auth/user/list", {}))
    return f"{put} {users}"


def role_revoked():
    """A permission that is taken away holds at once, and is back as soon as it is granted again."""
    client = clients["patroni"]
    admin("user/revoke", name="patroni", role="patroni")
    words = error_of(lambda: client.put("/clients/y", "1"))
    admin("user/grant", user="patroni", role="patroni")
    return f"{words} {sorted(client.put('/clients/y', '1'))}"


def password_changed():
    """Its old password does not log it in again; a node with the new one goes on."""
    admin("user/changepw", name="patroni", password="other word")
    words = error_of(lambda: clients["patroni"].put("/clients/x", "1"))
    again = store("one", username="patroni", password="other word")
    return f"{words} {bool(again.touch_member({'state': 'again'}))}"


def disable():
    """Without authentication a login is not needed, and not an error."""
    admin("disable")
    for user in ("patroni", "root"):
        plain.call_rpc("/auth/user/delete", {"name": user})
        plain.call_rpc("/auth/role/delete", {"role": user})
    done = bool(stores["two"].touch_member({"state": "free"}))
    return f"{done} {'users' in plain.call_rpc('/auth/user/list', {})}"


for step in (
    not_enabled, enable, login, login_refused, no_login, late_login, leader, token_renewed,
    each_request_renews, watch_renewed, watch_of_a_bad_token, outside, role_revoked,
    password_changed, disable,
):
    told.step(step.__name__, step)
told.end()

// Users and roles, logins, a token that became invalid, and authentication off again.
package clients;

import static clients.Told.PREFIX;
import static clients.Told.bytes;
import static clients.Told.get;
import static clients.Told.next;
import static clients.Told.refused;
import static clients.Told.text;

import io.etcd.jetcd.Auth;
import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.auth.Permission;
import io.etcd.jetcd.options.WatchOption;
import io.etcd.jetcd.watch.WatchEvent;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

final class Users {
    private static final ByteSequence ROOT = bytes("root");
    private static final ByteSequence ANNA = bytes("anna");
    private static final ByteSequence SOME = bytes("some");
    private static final ByteSequence WORD = bytes("word");
    private static final ByteSequence OWN = bytes(PREFIX + "auth/");
    private static final ByteSequence OWN_END = bytes(PREFIX + "auth0");
    private static final ByteSequence KEY = bytes(PREFIX + "auth/k");
    private final Client client;
    private final Auth auth;
    private final String endpoint;

    Users(Client client, String endpoint) {
        this.client = client;
        this.auth = client.getAuthClient();
        this.endpoint = endpoint;
    }

    void tell(Told told) {
        told.step("users", this::users);
        told.step("auth_refusals", this::refusals);
        told.step("auth_enable", () -> get(auth.authEnable()).getClass().getSimpleName());
        told.step("login", this::login);
        told.step("login_refused", this::loginRefused);
        told.step("permission_denied", this::permissionDenied);
        told.step("watch_permission_denied", this::watchDenied);
        told.step("token_renewed", this::renewed);
        told.step("auth_disable", this::disable);
    }

    private Client as(ByteSequence user, ByteSequence password) {
        return Client.builder().endpoints(endpoint).user(user).password(password).build();
    }

    private Object users() throws Exception {
        for (ByteSequence role : new ByteSequence[] {ROOT, SOME}) {
            get(auth.roleAdd(role));
        }
        get(auth.userAdd(ROOT, bytes("secret")));
        get(auth.userGrantRole(ROOT, ROOT));
        get(auth.userAdd(ANNA, WORD));
        get(auth.userGrantRole(ANNA, SOME));
        get(auth.roleGrantPermission(SOME, OWN, OWN_END, Permission.Type.READWRITE));
        Permission seen = get(auth.roleGet(SOME)).getPermissions().get(0);
        return get(auth.userList()).getUsers() + " " + get(auth.roleList()).getRoles() + " "
                + get(auth.userGet(ANNA)).getRoles() + " " + seen.getPermType() + " "
                + text(seen.getKey()) + " " + text(seen.getRangeEnd());
    }

    private Object refusals() throws Exception {
        ByteSequence nobody = bytes("nobody");
        return String.join(" | ",
                refused(auth.userAdd(ANNA, WORD)),
                refused(auth.roleAdd(SOME)),
                refused(auth.userGet(nobody)),
                refused(auth.roleGet(nobody)),
                refused(auth.userGrantRole(ANNA, nobody)),
                refused(auth.userRevokeRole(ANNA, ROOT)),
                refused(auth.roleRevokePermission(SOME, bytes("z"), bytes("zz"))));
    }

    private Object login() throws Exception {
        BlockingQueue<WatchEvent> events = new LinkedBlockingQueue<>();
        try (Client anna = as(ANNA, WORD)) {
            long revision = get(anna.getKVClient().put(KEY, bytes("1"))).getHeader().getRevision();
            WatchOption option = WatchOption.builder().withRevision(revision).build();
            anna.getWatchClient().watch(KEY, option, answer -> events.addAll(answer.getEvents()));
            String seen = text(next(events).getKeyValue().getValue());
            return seen + " " + get(anna.getKVClient().get(KEY)).getCount();
        }
    }

    private Object loginRefused() throws Exception {
        try (Client wrong = as(ANNA, bytes("not it")); Client nobody = as(bytes("nobody"), WORD)) {
            return refused(wrong.getKVClient().get(KEY)) + " | "
                    + refused(nobody.getKVClient().get(KEY)) + " | "
                    + refused(client.getKVClient().get(KEY));
        }
    }

    private Object permissionDenied() throws Exception {
        try (Client anna = as(ANNA, WORD)) {
            return refused(anna.getKVClient().put(bytes(PREFIX + "other"), WORD)) + " | "
                    + refused(anna.getAuthClient().userList()) + " | "
                    + refused(anna.getMaintenanceClient().moveLeader(1));
        }
    }

    private Object watchDenied() throws Exception {
        BlockingQueue<Throwable> errors = new LinkedBlockingQueue<>();
        try (Client anna = as(ANNA, WORD)) {
            anna.getWatchClient().watch(bytes("zzz"), answer -> { }, errors::add);
            return Told.words(next(errors));
        }
    }

    /** The change of a password ends the user's tokens: the library logs in again by itself. */
    private Object renewed() throws Exception {
        try (Client anna = as(ANNA, WORD); Client root = as(ROOT, bytes("secret"))) {
            get(anna.getKVClient().put(KEY, bytes("before")));
            get(root.getAuthClient().userChangePassword(ANNA, WORD));
            get(anna.getKVClient().put(KEY, bytes("after")));
            get(root.getAuthClient().userChangePassword(ANNA, bytes("other word")));
            String error = refused(anna.getKVClient().put(KEY, bytes("refused")));
            return text(get(root.getKVClient().get(KEY)).getKvs().get(0).getValue()) + " | " + error;
        }
    }

    private Object disable() throws Exception {
        try (Client root = as(ROOT, bytes("secret"))) {
            get(root.getAuthClient().authDisable());
        }
        for (ByteSequence user : new ByteSequence[] {ANNA, ROOT}) {
            get(auth.userDelete(user));
        }
        for (ByteSequence role : new ByteSequence[] {SOME, ROOT}) {
            get(auth.roleDelete(role));
        }
        return get(auth.userList()).getUsers() + " " + get(client.getKVClient().get(KEY)).getCount();
    }
}

// The server's locks: one holder, the next one after it, and the end of a lease.
package clients;

import static clients.Told.PREFIX;
import static clients.Told.bytes;
import static clients.Told.get;
import static clients.Told.refused;
import static clients.Told.text;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.KV;
import io.etcd.jetcd.Lease;
import io.etcd.jetcd.Lock;
import io.etcd.jetcd.lock.LockResponse;
import io.etcd.jetcd.options.GetOption;
import java.util.concurrent.CompletableFuture;

final class Locks {
    private static final ByteSequence NAME = bytes(PREFIX + "lock");
    private final KV kv;
    private final Lease lease;
    private final Lock lock;

    Locks(Client client) {
        this.kv = client.getKVClient();
        this.lease = client.getLeaseClient();
        this.lock = client.getLockClient();
    }

    void tell(Told told) {
        told.step("lock", this::handedOn);
        told.step("lock_of_a_lease_that_ends", this::freed);
        told.step("lock_unknown_lease", () -> refused(lock.lock(NAME, 99)));
    }

    /** Until as many wait as are wanted: each of them has its key below the name. */
    private void waitFor(int count) throws Exception {
        GetOption below = GetOption.builder().isPrefix(true).withCountOnly(true).build();
        long deadline = System.nanoTime() + 20_000_000_000L;
        while (get(kv.get(NAME, below)).getCount() < count) {
            Told.holds(System.nanoTime() < deadline, "the second one does not wait");
        }
    }

    private Object handedOn() throws Exception {
        long one = get(lease.grant(20)).getID();
        long two = get(lease.grant(20)).getID();
        ByteSequence key = get(lock.lock(NAME, one)).getKey();
        Told.equal(text(key), text(NAME) + "/" + Long.toHexString(one));
        Told.equal(get(lock.lock(NAME, one)).getKey(), key);
        CompletableFuture<LockResponse> waiting = lock.lock(NAME, two);
        waitFor(2);
        boolean early = waiting.isDone();
        get(lock.unlock(key));
        ByteSequence second = get(waiting).getKey();
        get(lock.unlock(second));
        get(lock.unlock(second));
        long left = get(kv.get(second)).getCount();
        get(lease.revoke(one));
        get(lease.revoke(two));
        return early + " " + left;
    }

    private Object freed() throws Exception {
        long one = get(lease.grant(20)).getID();
        long two = get(lease.grant(20)).getID();
        long three = get(lease.grant(20)).getID();
        get(lock.lock(NAME, one));
        CompletableFuture<LockResponse> next = lock.lock(NAME, two);
        waitFor(2);
        CompletableFuture<LockResponse> gone = lock.lock(NAME, three);
        waitFor(3);
        // The lease of one that waits ends: it is told so when its turn would have come.
        get(lease.revoke(three));
        get(lease.revoke(one));
        String key = text(get(next).getKey());
        get(lease.revoke(two));
        return key.startsWith(text(NAME)) + " " + refused(gone);
    }
}

// Leases: granted, looked at, kept by an observer, revoked, run out.
package clients;

import static clients.Told.PREFIX;
import static clients.Told.bytes;
import static clients.Told.get;
import static clients.Told.next;
import static clients.Told.refused;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.KV;
import io.etcd.jetcd.Lease;
import io.etcd.jetcd.Watch;
import io.etcd.jetcd.lease.LeaseKeepAliveResponse;
import io.etcd.jetcd.lease.LeaseTimeToLiveResponse;
import io.etcd.jetcd.options.LeaseOption;
import io.etcd.jetcd.options.PutOption;
import io.etcd.jetcd.support.CloseableClient;
import io.etcd.jetcd.watch.WatchEvent;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

final class Leases {
    private final KV kv;
    private final Lease lease;
    private final Watch watch;

    Leases(Client client) {
        this.kv = client.getKVClient();
        this.lease = client.getLeaseClient();
        this.watch = client.getWatchClient();
    }

    void tell(Told told) {
        told.step("lease", this::granted);
        told.step("lease_kept", this::kept);
        told.step("lease_kept_after_its_end", this::keptAfterItsEnd);
        told.step("lease_runs_out", this::runsOut);
        told.step("lease_unknown", this::unknown);
    }

    /** What an observer of keep-alives was told, in order. */
    private static final class Beats implements StreamObserver<LeaseKeepAliveResponse> {
        final BlockingQueue<String> heard = new LinkedBlockingQueue<>();

        @Override
        public void onNext(LeaseKeepAliveResponse answer) {
            heard.add("ttl " + answer.getTTL());
        }

        @Override
        public void onError(Throwable error) {
            heard.add(Told.words(error));
        }

        @Override
        public void onCompleted() {
            heard.add("completed");
        }
    }

    private long put(String name, long ttl) throws Exception {
        long id = get(lease.grant(ttl)).getID();
        PutOption option = PutOption.builder().withLeaseId(id).build();
        get(kv.put(bytes(PREFIX + name), bytes("1"), option));
        return id;
    }

    private Object granted() throws Exception {
        long id = put("leased", 30);
        long kept = get(lease.keepAliveOnce(id)).getTTL();
        LeaseTimeToLiveResponse seen = get(lease.timeToLive(id,
                LeaseOption.builder().withAttachedKeys().build()));
        Told.equal(seen.getID(), id);
        get(lease.revoke(id));
        long left = get(kv.get(bytes(PREFIX + "leased"))).getCount();
        return kept + " " + seen.getGrantedTTL() + " " + seen.getKeys().stream().map(Told::text).toList()
                + " " + left + " " + get(lease.timeToLive(id, LeaseOption.DEFAULT)).getTTL();
    }

    /** Longer than it would live by itself: a beat comes after each third of its time. */
    private Object kept() throws Exception {
        Beats beats = new Beats();
        long id = put("kept", 4);
        String all;
        try (CloseableClient keeper = lease.keepAlive(id, beats)) {
            all = String.join(", ", next(beats.heard, 4));
        }
        long left = get(kv.get(bytes(PREFIX + "kept"))).getCount();
        get(lease.revoke(id));
        return all + " " + left;
    }

    private Object keptAfterItsEnd() throws Exception {
        Beats beats = new Beats();
        long id = put("ends", 3);
        try (CloseableClient keeper = lease.keepAlive(id, beats)) {
            String first = next(beats.heard);
            get(lease.revoke(id));
            return first + ", " + next(beats.heard) + " | " + refused(lease.keepAliveOnce(id));
        }
    }

    private Object runsOut() throws Exception {
        BlockingQueue<WatchEvent> events = new LinkedBlockingQueue<>();
        ByteSequence key = bytes(PREFIX + "short");
        try (var watcher = watch.watch(key, answer -> events.addAll(answer.getEvents()))) {
            put("short", 1);
            return next(events, 2).stream().map(WatchEvent::getEventType).toList();
        }
    }

    private Object unknown() throws Exception {
        return refused(lease.revoke(99)) + " | " + refused(lease.keepAliveOnce(99)) + " | "
                + get(lease.timeToLive(99, LeaseOption.DEFAULT)).getTTL() + " | "
                + refused(lease.grant(1L << 40));
    }
}

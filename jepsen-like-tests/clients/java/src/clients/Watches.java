// Watches: prefixes, filters, the past, progress, what was compacted, and a connection that is cut.
package clients;

import static clients.Told.PREFIX;
import static clients.Told.bytes;
import static clients.Told.get;
import static clients.Told.next;
import static clients.Told.text;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.KV;
import io.etcd.jetcd.Watch;
import io.etcd.jetcd.common.exception.CompactedException;
import io.etcd.jetcd.op.Op;
import io.etcd.jetcd.options.DeleteOption;
import io.etcd.jetcd.options.PutOption;
import io.etcd.jetcd.options.WatchOption;
import io.etcd.jetcd.watch.WatchEvent;
import io.etcd.jetcd.watch.WatchResponse;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

final class Watches {
    private final Client client;
    private final KV kv;
    private final String host;
    private final int port;

    Watches(Client client, String host, int port) {
        this.client = client;
        this.kv = client.getKVClient();
        this.host = host;
        this.port = port;
    }

    void tell(Told told) {
        told.step("watch", this::watch);
        told.step("watch_of_the_past", this::past);
        told.step("watch_progress", this::progress);
        told.step("watch_compacted", this::compacted);
        told.step("watch_ended", this::ended);
        told.step("watch_resumed", this::resumed);
        told.step("watch_resumed_too_late", this::resumedTooLate);
    }

    /** What a listener was told. */
    private static final class Heard {
        final BlockingQueue<String> events = new LinkedBlockingQueue<>();
        final BlockingQueue<WatchResponse> others = new LinkedBlockingQueue<>();
        final BlockingQueue<Throwable> errors = new LinkedBlockingQueue<>();
        final BlockingQueue<String> ends = new LinkedBlockingQueue<>();

        Watch.Listener listener() {
            return Watch.listener(this::next, errors::add, () -> ends.add("ended"));
        }

        private void next(WatchResponse answer) {
            if (answer.getEvents().isEmpty()) {
                others.add(answer);
            }
            for (WatchEvent event : answer.getEvents()) {
                ByteSequence before = event.getPrevKV().getValue();
                events.add(event.getEventType() + " " + text(event.getKeyValue().getKey()) + "="
                        + text(event.getKeyValue().getValue()) + "<" + text(before));
            }
        }
    }

    private long put(String name, String value) throws Exception {
        return get(kv.put(bytes(PREFIX + name), bytes(value))).getHeader().getRevision();
    }

    private Object watch() throws Exception {
        Heard heard = new Heard();
        WatchOption option = WatchOption.builder().isPrefix(true).withPrevKV(true)
                .withCreateNotify(true).withRequireLeader(true).build();
        try (var watcher = client.getWatchClient()
                .watch(bytes(PREFIX + "watch/"), option, heard.listener())) {
            Told.holds(next(heard.others).isCreatedNotify(), "a notice of its creation");
            put("watch/a", "1");
            put("watch/a", "2");
            ByteSequence a = bytes(PREFIX + "watch/a");
            get(kv.txn().Then(Op.put(bytes(PREFIX + "watch/b"), bytes("1"), PutOption.DEFAULT),
                    Op.delete(a, DeleteOption.DEFAULT)).commit());
            return next(heard.events, 4);
        }
    }

    private Object past() throws Exception {
        Heard heard = new Heard();
        long first = put("past", "1");
        get(kv.delete(bytes(PREFIX + "past")));
        put("past", "2");
        WatchOption option = WatchOption.builder().withRevision(first).withNoDelete(true).build();
        try (var watcher = client.getWatchClient()
                .watch(bytes(PREFIX + "past"), option, heard.listener())) {
            return next(heard.events, 2);
        }
    }

    private Object progress() throws Exception {
        Heard heard = new Heard();
        WatchOption option = WatchOption.builder().withCreateNotify(true).build();
        try (var watcher = client.getWatchClient()
                .watch(bytes(PREFIX + "quiet"), option, heard.listener())) {
            next(heard.others);
            long revision = put("other", "1");
            watcher.requestProgress();
            WatchResponse told = next(heard.others);
            Told.holds(told.getHeader().getRevision() >= revision, "an older revision");
            return told.isProgressNotify();
        }
    }

    private Object compacted() throws Exception {
        Heard heard = new Heard();
        long first = put("watch-compacted", "1");
        long second = put("watch-compacted", "2");
        get(kv.compact(second));
        WatchOption option = WatchOption.builder().withRevision(first).build();
        try (var watcher = client.getWatchClient()
                .watch(bytes(PREFIX + "watch-compacted"), option, heard.listener())) {
            CompactedException error = (CompactedException) next(heard.errors);
            Told.equal(error.getCompactedRevision(), second);
            return Told.words(error) + " " + next(heard.ends);
        }
    }

    private Object ended() throws Exception {
        Heard heard = new Heard();
        Watch own = client.getWatchClient();
        Watch.Watcher watcher = own.watch(bytes(PREFIX + "ended"), heard.listener());
        watcher.close();
        put("ended", "1");
        return next(heard.ends) + " " + watcher.isClosed() + " " + heard.events;
    }

    /** The library takes a watch up again, from where it was, without loss and without repeating. */
    private Object resumed() throws Exception {
        Heard heard = new Heard();
        try (Cut way = new Cut(host, port);
                Client far = Client.builder().endpoints(way.endpoint()).build()) {
            WatchOption option = WatchOption.builder().isPrefix(true).withCreateNotify(true).build();
            far.getWatchClient().watch(bytes(PREFIX + "resumed/"), option, heard.listener());
            next(heard.others);
            put("resumed/a", "before");
            next(heard.events);
            way.cut();
            String error = Told.words(next(heard.errors)).split(":")[0];
            put("resumed/a", "while");
            put("resumed/b", "while");
            way.mend();
            next(heard.others);
            put("resumed/a", "after");
            return error + " " + next(heard.events, 3) + " " + heard.events;
        }
    }

    /** What it would go on from was compacted while the connection was cut. */
    private Object resumedTooLate() throws Exception {
        Heard heard = new Heard();
        try (Cut way = new Cut(host, port);
                Client far = Client.builder().endpoints(way.endpoint()).build()) {
            WatchOption option = WatchOption.builder().withCreateNotify(true).build();
            far.getWatchClient().watch(bytes(PREFIX + "late"), option, heard.listener());
            next(heard.others);
            put("late", "seen");
            next(heard.events);
            way.cut();
            next(heard.errors);
            put("late", "lost");
            get(kv.compact(put("late", "last")));
            way.mend();
            Throwable error = next(heard.errors);
            while (!(error instanceof CompactedException)) {
                error = next(heard.errors);
            }
            return Told.words(error) + " " + next(heard.ends) + " " + heard.events;
        }
    }
}

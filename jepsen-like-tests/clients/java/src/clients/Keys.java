// Keys: puts, ranges, deletes, transactions, a namespace, compaction, and what is refused.
package clients;

import static clients.Told.PREFIX;
import static clients.Told.bytes;
import static clients.Told.get;
import static clients.Told.refused;
import static clients.Told.text;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.KV;
import io.etcd.jetcd.KeyValue;
import io.etcd.jetcd.kv.DeleteResponse;
import io.etcd.jetcd.kv.GetResponse;
import io.etcd.jetcd.kv.PutResponse;
import io.etcd.jetcd.kv.TxnResponse;
import io.etcd.jetcd.op.Cmp;
import io.etcd.jetcd.op.CmpTarget;
import io.etcd.jetcd.op.Op;
import io.etcd.jetcd.options.CompactOption;
import io.etcd.jetcd.options.DeleteOption;
import io.etcd.jetcd.options.GetOption;
import io.etcd.jetcd.options.PutOption;
import java.util.Collections;

final class Keys {
    private static final ByteSequence VALUE = bytes("x");
    private final KV kv;
    private final String endpoint;

    Keys(Client client, String endpoint) {
        this.kv = client.getKVClient();
        this.endpoint = endpoint;
    }

    void tell(Told told) {
        told.step("put_and_get", this::putAndGet);
        told.step("ranges", this::ranges);
        told.step("transaction", this::transaction);
        told.step("namespace", this::namespace);
        told.step("compaction", this::compaction);
        told.step("refusals", this::refusals);
    }

    private Object putAndGet() throws Exception {
        ByteSequence key = bytes(PREFIX + "a");
        get(kv.put(key, bytes("one")));
        PutResponse put = get(kv.put(key, bytes("two"), PutOption.builder().withPrevKV().build()));
        KeyValue now = get(kv.get(key)).getKvs().get(0);
        GetOption past = GetOption.builder()
                .withRevision(put.getHeader().getRevision() - 1).withSerializable(true).build();
        KeyValue old = get(kv.get(key, past)).getKvs().get(0);
        Told.equal(now.getModRevision(), put.getHeader().getRevision());
        Told.equal(now.getCreateRevision(), now.getModRevision() - 1);
        return text(put.getPrevKv().getValue()) + " " + text(now.getValue()) + " " + now.getVersion()
                + " " + text(old.getValue()) + " " + get(kv.get(bytes(PREFIX + "none"))).getCount();
    }

    private Object ranges() throws Exception {
        ByteSequence all = bytes(PREFIX + "list/");
        for (String name : new String[] {"x", "y", "z"}) {
            get(kv.put(bytes(PREFIX + "list/" + name), bytes(name)));
        }
        GetResponse two = get(kv.get(all, GetOption.builder().isPrefix(true).withLimit(2)
                .withSortField(GetOption.SortTarget.KEY)
                .withSortOrder(GetOption.SortOrder.DESCEND).build()));
        GetResponse keys = get(kv.get(all,
                GetOption.builder().isPrefix(true).withKeysOnly(true).build()));
        GetResponse count = get(kv.get(all,
                GetOption.builder().isPrefix(true).withCountOnly(true).build()));
        GetResponse young = get(kv.get(all, GetOption.builder().isPrefix(true)
                .withMinModRevision(keys.getKvs().get(1).getModRevision()).build()));
        DeleteResponse gone = get(kv.delete(all,
                DeleteOption.builder().isPrefix(true).withPrevKV(true).build()));
        return text(two.getKvs().get(0).getKey()) + " " + two.isMore() + " " + two.getCount() + " "
                + keys.getKvs().get(0).getValue().size() + " " + count.getKvs().size() + " "
                + count.getCount() + " " + young.getKvs().size() + " " + gone.getDeleted() + " "
                + text(gone.getPrevKvs().get(2).getValue());
    }

    private TxnResponse makeOnce(ByteSequence key) throws Exception {
        Cmp absent = new Cmp(key, Cmp.Op.EQUAL, CmpTarget.createRevision(0));
        Op[] read = {Op.get(key, GetOption.DEFAULT)};
        return get(kv.txn().If(absent)
                .Then(Op.put(key, bytes("made"), PutOption.DEFAULT), Op.txn(new Cmp[0], read, read))
                .Else(Op.get(key, GetOption.DEFAULT), Op.delete(key, DeleteOption.DEFAULT)).commit());
    }

    private Object transaction() throws Exception {
        ByteSequence key = bytes(PREFIX + "txn");
        TxnResponse first = makeOnce(key);
        GetResponse inner = first.getTxnResponses().get(0).getGetResponses().get(0);
        TxnResponse second = makeOnce(key);
        Cmp[] others = {
            new Cmp(key, Cmp.Op.LESS, CmpTarget.version(1)),
            new Cmp(key, Cmp.Op.EQUAL, CmpTarget.modRevision(0)),
        };
        boolean gone = get(kv.txn().If(others).commit()).isSucceeded();
        return first.isSucceeded() + " " + text(inner.getKvs().get(0).getValue()) + " "
                + second.isSucceeded() + " "
                + text(second.getGetResponses().get(0).getKvs().get(0).getValue()) + " "
                + second.getDeleteResponses().get(0).getDeleted() + " " + gone;
    }

    private Object namespace() throws Exception {
        try (Client space = Client.builder().endpoints(endpoint)
                .namespace(bytes(PREFIX + "space/")).build()) {
            get(space.getKVClient().put(bytes("k"), bytes("1")));
            GetResponse inside = get(space.getKVClient().get(bytes(""),
                    GetOption.builder().isPrefix(true).build()));
            String outside = text(get(kv.get(bytes(PREFIX + "space/k"))).getKvs().get(0).getValue());
            return inside.getCount() + " " + text(inside.getKvs().get(0).getKey()) + " " + outside;
        }
    }

    private Object compaction() throws Exception {
        ByteSequence key = bytes(PREFIX + "compacted");
        long first = get(kv.put(key, VALUE)).getHeader().getRevision();
        long second = get(kv.put(key, VALUE)).getHeader().getRevision();
        get(kv.compact(second, CompactOption.builder().withCompactPhysical(true).build()));
        GetOption past = GetOption.builder().withRevision(first).build();
        return refused(kv.get(key, past)) + " | " + refused(kv.compact(first)) + " | "
                + refused(kv.compact(second + 1_000_000));
    }

    private Object refusals() throws Exception {
        ByteSequence key = bytes(PREFIX + "refused");
        Op put = Op.put(key, VALUE, PutOption.DEFAULT);
        GetOption future = GetOption.builder().withRevision(1L << 40).build();
        return String.join(" | ",
                refused(kv.put(bytes(""), VALUE)),
                refused(kv.get(key, future)),
                refused(kv.put(key, VALUE, PutOption.builder().withLeaseId(99).build())),
                refused(kv.txn().Then(put, put).commit()),
                refused(kv.txn().Then(Collections.nCopies(129, put).toArray(new Op[0])).commit()),
                refused(kv.put(key, bytes("x".repeat(1_700 * 1024)))));
    }
}

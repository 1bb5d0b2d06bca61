// The server's elections: campaigns, an observer, and the two errors about leaders.
package clients;

import static clients.Told.PREFIX;
import static clients.Told.bytes;
import static clients.Told.get;
import static clients.Told.next;
import static clients.Told.refused;
import static clients.Told.text;

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.Election;
import io.etcd.jetcd.Lease;
import io.etcd.jetcd.election.CampaignResponse;
import io.etcd.jetcd.election.LeaderKey;
import io.etcd.jetcd.election.LeaderResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;

final class Elections {
    private static final ByteSequence NAME = bytes(PREFIX + "election");
    private final Lease lease;
    private final Election election;

    Elections(Client client) {
        this.lease = client.getLeaseClient();
        this.election = client.getElectionClient();
    }

    void tell(Told told) {
        told.step("election", this::handedOn);
        told.step("election_refusals", this::refusals);
    }

    private static final class Observer implements Election.Listener {
        final BlockingQueue<String> heard = new LinkedBlockingQueue<>();

        @Override
        public void onNext(LeaderResponse answer) {
            heard.add(text(answer.getKv().getValue()));
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

    private Object handedOn() throws Exception {
        List<String> seen = new ArrayList<>();
        long one = get(lease.grant(20)).getID();
        long two = get(lease.grant(20)).getID();
        LeaderKey leader = get(election.campaign(NAME, one, bytes("one"))).getLeader();
        Told.equal(text(leader.getKey()), text(NAME) + "/" + Long.toHexString(one));
        Told.equal(leader.getLease(), one);
        Observer observer = new Observer();
        election.observe(NAME, observer);
        seen.add(next(observer.heard));
        get(election.proclaim(leader, bytes("one again")));
        seen.add(next(observer.heard));
        CompletableFuture<CampaignResponse> won = election.campaign(NAME, two, bytes("two"));
        get(election.resign(leader));
        LeaderKey second = get(won).getLeader();
        seen.add(next(observer.heard));
        seen.add(text(get(election.leader(NAME)).getKv().getValue()));
        seen.add(refused(election.proclaim(leader, bytes("late"))));
        get(election.resign(second));
        get(lease.revoke(one));
        get(lease.revoke(two));
        return seen;
    }

    private Object refusals() throws Exception {
        ByteSequence nobody = bytes(PREFIX + "nobody");
        LeaderKey never = new LeaderKey(nobody, bytes(PREFIX + "nobody/1"), 1, 1);
        return refused(election.leader(nobody)) + " | "
                + refused(election.campaign(nobody, 99, bytes("x"))) + " | "
                + refused(election.proclaim(never, bytes("x"))) + " | "
                + get(election.resign(never)).getClass().getSimpleName();
    }
}

// The cluster and its upkeep: members, status, hashes, alarms, the snapshot.
package clients;

import static clients.Told.PREFIX;
import static clients.Told.bytes;
import static clients.Told.get;
import static clients.Told.refused;

import io.etcd.jetcd.Client;
import io.etcd.jetcd.Cluster;
import io.etcd.jetcd.Maintenance;
import io.etcd.jetcd.cluster.Member;
import io.etcd.jetcd.maintenance.StatusResponse;
import java.io.ByteArrayOutputStream;
import java.net.URI;
import java.util.List;

final class Members {
    private final Client client;
    private final Cluster cluster;
    private final Maintenance maintenance;
    private final String endpoint;

    Members(Client client, String endpoint) {
        this.client = client;
        this.cluster = client.getClusterClient();
        this.maintenance = client.getMaintenanceClient();
        this.endpoint = endpoint;
    }

    void tell(Told told) {
        told.step("status", this::status);
        told.step("upkeep", this::upkeep);
        told.step("learner", this::learner);
    }

    private Object status() throws Exception {
        StatusResponse status = get(maintenance.statusMember(endpoint));
        Member only = get(cluster.listMember()).getMembers().get(0);
        Told.equal(status.getLeader(), only.getId());
        Told.equal(only.getClientURIs(), List.of(new URI(endpoint)));
        Told.holds(status.getRaftIndex() > 0 && status.getRaftTerm() > 0, "the log's position");
        Told.holds(status.getDbSize() >= status.getDbSizeInUse() && status.getDbSizeInUse() > 0, "sizes");
        return status.getVersion() + " " + only.getName() + " " + only.isLearner() + " "
                + status.isLearner() + " " + status.getErrorList();
    }

    private Object upkeep() throws Exception {
        get(client.getKVClient().put(bytes(PREFIX + "hashed"), bytes("1")));
        get(maintenance.defragmentMember(endpoint));
        int hash = get(maintenance.hashKV(endpoint, 0)).getHash();
        Told.equal(get(maintenance.hashKV(endpoint, 0)).getHash(), hash);
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        long size = get(maintenance.snapshot(file));
        Told.equal(size, (long) file.size());
        return size % 512 + " " + get(maintenance.listAlarms()).getAlarms().size() + " "
                + refused(maintenance.moveLeader(12345));
    }

    private Object learner() throws Exception {
        List<URI> peers = List.of(new URI("http://127.0.0.1:1"));
        Member first = get(cluster.listMember()).getMembers().get(0);
        Member added = get(cluster.addMember(peers, true)).getMember();
        int count = get(cluster.listMember()).getMembers().size();
        String early = refused(cluster.promoteMember(added.getId()));
        String taken = refused(cluster.addMember(first.getPeerURIs(), true));
        int left = get(cluster.removeMember(added.getId())).getMembers().size();
        return added.isLearner() + " " + count + " " + early + " | " + taken + " | " + left + " | "
                + refused(cluster.removeMember(added.getId())) + " | "
                + refused(cluster.updateMember(12345, peers));
    }
}

//! Maintenance.Snapshot: a database of etcd's kind in pieces, with its checksum.

use bbolt::etcd::{contents, each_change};
use bbolt::{BboltError, Database, check_trailer};
use proto::etcdserverpb as pb;

use crate::support::{Node, cluster, eventually, one};

/// The whole file as a client puts it together, and the pieces' sizes.
async fn saved(node: &Node) -> (Vec<u8>, Vec<usize>) {
    let mut stream =
        node.maintenance().snapshot(pb::SnapshotRequest {}).await.expect("begun").into_inner();
    let (mut file, mut pieces, mut remaining) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(piece) = stream.message().await.expect("sent") {
        assert_eq!(piece.version, "3.7.0");
        file.extend_from_slice(&piece.blob);
        pieces.push(piece.blob.len());
        remaining.push(piece.remaining_bytes);
    }
    let sizes: Vec<u64> = pieces.iter().map(|length| *length as u64).collect();
    let (sum, data) = sizes.split_last().expect("the checksum comes last");
    assert_eq!((*sum, remaining.pop()), (32, Some(0)));
    let total: u64 = data.iter().sum();
    let mut sent = 0;
    for (length, remaining) in data.iter().zip(remaining) {
        sent += length;
        assert_eq!(remaining, total - sent, "what remains is told with each piece");
    }
    (file, pieces)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_a_database_with_all_that_is_kept() {
    let node = one().await;
    let grant = pb::LeaseGrantRequest { id: 5, ttl: 600 };
    node.lease().lease_grant(grant).await.expect("granted");
    node.put("a", "1").await;
    node.put_with_lease("leased", "1", 5).await;
    node.put("a", &"x".repeat(100_000)).await;
    let request = pb::DeleteRangeRequest { key: "leased".into(), ..Default::default() };
    node.kv().delete_range(request).await.expect("deleted");
    let (file, pieces) = saved(&node).await;
    check_trailer(&file.as_slice()).expect("the checksum is that of the file");
    assert!(pieces[..pieces.len() - 2].iter().all(|length| *length == 32 * 1024), "{pieces:?}");
    let database = Database::open(&file[..file.len() - 32]).expect("a database");
    database.check().expect("sound");
    let mut changes = Vec::new();
    each_change(&database, &mut |change| {
        changes.push((change.main, change.tombstone));
        Ok::<_, BboltError>(())
    })
    .expect("etcd's rows");
    assert_eq!(changes, [(2, false), (3, false), (4, false), (5, true)]);
    let contents = contents(&database).expect("etcd's rows");
    assert_eq!((contents.leases[0].id, contents.leases[0].ttl_s), (5, 600));
    assert_eq!(contents.members[0].name, "n0");
    assert_eq!((contents.storage_version.as_str(), contents.compacted()), ("3.7.0", None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_frees_its_turn() {
    let node = one().await;
    node.put("a", &"x".repeat(1_000_000)).await;
    for _ in 0..12 {
        let request = pb::SnapshotRequest {};
        let mut stream = node.maintenance().snapshot(request).await.expect("begun").into_inner();
        stream.message().await.expect("a piece").expect("there are more");
    }
    saved(&node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_answer_the_same_hash() {
    let nodes = cluster(3).await;
    nodes[0].put("a", "1").await;
    let compact = pb::CompactionRequest { revision: 2, physical: false };
    nodes[1].kv().compact(compact).await.expect("compacted");
    eventually("all members hash alike", || async {
        let mut hashes = Vec::new();
        for node in &nodes {
            let answer = node.maintenance().hash(pb::HashRequest {}).await.expect("hashed");
            let answer = answer.into_inner();
            let header = answer.header.expect("a header");
            assert_eq!(header.member_id, node.member.ids().member_id);
            hashes.push(answer.hash);
        }
        hashes.iter().all(|hash| *hash == hashes[0]).then_some(())
    })
    .await;
}

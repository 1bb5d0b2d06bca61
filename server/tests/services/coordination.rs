//! Locks and elections as services: who waits, who has the turn, and what is left behind.

use proto::etcdserverpb as pb;
use proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, ProclaimRequest, ResignRequest,
};
use proto::v3lockpb::{LockRequest, UnlockRequest};
use tonic::{Code, Status};

use crate::support::{Node, eventually, one};

async fn lease(node: &Node, id: i64) -> i64 {
    let request = pb::LeaseGrantRequest { id, ttl: 600 };
    node.lease().lease_grant(request).await.expect("granted").into_inner().id
}

fn lock_of(name: &str, lease: i64) -> LockRequest {
    LockRequest { name: name.to_owned().into(), lease }
}

async fn keys_under(node: &Node, prefix: &str) -> i64 {
    let mut end = prefix.to_owned().into_bytes();
    *end.last_mut().expect("not empty") += 1;
    let request = pb::RangeRequest {
        key: prefix.to_owned().into(),
        range_end: end.into(),
        count_only: true,
        ..Default::default()
    };
    node.kv().range(request).await.expect("counted").into_inner().count
}

/// Waits until this many callers stand in the queue.
async fn queued(node: &Node, prefix: &str, count: i64) {
    eventually("callers in the queue", || async {
        (keys_under(node, prefix).await == count).then_some(())
    })
    .await;
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let refusal = answer.expect_err("refused");
    (refusal.code(), refusal.message().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_is_held_by_one_at_a_time() {
    let node = one().await;
    let (first, second) = (lease(&node, 0x1f).await, lease(&node, 0x2f).await);
    let held = node.lock().lock(lock_of("job", first)).await.expect("free").into_inner();
    assert_eq!(held.key, "job/1f");
    let again = node.lock().lock(lock_of("job", first)).await.expect("its own").into_inner();
    assert_eq!(again.key, held.key);

    let mut waiting = {
        let mut client = node.lock();
        tokio::spawn(async move { client.lock(lock_of("job", second)).await })
    };
    queued(&node, "job/", 2).await;
    assert!(!waiting.is_finished(), "the lock is held");
    let unlock = UnlockRequest { key: held.key };
    let header = node.lock().unlock(unlock).await.expect("unlocked").into_inner().header;
    let next = (&mut waiting).await.expect("no panic").expect("its turn").into_inner();
    assert_eq!(next.key, "job/2f");
    let (freed, taken) = (header.expect("a header"), next.header.expect("a header"));
    assert!(taken.revision >= freed.revision, "{taken:?} after {freed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_lease_gives_the_lock_to_the_next() {
    let node = one().await;
    let (first, second) = (lease(&node, 1).await, lease(&node, 2).await);
    node.lock().lock(lock_of("job", first)).await.expect("free");
    let waiting = {
        let mut client = node.lock();
        tokio::spawn(async move { client.lock(lock_of("job", second)).await })
    };
    queued(&node, "job/", 2).await;
    node.lease().lease_revoke(pb::LeaseRevokeRequest { id: first }).await.expect("revoked");
    waiting.await.expect("no panic").expect("its turn");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_whose_lease_ends_while_it_waits_gets_no_lock() {
    let node = one().await;
    let (first, second) = (lease(&node, 1).await, lease(&node, 2).await);
    let held = node.lock().lock(lock_of("job", first)).await.expect("free").into_inner();
    let waiting = {
        let mut client = node.lock();
        tokio::spawn(async move { client.lock(lock_of("job", second)).await })
    };
    queued(&node, "job/", 2).await;
    node.lease().lease_revoke(pb::LeaseRevokeRequest { id: second }).await.expect("revoked");
    node.lock().unlock(UnlockRequest { key: held.key }).await.expect("unlocked");
    let ended = refused(waiting.await.expect("no panic"));
    assert_eq!(ended, (Code::Unknown, "mutex: session is expired".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_no_place_in_the_queue() {
    let node = one().await;
    let (first, second) = (lease(&node, 1).await, lease(&node, 2).await);
    node.lock().lock(lock_of("job", first)).await.expect("free");
    let waiting = {
        let mut client = node.lock();
        tokio::spawn(async move { client.lock(lock_of("job", second)).await })
    };
    queued(&node, "job/", 2).await;
    waiting.abort();
    queued(&node, "job/", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_have_etcds_words_and_no_code() {
    let node = one().await;
    let unknown_lease = refused(node.lock().lock(lock_of("job", 12345)).await);
    let words = |text: &str| (Code::Unknown, text.to_owned());
    assert_eq!(unknown_lease, words("etcdserver: requested lease not found"));
    let no_key = refused(node.lock().unlock(UnlockRequest::default()).await);
    assert_eq!(no_key, words("etcdserver: key is not provided"));
    let mut election = node.election();
    let nobody = LeaderRequest { name: "job".into() };
    assert_eq!(refused(election.leader(nobody).await), words("election: no leader"));
    let no_leader = words("\"leader\" field must be provided");
    assert_eq!(refused(election.proclaim(ProclaimRequest::default()).await), no_leader);
    assert_eq!(refused(election.resign(ResignRequest::default()).await), no_leader);
    let never = LeaderKey { name: "job".into(), key: "job/1".into(), rev: 7, lease: 0 };
    let proclaim = ProclaimRequest { leader: Some(never), value: "x".into() };
    assert_eq!(refused(election.proclaim(proclaim).await), words("election: not leader"));
    assert_eq!(keys_under(&node, "job/").await, 0, "nothing was written");
}

async fn campaign(node: &Node, lease: i64, value: &str) -> CampaignResponse {
    let request = CampaignRequest { name: "el".into(), lease, value: value.to_owned().into() };
    node.election().campaign(request).await.expect("elected").into_inner()
}

async fn leads(node: &Node) -> String {
    let request = LeaderRequest { name: "el".into() };
    let leader = node.election().leader(request).await.expect("a leader").into_inner();
    String::from_utf8_lossy(&leader.kv.expect("its key").value).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_says_its_word_and_resigns() {
    let node = one().await;
    let (first, second) = (lease(&node, 1).await, lease(&node, 2).await);
    let one = campaign(&node, first, "one").await.leader;
    assert_eq!(leads(&node).await, "one");
    // Whoever leads and campaigns again says another word.
    let same = campaign(&node, first, "one again").await.leader;
    assert_eq!(same, one);
    assert_eq!(leads(&node).await, "one again");
    let proclaim = ProclaimRequest { leader: one.clone(), value: "more".into() };
    node.election().proclaim(proclaim).await.expect("it leads");
    assert_eq!(leads(&node).await, "more");

    let waiting = {
        let mut client = node.election();
        let request = CampaignRequest { name: "el".into(), lease: second, value: "two".into() };
        tokio::spawn(async move { client.campaign(request).await })
    };
    queued(&node, "el/", 2).await;
    assert_eq!(leads(&node).await, "more");
    node.election().resign(ResignRequest { leader: one.clone() }).await.expect("resigned");
    waiting.await.expect("no panic").expect("elected");
    assert_eq!(leads(&node).await, "two");
    let late = ProclaimRequest { leader: one, value: "late".into() };
    let late = refused(node.election().proclaim(late).await);
    assert_eq!(late, (Code::Unknown, "election: not leader".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_hears_each_leader_and_each_word() {
    let node = one().await;
    let request = LeaderRequest { name: "el".into() };
    let mut heard = node.election().observe(request).await.expect("open").into_inner();
    let (first, second) = (lease(&node, 1).await, lease(&node, 2).await);
    let mut next = async || {
        let said = heard.message().await.expect("no error").expect("open");
        let (header, kv) = (said.header.expect("a header"), said.kv.expect("a key"));
        assert_eq!(header.revision, kv.mod_revision);
        String::from_utf8_lossy(&kv.value).into_owned()
    };
    let one = campaign(&node, first, "one").await.leader;
    assert_eq!(next().await, "one");
    let proclaim = ProclaimRequest { leader: one.clone(), value: "more".into() };
    node.election().proclaim(proclaim).await.expect("it leads");
    assert_eq!(next().await, "more");
    node.election().resign(ResignRequest { leader: one }).await.expect("resigned");
    campaign(&node, second, "two").await;
    assert_eq!(next().await, "two");
}

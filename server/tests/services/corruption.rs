//! A member whose state differs is named by the others, and the cluster refuses writes until it is
//! dealt with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use proto::etcdserverpb as pb;
use proto::peer;
use raft::{Answer, Answers, MemoryNetwork, PeerHandler};
use tonic::Code;

use crate::support::{self, Node, eventually};

/// A member that tells a wrong digest of its state while it lies.
struct Liar {
    honest: Arc<dyn PeerHandler>,
    lies: Arc<AtomicBool>,
}

fn told(lies: &AtomicBool, mut response: peer::AppendResponse) -> peer::AppendResponse {
    if let Some(applied) = response.applied.as_mut().filter(|_| lies.load(Ordering::Acquire)) {
        let wrong: Vec<u8> = applied.digest.iter().map(|byte| !byte).collect();
        applied.digest = wrong.into();
    }
    response
}

macro_rules! forward {
    ($($name:ident: $request:ident => $response:ident;)*) => {$(
        fn $name(&self, request: peer::$request) -> Answer<'_, peer::$response> {
            self.honest.$name(request)
        }
    )*};
}

impl PeerHandler for Liar {
    forward! {
        vote: VoteRequest => VoteResponse;
        pre_vote: VoteRequest => VoteResponse;
        transfer_leader: TransferLeaderRequest => TransferLeaderResponse;
        propose: ProposeRequest => ProposeResponse;
        read_index: ReadIndexRequest => ReadIndexResponse;
        ask_leader: AskLeaderRequest => AskLeaderResponse;
        hello: HelloRequest => HelloResponse;
    }

    fn heartbeat(&self, request: peer::AppendRequest) -> Answer<'_, peer::AppendResponse> {
        let answer = self.honest.heartbeat(request);
        async move { answer.await.map(|response| told(&self.lies, response)) }.boxed()
    }

    fn append(
        &self,
        requests: BoxStream<'static, peer::AppendRequest>,
    ) -> Answer<'_, Answers<peer::AppendResponse>> {
        let (answers, lies) = (self.honest.append(requests), Arc::clone(&self.lies));
        async move {
            let answers = answers.await?;
            Ok(answers.map(move |answer| answer.map(|response| told(&lies, response))).boxed())
        }
        .boxed()
    }

    fn snapshot(
        &self,
        chunks: BoxStream<'static, peer::SnapshotChunk>,
    ) -> Answer<'_, peer::SnapshotResponse> {
        self.honest.snapshot(chunks)
    }
}

async fn errors(node: &Node) -> Vec<String> {
    let status = node.maintenance().status(pb::StatusRequest {}).await.expect("told");
    status.into_inner().errors
}

async fn put(node: &Node) -> Result<(), tonic::Status> {
    let put = pb::PutRequest { key: "a".into(), ..Default::default() };
    node.kv().put(put).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_member_that_differs_is_named_and_writes_are_refused_until_it_is_cleared() {
    let network = MemoryNetwork::new();
    let nodes = support::cluster_on(&network, 3, "").await;
    nodes[0].put("a", "1").await;
    let leader =
        eventually("a leader", || async { nodes.iter().find(|n| n.member.leadership().is_leader) });
    let leader = leader.await.member.ids();
    let corrupt = nodes.iter().find(|n| n.member.ids() != leader).expect("three").member.clone();
    let member_id = corrupt.ids().member_id;
    let lies = Arc::new(AtomicBool::new(true));
    let honest = corrupt.consensus().peer_handler();
    let liar = Liar { honest, lies: Arc::clone(&lies) };
    network.attach(store::MemberId(member_id), Arc::new(liar));
    let named = vec![format!("memberID:{member_id} alarm:CORRUPT")];
    eventually("the alarm", || async { (errors(&nodes[0]).await == named).then_some(()) }).await;
    let refused = put(&nodes[1]).await.expect_err("corrupt");
    let text = "etcdserver: corrupt cluster";
    assert_eq!((refused.code(), refused.message()), (Code::DataLoss, text));
    assert_eq!(nodes[2].get("a").await.as_deref(), Some("1"), "reads go on, as in etcd");
    lies.store(false, Ordering::Release);
    let disarm = pb::AlarmRequest {
        action: pb::alarm_request::AlarmAction::Deactivate as i32,
        member_id,
        alarm: pb::AlarmType::Corrupt as i32,
    };
    // The leader may still believe the lie, and raise the alarm once more.
    eventually("writes again", || async {
        nodes[0].maintenance().alarm(disarm).await.expect("cleared");
        put(&nodes[1]).await.ok()
    })
    .await;
}

//! Row 57: what reaches the port of peers and comes from no peer: of another cluster, for another
//! member, with terms and indexes after which none could follow, above every limit, with snapshots
//! that are none; and calls of a member that was removed.
//!
//! Invariants: each is refused with the words that are written down; the member keeps its office,
//! its term and its pairs.
//!
//! Must not know: how consensus works.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use proto::etcdserverpb as pb;
use proto::log::{Blank, Entry, entry};
use proto::peer::{self, snapshot_chunk::Part};
use services::etcdserverpb::cluster_client::ClusterClient;
use services::etcdserverpb::kv_client::KvClient;
use services::peer::peer_client::PeerClient;
use tonic::Status;
use tonic::transport::Channel;

use super::{Outcome, fresh, guard};
use crate::process::{Kind, Member, POLL, Programs, cluster, dial};

/// What a case may cost: less than the largest message.
const CASE_BYTES_MAX: u64 = 64 << 20;

/// A broken transfer is thrown away within this time.
const BUSY_FOR: Duration = Duration::from_secs(10);

/// What is sent.
#[derive(Debug, Clone, Copy)]
enum Send {
    NoHeader,
    OtherCluster,
    OtherMember,
    FromItself,
    ShortIdentity,
    VoteOfLastTerm,
    LeaderOfLastTerm,
    AfterLastIndex,
    CommitOfLastIndex,
    EntryOfLastIndex,
    EntriesWithGap,
    EntryWithoutKind,
    TooLarge,
    SnapshotWithoutBegin,
    SnapshotOutside,
    SnapshotOfNoFile,
    SnapshotAltered,
    SnapshotBrokenOff,
    ProposeNothing,
}

const CASES: &[(&str, Send, &str)] = &[
    ("a call without a header", Send::NoHeader, "FailedPrecondition: *no header"),
    (
        "a call of another cluster",
        Send::OtherCluster,
        "FailedPrecondition: *call for cluster 1 reached cluster *",
    ),
    ("a call for another member", Send::OtherMember, "FailedPrecondition: *"),
    (
        "a call in the member's own name",
        Send::FromItself,
        "FailedPrecondition: *a second member * is running",
    ),
    (
        "a call without a data directory",
        Send::ShortIdentity,
        "FailedPrecondition: *names no data directory",
    ),
    (
        "a vote in the last term there is",
        Send::VoteOfLastTerm,
        "Aborted: *malformed message: the term 18446744073709551615 is no cluster's",
    ),
    (
        "a leader of the last term there is",
        Send::LeaderOfLastTerm,
        "Aborted: *malformed message: the term 18446744073709551615 is no cluster's",
    ),
    (
        "entries behind the last index there is",
        Send::AfterLastIndex,
        "Aborted: *malformed message: the index 18446744073709551615 is in no log",
    ),
    (
        "a commit of the last index there is",
        Send::CommitOfLastIndex,
        "Aborted: *malformed message: the index 18446744073709551615 is in no log",
    ),
    (
        "an entry at the last index there is",
        Send::EntryOfLastIndex,
        "Aborted: *malformed message: entries that do not follow one another",
    ),
    (
        "entries with a gap",
        Send::EntriesWithGap,
        "Aborted: *malformed message: entries that do not follow one another",
    ),
    (
        "an entry of no kind",
        Send::EntryWithoutKind,
        "Aborted: *malformed message: an entry of an unknown kind",
    ),
    ("an append of 120 MiB", Send::TooLarge, "OutOfRange: *"),
    (
        "a snapshot without a beginning",
        Send::SnapshotWithoutBegin,
        "Aborted: *malformed message: a snapshot without a beginning",
    ),
    ("a snapshot with a file outside of its folder", Send::SnapshotOutside, "Aborted: *"),
    (
        "a snapshot with a piece of no file",
        Send::SnapshotOfNoFile,
        "Aborted: *malformed message: a piece of no file",
    ),
    (
        "a snapshot with an altered piece",
        Send::SnapshotAltered,
        "Aborted: *a piece was altered on its way",
    ),
    ("a snapshot that breaks off", Send::SnapshotBrokenOff, "Aborted: *snapshot broken off"),
    ("a proposal of nothing", Send::ProposeNothing, "Aborted: *malformed message: no command"),
];

/// All of them.
pub(super) async fn run(programs: &Programs, folder: &Path, outcome: &mut Outcome) -> Result<()> {
    let mut member = fresh(programs, Kind::Engram, &folder.join("one"), &[]).await?;
    let mut stranger = Stranger::of(&member, 0x5742).await?;
    for (name, send, expected) in CASES {
        let held = one(&member, &mut stranger, *send, expected).await;
        outcome.check(57, name, held);
    }
    let left = std::fs::read_dir(folder)?.count();
    let held = (left == 1).then_some(()).ok_or(format!("{left} files beside the member's folder"));
    outcome.check(57, "nothing is written outside of the member's folder", held);
    member.kill()?;
    let held = removed_member(programs, &folder.join("three")).await;
    outcome.check(57, "a vote for a member that was removed", held);
    Ok(())
}

async fn one(member: &Member, stranger: &mut Stranger, send: Send, expected: &str) -> Result<()> {
    let before = guard::before(member).await?;
    let term = term(member).await?;
    let deadline = Instant::now() + BUSY_FOR;
    let told = loop {
        let told = stranger.send(send).await;
        let told = told.err().map_or_else(
            || "it was taken".to_owned(),
            |status| format!("{:?}: {}", status.code(), status.message()),
        );
        // What came before it is still being thrown away.
        if Instant::now() > deadline || !told.contains("is being received") {
            break told;
        }
        crate::pause::pause(POLL).await;
    };
    ensure!(programs::glob(expected, &told), "expected {expected}, got {told}");
    put(member).await.context("a put afterwards")?;
    ensure!(self::term(member).await? == term, "the term has changed");
    guard::after(member, before.with_pairs_of(member).await?, CASE_BYTES_MAX).await
}

/// A member's term, as its answers tell it.
pub(super) async fn term(member: &Member) -> Result<u64> {
    let mut kv = KvClient::new(dial(member.client_url()).await?);
    let range = pb::RangeRequest { key: "a".into(), ..Default::default() };
    let header = kv.range(range).await?.into_inner().header.context("a header")?;
    Ok(header.raft_term)
}

pub(super) async fn put(member: &Member) -> Result<()> {
    let mut kv = KvClient::new(dial(member.client_url()).await?);
    kv.put(pb::PutRequest { key: "a".into(), value: "b".into(), ..Default::default() }).await?;
    Ok(())
}

/// Somebody who knows a member's cluster and speaks as its peers do.
pub(super) struct Stranger {
    pub(super) client: PeerClient<Channel>,
    pub(super) header: peer::PeerHeader,
    pub(super) leader: peer::Vote,
}

impl Stranger {
    pub(super) async fn of(member: &Member, id: u64) -> Result<Self> {
        let url =
            member.arguments().iter().find_map(|flag| flag.strip_prefix("--listen-peer-urls="));
        let channel = dial(url.context("a peer URL")?).await?;
        let mut client = PeerClient::new(channel).max_encoding_message_size(usize::MAX);
        let hello = client.hello(peer::HelloRequest::default()).await?.into_inner();
        let header = peer::PeerHeader {
            cluster_id: hello.cluster_id,
            from_member_id: id,
            to_member_id: hello.member_id,
            from_identity: Bytes::from_static(&[7; 16]),
            to_identity: hello.identity,
        };
        let term = term(member).await?;
        let leader = peer::Vote { term, voted_for: id, committed: true };
        Ok(Self { client, header, leader })
    }

    fn append(&self) -> peer::AppendRequest {
        let (header, vote) = (Some(self.header.clone()), Some(self.leader));
        peer::AppendRequest { header, vote, ..Default::default() }
    }

    fn vote(&self) -> peer::VoteRequest {
        let vote = peer::Vote { term: self.leader.term, committed: false, ..self.leader };
        let header = Some(self.header.clone());
        peer::VoteRequest { header, vote: Some(vote), ..Default::default() }
    }

    /// *Errors*: the refusal.
    async fn send(&mut self, send: Send) -> Result<(), Status> {
        match send {
            Send::NoHeader
            | Send::OtherCluster
            | Send::OtherMember
            | Send::FromItself
            | Send::ShortIdentity => self.send_as_another(send).await,
            Send::VoteOfLastTerm => {
                let vote = peer::Vote { term: u64::MAX, committed: false, ..self.leader };
                let ask = peer::VoteRequest { vote: Some(vote), ..self.vote() };
                self.client.vote(ask).await.map(drop)
            }
            Send::ProposeNothing => {
                let header = Some(self.header.clone());
                let propose = peer::ProposeRequest { header, ..Default::default() };
                self.client.propose(propose).await.map(drop)
            }
            Send::SnapshotWithoutBegin
            | Send::SnapshotOutside
            | Send::SnapshotOfNoFile
            | Send::SnapshotAltered
            | Send::SnapshotBrokenOff => self.send_snapshot(send).await,
            _ => self.client.heartbeat(self.wrong_append(send)).await.map(drop),
        }
    }

    async fn send_as_another(&mut self, send: Send) -> Result<(), Status> {
        let own = self.header.clone();
        let header = match send {
            Send::OtherCluster => Some(peer::PeerHeader { cluster_id: 1, ..own }),
            Send::OtherMember => Some(peer::PeerHeader { to_member_id: 1, ..own }),
            Send::FromItself => Some(peer::PeerHeader { from_member_id: own.to_member_id, ..own }),
            Send::ShortIdentity => {
                Some(peer::PeerHeader { from_identity: Bytes::from_static(b"x"), ..own })
            }
            _ => None,
        };
        self.client.heartbeat(peer::AppendRequest { header, ..self.append() }).await.map(drop)
    }

    fn wrong_append(&self, send: Send) -> peer::AppendRequest {
        let last = peer::LogId { term: 1, index: u64::MAX };
        let blank = || Some(entry::Payload::Blank(Blank {}));
        let at = |index, payload| Entry { term: 1, index, payload };
        let usual = self.append();
        match send {
            Send::LeaderOfLastTerm => {
                let vote = peer::Vote { term: u64::MAX, ..self.leader };
                peer::AppendRequest { vote: Some(vote), ..usual }
            }
            Send::AfterLastIndex => peer::AppendRequest { prev_log_id: Some(last), ..usual },
            Send::CommitOfLastIndex => peer::AppendRequest { leader_commit: Some(last), ..usual },
            Send::EntryOfLastIndex => {
                peer::AppendRequest { entries: vec![at(u64::MAX, blank())], ..usual }
            }
            Send::EntriesWithGap => {
                let entries = vec![at(0, blank()), at(2, blank())];
                peer::AppendRequest { entries, ..usual }
            }
            Send::EntryWithoutKind => peer::AppendRequest { entries: vec![at(0, None)], ..usual },
            _ => {
                let batch = Bytes::from(vec![7; 1 << 20]);
                let payload = Some(entry::Payload::Batch(batch));
                let entries = (0..120).map(|index| at(index, payload.clone())).collect();
                peer::AppendRequest { entries, ..usual }
            }
        }
    }

    async fn send_snapshot(&mut self, send: Send) -> Result<(), Status> {
        let file =
            |name: &str| peer::SnapshotFile { name: name.to_owned(), size_bytes: 4, crc32c: 0 };
        let name = match send {
            Send::SnapshotOutside => "../../../../outside",
            _ => "000001.sst",
        };
        // A membership of one voter.
        let membership = Bytes::from_static(b"\x0a\x03\x0a\x01\x01\x12\x02\x08\x01");
        let begin = peer::SnapshotBegin {
            header: Some(self.header.clone()),
            vote: Some(self.leader),
            last_log_id: Some(peer::LogId { term: 1, index: 1 }),
            membership: Some(peer::SnapshotMembership { log_id: None, membership }),
            files: vec![file(name)],
            is_offer: false,
        };
        let piece = peer::SnapshotData {
            file: if matches!(send, Send::SnapshotOfNoFile) { 9 } else { 0 },
            offset_bytes: 0,
            data: Bytes::from_static(b"abcd"),
            // Of `abcd`, by CRC-32C.
            crc32c: if matches!(send, Send::SnapshotAltered) { 1 } else { 0x92c8_0a31 },
        };
        let mut parts = Vec::new();
        if !matches!(send, Send::SnapshotWithoutBegin) {
            parts.push(Part::Begin(begin));
        }
        parts.push(Part::Data(piece));
        let chunks = parts.into_iter().map(|part| peer::SnapshotChunk { part: Some(part) });
        self.client.snapshot(tokio_stream::iter(chunks.collect::<Vec<_>>())).await.map(drop)
    }
}

/// One of three is removed; what comes in its name later changes nobody's mind.
async fn removed_member(programs: &Programs, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut members = cluster(programs, Kind::Engram, folder, 3, &[])?;
    members.iter_mut().try_for_each(Member::start)?;
    for member in &mut members {
        member.ready().await?;
    }
    let mut ask = ClusterClient::new(dial(members[0].client_url()).await?);
    let gone = Stranger::of(&members[2], 1).await?.header;
    let id = gone.to_member_id;
    ask.member_remove(pb::MemberRemoveRequest { id }).await?;
    members[2].ended().await.context("the removed member")?;
    for member in &members[..2] {
        while term_of(member).await.is_none() {
            crate::pause::pause(POLL).await;
        }
    }
    let before = term(&members[0]).await?;
    for member in &members[..2] {
        let mut removed = Stranger::of(member, id).await?;
        removed.header.from_identity = gone.to_identity.clone();
        removed.leader.term += 5;
        let told = removed.client.vote(removed.vote()).await.context("a vote")?.into_inner();
        ensure!(!told.vote_granted, "it got a vote");
        put(member).await?;
    }
    ensure!(term(&members[0]).await? == before, "the term has changed");
    for member in &mut members[..2] {
        guard::quiet_log(member)?;
        member.kill()?;
    }
    Ok(())
}

async fn term_of(member: &Member) -> Option<u64> {
    term(member).await.ok()
}

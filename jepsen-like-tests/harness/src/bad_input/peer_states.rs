//! Row 57, with what is sound in itself: a whole snapshot of an older day, of another history, or
//! beyond its own leader; and messages announced with a gigabyte.
//!
//! Invariants: the member's pairs stay, and never go back; it serves again, and nothing of what was
//! sent is left; memory does not grow with what is announced.
//!
//! Must not know: what a snapshot's files say.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proto::peer::{self, snapshot_chunk::Part};

use super::peers::{Stranger, put, term};
use super::{Outcome, fresh, guard};
use crate::gateway::frames::decoded;
use crate::gateway::http::address;
use crate::process::{Kind, Member, POLL, Programs};

/// What a case may cost.
const CASE_BYTES_MAX: u64 = 64 << 20;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A member that heard of another leader waits for it before it stands again.
const SERVES_WITHIN: Duration = Duration::from_secs(20);

/// Name, terms of the snapshot and of its leader beyond the member's, the snapshot's place, and
/// what is told; nothing: it is passed over.
const SNAPSHOTS: &[(&str, u64, u64, u64, Option<&str>)] = &[
    (
        "a snapshot of another history",
        1,
        1,
        2,
        Some("malformed message: a snapshot of another history than this member's"),
    ),
    (
        "a snapshot beyond its leader",
        9,
        1,
        1 << 20,
        Some("malformed message: a snapshot of a later term than its leader's"),
    ),
    ("a snapshot of a leader that was not elected", 0, 0, 1 << 20, None),
    ("a snapshot older than what is applied", 0, 1, 2, None),
];

/// What an append is announced with.
const ANNOUNCED: u32 = 1 << 30;
/// Where it is sent, and what is told; a stream that brings no message ends without an answer.
const ANNOUNCED_TO: [(&str, &str); 2] =
    [("/engram.peer.Peer/Heartbeat", "11 *1073741824*"), ("/engram.peer.Peer/Append", "0 ")];
/// What comes of it.
const SENT: usize = 4 << 20;

/// All of them, on one member.
pub(super) async fn run(programs: &Programs, folder: &Path, outcome: &mut Outcome) -> Result<()> {
    let mut member = fresh(programs, Kind::Engram, &folder.join("one"), &[]).await?;
    put(&member).await?;
    member.terminate().await?;
    let state = folder.join("one/m0/member/state");
    let older = files(&state.join("1"))?;
    member.start()?;
    member.ready().await?;
    for _ in 0..20 {
        put(&member).await?;
    }
    for (path, told) in ANNOUNCED_TO {
        let held = announced(&member, path, told).await;
        outcome.check(57, "an append announced with a gigabyte", held);
    }
    for (name, term, leads, index, told) in SNAPSHOTS {
        let held = snapshot(&member, &older, (*term, *leads, *index), *told).await;
        let held = held.and_then(|()| nothing_left(&state));
        outcome.check(57, name, held);
    }
    guard::quiet_log(&member)?;
    member.kill()
}

/// A file of a snapshot.
struct Piece {
    name: String,
    content: Vec<u8>,
}

/// What a sender would announce of a stopped member's state.
fn files(folder: &Path) -> Result<Vec<Piece>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
        let sent = ["CURRENT", "MANIFEST", "OPTIONS"].iter().any(|kind| name.starts_with(kind));
        if sent || name.ends_with(".sst") {
            found.push(Piece { name, content: std::fs::read(&path)? });
        }
    }
    ensure!(found.len() > 3, "only {} files in a state", found.len());
    Ok(found)
}

async fn snapshot(
    member: &Member,
    files: &[Piece],
    (later, leads, index): (u64, u64, u64),
    told: Option<&str>,
) -> Result<()> {
    let before = guard::before(member).await?;
    let term = term(member).await?;
    let mut stranger = Stranger::of(member, 0x5742).await?;
    let announced = files.iter().map(|file| peer::SnapshotFile {
        name: file.name.clone(),
        size_bytes: file.content.len() as u64,
        crc32c: crc32c(&file.content),
    });
    // A membership of one voter.
    let membership = Bytes::from_static(b"\x0a\x03\x0a\x01\x01\x12\x02\x08\x01");
    let begin = peer::SnapshotBegin {
        header: Some(stranger.header.clone()),
        vote: Some(peer::Vote { term: term + leads, ..stranger.leader }),
        last_log_id: Some(peer::LogId { term: term + later, index }),
        membership: Some(peer::SnapshotMembership { log_id: None, membership }),
        files: announced.collect(),
        is_offer: false,
    };
    let mut parts = vec![Part::Begin(begin)];
    for (file, of) in files.iter().enumerate() {
        parts.push(Part::Data(peer::SnapshotData {
            file: u32::try_from(file)?,
            offset_bytes: 0,
            data: of.content.clone().into(),
            crc32c: crc32c(&of.content),
        }));
    }
    let total_bytes = files.iter().map(|file| file.content.len() as u64).sum();
    parts.push(Part::End(peer::SnapshotEnd { total_bytes }));
    let chunks = parts.into_iter().map(|part| peer::SnapshotChunk { part: Some(part) });
    let sending = stranger.client.snapshot(tokio_stream::iter(chunks.collect::<Vec<_>>()));
    let answer = tokio::time::timeout(ANSWER_WITHIN, sending).await.context("no answer")?;
    match (answer, told) {
        (Ok(_), None) => {}
        (Err(refused), Some(told)) if refused.message().ends_with(told) => {}
        (answer, _) => ensure!(false, "expected {told:?}, got {answer:?}"),
    }
    let began = Instant::now();
    while let Err(error) = put_once(member).await {
        ensure!(began.elapsed() < SERVES_WITHIN, "it does not serve again: {error:#}");
        crate::pause::pause(POLL).await;
    }
    // A put changes nothing but its own key, whose value it had.
    guard::after(member, before.with_pairs_of(member).await?, CASE_BYTES_MAX).await?;
    let revision = guard::before(member).await?.revision();
    ensure!(revision > before.revision(), "from revision {} to {revision}", before.revision());
    Ok(())
}

async fn put_once(member: &Member) -> Result<()> {
    tokio::time::timeout(ANSWER_WITHIN, put(member)).await?
}

/// Nothing of what was sent is left, nor in the place of what was there.
fn nothing_left(state: &Path) -> Result<()> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(state)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    ensure!(names == ["1", "CURRENT"], "the state has {names:?}");
    Ok(())
}

/// A message of a gigabyte is refused when it is announced; the little that comes is not kept.
async fn announced(member: &Member, path: &str, told: &str) -> Result<()> {
    let before = guard::before(member).await?;
    let urls = member.arguments().iter();
    let url = urls.filter_map(|flag| flag.strip_prefix("--listen-peer-urls=")).next();
    let url = url.context("a peer URL")?;
    let stream = tokio::net::TcpStream::connect(address(url)).await?;
    let http2 = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = http2.await?;
    let driving = tokio::spawn(connection);
    let body = [&[0][..], &ANNOUNCED.to_be_bytes(), &vec![7; SENT]].concat();
    let request = Request::builder()
        .method("POST")
        .uri(format!("http://{}{path}", address(url)))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(body)))?;
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let trailers = body.collect().await?.trailers().cloned().unwrap_or_default();
        let told = |name: &str| trailers.get(name).or_else(|| head.headers.get(name)).cloned();
        let told = ["grpc-status", "grpc-message"].map(told);
        let told = told.map(|told| told.map(|told| decoded(told.as_bytes())).unwrap_or_default());
        anyhow::Ok(told.join(" "))
    };
    let answer = tokio::time::timeout(ANSWER_WITHIN, answer).await.context("no answer")??;
    driving.abort();
    ensure!(programs::glob(told, &answer), "another answer: {answer}");
    guard::after(member, before, CASE_BYTES_MAX).await
}

/// *Source*: RFC 3720, B.4.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_the_standards() {
        assert_eq!(super::crc32c(b"123456789"), 0xe306_9283);
    }
}

//! Row 38: requests over HTTP/1 that a proxy and a server might take apart at different places.
//!
//! Invariant: behind such bytes no second request is served: what is smuggled in writes nothing.
//!
//! Must not know: how the server reads a request.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Outcome, guard};
use crate::gateway::http::address;
use crate::process::Member;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const CASE_BYTES_MAX: u64 = 32 << 20;

/// A put of a key that nobody else writes, as a second request.
const SMUGGLED: &str = "POST /v3/kv/put HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n\
                        {\"key\":\"c211Z2c=\",\"value\":\"YQ==\"}\n";

/// Name, the odd headers of a range, its body.
const CASES: &[(&str, &str, &str)] = &[
    ("a length and chunks", "Content-Length: 200\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    ("two lengths", "Content-Length: 2\r\nContent-Length: 20\r\n", "{}"),
    ("a space before the colon", "Content-Length : 2\r\n", "{}"),
];

/// All of them, on Engram: Go's own server is as strict.
pub(super) async fn run(member: &Member, outcome: &mut Outcome) -> Result<()> {
    for (name, headers, body) in CASES {
        let held = one(member, headers, body).await;
        outcome.check(38, name, held);
    }
    Ok(())
}

async fn one(member: &Member, headers: &str, body: &str) -> Result<()> {
    let before = guard::before(member).await?;
    let mut stream = TcpStream::connect(address(member.client_url())).await?;
    let request = format!("POST /v3/kv/range HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}{SMUGGLED}");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(ANSWER_WITHIN, stream.read_to_end(&mut answer)).await;
    read.context("the connection stays open")?.context("the answer")?;
    let answer = String::from_utf8_lossy(&answer);
    ensure!(answer.matches("HTTP/1.1 200").count() <= 1, "two answers: {answer}");
    guard::after(member, before, CASE_BYTES_MAX).await
}

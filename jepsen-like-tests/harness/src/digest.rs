//! The state digest of each member, read from its status page, compared at one applied index.
//!
//! Must not know: what the digest is made of.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::process::POLL;

/// What `GET /engram/state` answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct State {
    applied_index: u64,
    digest: String,
}

/// Waits until the members are at one applied index, and says whether their digests differ there.
pub async fn disagreement(urls: &[String], patience: Duration) -> Result<Option<String>> {
    let deadline = Instant::now() + patience;
    loop {
        let mut states = Vec::new();
        for url in urls {
            states.push(state(url).await?);
        }
        if states.iter().all(|state| state.applied_index == states[0].applied_index) {
            let same = states.iter().all(|state| *state == states[0]);
            return Ok((!same).then(|| format!("state digests differ: {states:?}")));
        }
        if Instant::now() > deadline {
            bail!("the members do not reach one applied index: {states:?}");
        }
        crate::pause::pause(POLL).await;
    }
}

async fn state(url: &str) -> Result<State> {
    let body = get(url, "/engram/state").await?;
    serde_json::from_str(&body).with_context(|| format!("{url}/engram/state answered {body:?}"))
}

/// The body of a plain HTTP answer with status 200.
pub async fn get(url: &str, path: &str) -> Result<String> {
    let address = url.strip_prefix("http://").context("an http URL")?;
    let mut socket = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an HTTP answer")?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("{url}{path}: {}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}

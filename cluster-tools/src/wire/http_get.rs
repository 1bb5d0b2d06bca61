//! One GET over HTTP/1.0: enough for `/metrics`, `/health` and `/version`.
//!
//! Invariants: the answer is read up to [`BODY_BYTES_MAX`]; the whole exchange ends by the
//! deadline.
//!
//! Must not know: what the body means.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Address, Dialing, innermost, open};
use crate::ToolError;

/// More than any member's metrics.
const BODY_BYTES_MAX: u64 = 32 << 20;

/// An answer of status 200.
#[derive(Debug)]
pub(crate) struct Page {
    /// The server's clock, as its `Date` header tells it, to the second.
    pub(crate) date: Option<String>,
    pub(crate) body: String,
}

/// The body of `path` at an endpoint, when the status is 200.
///
/// *Errors*: `Connection` with the reason or the status line.
pub(crate) async fn get(
    dialing: &Dialing,
    endpoint: &str,
    path: &str,
    deadline: Duration,
) -> Result<Page, ToolError> {
    let failed = |reason: String| ToolError::Connection { endpoint: endpoint.into(), reason };
    let address = dialing.address(endpoint)?;
    let asked = ask(dialing, &address, path);
    let answer = tokio::time::timeout(deadline, asked)
        .await
        .map_err(|_| failed(format!("no answer to GET {path} in time")))?
        .map_err(|error| failed(innermost(&error)))?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(failed(format!("GET {path}: {status}")));
    }
    let date = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| value.trim().to_owned())
    });
    Ok(Page { date, body: body.to_owned() })
}

async fn ask(dialing: &Dialing, address: &Address, path: &str) -> std::io::Result<Vec<u8>> {
    let tls = if address.tls() {
        let config = dialing.tls_config().map_err(std::io::Error::other)?;
        let mut plain_http = (*config).clone();
        plain_http.alpn_protocols = vec![b"http/1.1".to_vec()];
        Some(Arc::new(plain_http))
    } else {
        None
    };
    let mut stream = open(address, tls).await?;
    // HTTP/1.0 keeps the answer unchunked and closes the connection behind it.
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n",
        address.authority()
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    match stream.take(BODY_BYTES_MAX).read_to_end(&mut answer).await {
        Ok(_) => Ok(answer),
        // A TLS peer that closes without a notice has still said everything.
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(answer),
        Err(error) => Err(error),
    }
}

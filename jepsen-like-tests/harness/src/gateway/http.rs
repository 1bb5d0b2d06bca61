//! As much of an HTTP/1.1 client as the comparison needs: one connection per request, the raw
//! answer taken apart.
//!
//! Must not know: what is asked.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;

/// An answer that takes longer is an error of the run.
const DEADLINE: Duration = Duration::from_secs(20);

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// `host:port` of a member's URL.
pub(crate) fn address(url: &str) -> &str {
    url.strip_prefix("http://").unwrap_or(url)
}

/// Asks once and reads the whole answer.
///
/// *Errors*: no answer in time, or none that is HTTP.
pub(crate) async fn ask(
    url: &str,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> Result<Answer> {
    let asked = async {
        let mut stream = TcpStream::connect(address(url)).await?;
        let host = if headers.contains("Host:") {
            String::new()
        } else {
            format!("Host: {}\r\n", address(url))
        };
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {}\r\n\
             {headers}\r\n",
            body.len()
        )
        .into_bytes();
        // In one piece: a body sent on its own waits until the head is acknowledged.
        request.extend_from_slice(body);
        // A server may answer and close before it has read everything.
        let sent = stream.write_all(&request).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer).await;
        if answer.is_empty() {
            sent?;
            read?;
        }
        parse(&answer)
    };
    let answer = tokio::time::timeout(DEADLINE, asked).await;
    answer.map_err(|_| anyhow!("{method} {path}: no answer"))?.context(path.to_owned())
}

fn parse(answer: &[u8]) -> Result<Answer> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").context("no head")?;
    let mut lines = head.lines();
    let code = lines.next().and_then(|line| line.split_whitespace().nth(1));
    let code = code.context("no code")?.parse()?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { code, headers, body: body.to_owned() };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = joined(body)?;
    }
    Ok(answer)
}

/// The chunks of a body as one text.
fn joined(mut chunks: &str) -> Result<String> {
    let mut body = String::new();
    while let Some((size, rest)) = chunks.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        let Some(chunk) = rest.get(..size) else { bail!("a chunk is cut off") };
        body.push_str(chunk);
        chunks = rest[size..].trim_start_matches("\r\n");
    }
    bail!("the last chunk is missing")
}

/// A request whose answer stays open; it is read line by line. The body is sent whole: Go's server
/// answers nothing before it has read all of it.
pub(crate) struct Open {
    lines: Lines<BufReader<tokio::net::tcp::OwnedReadHalf>>,
    _sending: tokio::net::tcp::OwnedWriteHalf,
}

impl Open {
    /// Sends the request.
    pub(crate) async fn post(url: &str, path: &str, headers: &str, body: &str) -> Result<Self> {
        let (receiving, mut sending) = TcpStream::connect(address(url)).await?.into_split();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            address(url),
            body.len()
        );
        sending.write_all(request.as_bytes()).await?;
        Ok(Open { lines: BufReader::new(receiving).lines(), _sending: sending })
    }

    /// The next line that is JSON: sizes of chunks and headers are passed over.
    pub(crate) async fn next(&mut self) -> Result<String> {
        let line = async {
            loop {
                let line = self.lines.next_line().await?.context("the stream has ended")?;
                if line.starts_with('{') {
                    return Ok(line);
                }
            }
        };
        tokio::time::timeout(DEADLINE, line).await.map_err(|_| anyhow!("no line in time"))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_apart() {
        let raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        let answer = parse(raw).expect("it is HTTP");
        assert_eq!((answer.code, answer.body.as_str()), (200, "abcd"));
        assert_eq!(answer.header("a"), Some("b"));
        assert!(joined("5\r\nabc").is_err());
    }
}

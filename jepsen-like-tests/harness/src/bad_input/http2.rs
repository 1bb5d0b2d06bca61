//! As much of HTTP/2 as is needed to break its rules: frames are written as they are told, and
//! nothing is read unless asked for.
//!
//! Must not know: what a flood is good for.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::gateway::http::address;

/// Kinds of frames. *Source*: RFC 9113, section 6.
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const RST_STREAM: u8 = 3;
    pub(in super::super) const SETTINGS: u8 = 4;
    pub(in super::super) const PING: u8 = 6;
    pub(in super::super) const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub(super) mod flag {
    pub(in super::super) const END_STREAM: u8 = 1;
    pub(in super::super) const END_HEADERS: u8 = 4;
}

/// SETTINGS_INITIAL_WINDOW_SIZE.
pub(super) const INITIAL_WINDOW: u16 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A write that takes longer means that the server reads no more.
const WRITE_WITHIN: Duration = Duration::from_secs(3);

/// One connection.
pub(super) struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Connects, and sends the preface with these settings.
    pub(super) async fn open(url: &str, settings: &[(u16, u32)]) -> Result<Self> {
        let mut stream = TcpStream::connect(address(url)).await?;
        stream.write_all(PREFACE).await?;
        let mut raw = Raw { stream };
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        raw.send(&frame(kind::SETTINGS, 0, 0, &settings)).await?;
        Ok(raw)
    }

    /// Sends bytes. *Errors*: the server closed the connection, or reads no more.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let sent = tokio::time::timeout(WRITE_WITHIN, self.stream.write_all(bytes)).await;
        Ok(sent.map_err(|_| anyhow!("the server reads no more"))??)
    }

    /// Reads up to the next frame of this kind; its payload.
    pub(super) async fn next(&mut self, wanted: u8) -> Result<Vec<u8>> {
        loop {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.context("the connection has ended")?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length)?];
            self.stream.read_exact(&mut payload).await?;
            if head[3] == wanted {
                return Ok(payload);
            }
        }
    }
}

/// One frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// The headers of a gRPC call, and more behind them; nothing is compressed.
pub(super) fn headers(url: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let usual = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", address(url)),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    usual.iter().chain(more).flat_map(|(name, value)| literal(name, value)).collect()
}

/// A header that no table keeps. *Source*: RFC 7541, section 6.2.2.
pub(super) fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

/// A text with its length in front. *Source*: RFC 7541, section 5.
fn text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.len();
    if rest < 127 {
        bytes.push(u8::try_from(rest).unwrap_or(0));
    } else {
        bytes.push(127);
        rest -= 127;
        while rest >= 128 {
            bytes.push(u8::try_from(rest % 128).unwrap_or(0) | 0x80);
            rest /= 128;
        }
        bytes.push(u8::try_from(rest).unwrap_or(0));
    }
    [&bytes[..], text.as_bytes()].concat()
}

/// A gRPC message with its five bytes in front.
pub(super) fn message(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[0][..], &length, message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_lengths_are_those_of_the_standards() {
        assert_eq!(frame(kind::PING, 1, 2, b"ab"), [0, 0, 2, 6, 1, 0, 0, 0, 2, b'a', b'b']);
        assert_eq!(literal("a", "bc"), [0, 1, b'a', 2, b'b', b'c']);
        // RFC 7541, C.1.2: 1337 with a prefix of five bits is 31, 154, 10; here of seven.
        assert_eq!(text(&"x".repeat(1337))[..3], [127, 186, 9]);
        assert_eq!(message(b"abc"), [0, 0, 0, 0, 3, b'a', b'b', b'c']);
    }
}

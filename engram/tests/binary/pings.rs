//! Pings of HTTP/2 both ways, frame by frame, beside the real etcd.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::certificates::{Ca, Says};
use crate::support::{PATIENCE, Process, engram, free_ports};
use crate::tls::{dial, flags, server_flags, started};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A client of HTTP/2 that does nothing of its own accord.
struct Wire(Box<dyn Stream>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Wire {
    async fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("open");
        stream.set_nodelay(true).expect("set");
        Self::over(stream).await
    }

    async fn over(stream: impl Stream + 'static) -> Self {
        let mut wire = Wire(Box::new(stream));
        wire.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sent");
        wire.send(SETTINGS, 0, 0, b"").await;
        wire
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = u32::try_from(payload.len()).expect("short").to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // Who was shown out may be gone already; what it was told is read all the same.
        drop(self.0.write_all(&frame).await);
    }

    /// The next frame; none at the end of the stream.
    async fn next(&mut self) -> Option<Frame> {
        let read = async {
            let mut header = [0; 9];
            self.0.read_exact(&mut header).await.ok()?;
            let [a, b, c, kind, flags, stream @ ..] = header;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.0.read_exact(&mut payload).await.ok()?;
            Some(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
        };
        tokio::time::timeout(PATIENCE, read).await.expect("a frame or an end in time")
    }

    /// The next frame that is wanted; settings and windows pass by.
    async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            match self.next().await {
                Some(frame) if wanted(&frame) => return Some(frame),
                Some(_) => {}
                None => return None,
            }
        }
    }

    /// Pings one after the other, so many times at most; how many were answered before the
    /// connection was closed, and what was said then.
    async fn ping(&mut self, times: u64, pause: Duration) -> (u64, Option<Vec<u8>>) {
        let mut clock = tokio::time::interval(pause.max(Duration::from_nanos(1)));
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for answered in 0..times {
            if !pause.is_zero() {
                clock.tick().await;
            }
            self.send(PING, 0, 0, &answered.to_be_bytes()).await;
            let is_answer = |frame: &Frame| {
                frame.kind == GOAWAY || frame.kind == PING && frame.flags & ACK != 0
            };
            match self.until(is_answer).await {
                Some(frame) if frame.kind == PING => {
                    assert_eq!(frame.payload, answered.to_be_bytes());
                }
                Some(frame) => return (answered, Some(frame.payload)),
                None => return (answered, None),
            }
        }
        (times, None)
    }

    /// Opens a call with one message; `ends` closes its half.
    async fn call(&mut self, stream: u32, path: &str, message: &[u8], ends: bool) {
        let mut headers = vec![0x83, 0x86];
        literal(&mut headers, &[0x04], path);
        literal(&mut headers, &[0x01], "127.0.0.1");
        literal(&mut headers, &[0x0f, 0x10], "application/grpc");
        headers.push(0);
        literal(&mut headers, &[2, b't', b'e'], "trailers");
        self.send(HEADERS, END_HEADERS, stream, &headers).await;
        let mut body = vec![0];
        body.extend(u32::try_from(message.len()).expect("short").to_be_bytes());
        body.extend(message);
        self.send(DATA, if ends { END_STREAM } else { 0 }, stream, &body).await;
    }
}

/// A header as HPACK spells it that keeps no table.
fn literal(headers: &mut Vec<u8>, name: &[u8], value: &str) {
    headers.extend(name);
    headers.push(u8::try_from(value.len()).expect("short"));
    headers.extend(value.as_bytes());
}

/// `create_request { key: "k" }`
const WATCH_K: &[u8] = &[0x0a, 3, 0x0a, 1, b'k'];
/// `key: "k"`
const RANGE_K: &[u8] = &[0x0a, 1, b'k'];
const NO_PAUSE: Duration = Duration::ZERO;

/// Both programs with these flags: Engram's port, etcd's, and the processes.
async fn both(folder: &Path, scheme: &str, more: &str) -> Option<([u16; 2], [Process; 2])> {
    let peers = programs::peers_with(&["etcd"])?;
    let (own, theirs) = (free_ports(), free_ports());
    let mut own_flags = flags(&folder.join("own"), scheme, own, more);
    own_flags.insert(0, "server".to_owned());
    let their_flags = flags(&folder.join("theirs"), scheme, theirs, more);
    let etcd = peers.join("etcd");
    let (a, b) =
        tokio::join!(started(engram(), own_flags, own), started(&etcd, their_flags, theirs));
    Some(([own, theirs], [a, b]))
}

/// Last stream, ENHANCE_YOUR_CALM, and the word that clients look for.
fn farewell(last_stream: u32) -> Vec<u8> {
    [&last_stream.to_be_bytes()[..], &[0, 0, 0, 11], b"too_many_pings"].concat()
}

#[tokio::test]
async fn who_pings_too_often_is_shown_out_as_by_etcd() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some((ports, _processes)) = both(folder.path(), "http", "").await else { return };
    for port in ports {
        let mut idle = Wire::open(port).await;
        let (answered, told) = idle.ping(10, NO_PAUSE).await;
        assert_eq!((answered, told), (4, Some(farewell(0))), "{port}: without a stream");
        assert_eq!(idle.next().await, None, "{port}: and closed");

        let mut watching = Wire::open(port).await;
        watching.call(1, "/etcdserverpb.Watch/Watch", WATCH_K, false).await;
        watching.until(|frame| frame.kind == DATA).await.expect("created");
        let (answered, told) = watching.ping(10, NO_PAUSE).await;
        assert_eq!((answered, told), (4, Some(farewell(1))), "{port}: with a stream");

        let mut asking = Wire::open(port).await;
        for stream in (1..40).step_by(2) {
            asking.call(stream, "/etcdserverpb.KV/Range", RANGE_K, true).await;
            let ended = |frame: &Frame| frame.kind == HEADERS && frame.flags & END_STREAM != 0;
            asking.until(ended).await.expect("answered");
            assert_eq!(asking.ping(2, NO_PAUSE).await, (2, None), "{port}: answers forgive");
        }
    }
}

#[tokio::test]
async fn the_time_between_pings_counts_while_a_call_is_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let more = "--grpc-keepalive-min-time=20ms";
    let Some((ports, _processes)) = both(folder.path(), "http", more).await else { return };
    for port in ports {
        let mut watching = Wire::open(port).await;
        watching.call(1, "/etcdserverpb.Watch/Watch", WATCH_K, false).await;
        watching.until(|frame| frame.kind == DATA).await.expect("created");
        let pause = Duration::from_millis(25);
        assert_eq!(watching.ping(12, pause).await, (12, None), "{port}");
        let mut idle = Wire::open(port).await;
        assert_eq!(idle.ping(12, pause).await, (4, Some(farewell(0))), "{port}");
    }
}

#[tokio::test]
async fn over_tls_with_http_beside_it_pings_are_free_as_with_etcd() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path(), "ca");
    let server = ca.sign("server", &Says::local("server", 1));
    let more = server_flags(&server);
    let Some((ports, _processes)) = both(folder.path(), "https", &more).await else { return };
    for port in ports {
        let mut idle = Wire::over(dial(port, &ca, None, b"h2").await.expect("let in")).await;
        assert_eq!(idle.ping(12, NO_PAUSE).await, (12, None), "{port}");
    }
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let more = "--grpc-keepalive-interval=1s --grpc-keepalive-timeout=1s";
    let Some((ports, _processes)) = both(folder.path(), "http", more).await else { return };
    for port in ports {
        let (began, mut silent) = (Instant::now(), Wire::open(port).await);
        silent.until(|frame| frame.kind == PING).await.expect("asked whether it is there");
        assert!(began.elapsed() >= Duration::from_millis(900), "{port}: not before its time");
        assert_eq!(silent.until(|frame| frame.kind == PING).await, None, "{port}: closed");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(8), "{port}: {took:?}");

        let mut alive = Wire::open(port).await;
        for _ in 0..3 {
            let asked = alive.until(|f| f.kind == PING && f.flags & ACK == 0).await;
            alive.send(PING, ACK, 0, &asked.expect("asked").payload).await;
        }
    }
}

//! How often a client may ping: who does it too often is told so and shown out.
//!
//! Invariants: frames are looked at by their headers as they pass, and never changed; the farewell
//! stands between two of our own frames, after the answer to the last ping; who was told to go is
//! waited for no longer than [`LINGER`].
//! *Source*: grpc-go's enforcement policy, which etcd sets with `--grpc-keepalive-min-time`.
//! Must not know: gRPC, what a stream is about.

use std::collections::HashSet;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tonic::transport::server::Connected;

use super::frames::{DATA, Frame, Frames, HEADERS, PING, RST_STREAM};

/// Without a stream there is no reason to ping more often. *Source*: grpc-go.
const WITHOUT_STREAM: Duration = Duration::from_secs(2 * 60 * 60);
/// So many pings that came too early are forgiven. *Source*: grpc-go.
const STRIKES_MAX: u32 = 2;
/// How long whoever was told to go may take to do so. *Source*: grpc-go.
const LINGER: Duration = Duration::from_secs(1);
/// HTTP/2's preface, before the client's first frame.
const PREFACE_BYTES: usize = 24;
const GOAWAY: u8 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;
/// What clients look for: they ping half as often then. *Source*: gRPC's keepalive guide.
const REASON: &[u8; 14] = b"too_many_pings";

/// An HTTP/2 connection whose pings are counted.
#[derive(Debug)]
pub(super) struct Guarded<I> {
    connection: I,
    /// None where any number of pings is served.
    guard: Option<Box<Guard>>,
}

#[derive(Debug)]
struct Guard {
    read: Frames,
    written: Frames,
    pings: Pings,
    farewell: Farewell,
}

/// Where a connection is on its way out.
#[derive(Debug)]
enum Farewell {
    /// It stays.
    None,
    /// So many bytes of the last frame were written.
    Saying(usize),
    /// All is said; the other side has until then to hang up.
    Said(Pin<Box<Sleep>>),
}

impl<I> Guarded<I> {
    /// Counts pings that come sooner than `min_time` after each other; none to serve them all.
    pub(super) fn new(connection: I, min_time: Option<Duration>) -> Self {
        let guard = min_time.map(|min_time| {
            Box::new(Guard {
                read: Frames::after(PREFACE_BYTES),
                written: Frames::after(0),
                pings: Pings::new(min_time),
                farewell: Farewell::None,
            })
        });
        Guarded { connection, guard }
    }
}

/// What is known of the pings of one connection.
#[derive(Debug)]
struct Pings {
    min_time: Duration,
    last: Option<Instant>,
    strikes: u32,
    /// Something was sent since the last ping: the next one is welcome.
    answered: bool,
    streams: HashSet<u32>,
    last_stream: u32,
}

impl Pings {
    fn new(min_time: Duration) -> Self {
        let streams = HashSet::new();
        Pings { min_time, last: None, strikes: 0, answered: false, streams, last_stream: 0 }
    }

    /// A frame of the client; whether it was one ping too many.
    fn received(&mut self, frame: Frame) -> bool {
        match frame.kind {
            // Trailers of a stream that is open already open none.
            HEADERS if frame.stream > self.last_stream => {
                self.last_stream = frame.stream;
                self.streams.insert(frame.stream);
            }
            RST_STREAM => drop(self.streams.remove(&frame.stream)),
            PING if !frame.is_ack() => return self.is_too_much(Instant::now()),
            _ => {}
        }
        false
    }

    /// A frame of ours.
    fn sent(&mut self, frame: Frame) {
        let ends = match frame.kind {
            HEADERS | DATA => {
                self.answered = true;
                frame.ends_stream()
            }
            kind => kind == RST_STREAM,
        };
        if ends {
            self.streams.remove(&frame.stream);
        }
    }

    fn is_too_much(&mut self, now: Instant) -> bool {
        let last = self.last.replace(now);
        if std::mem::take(&mut self.answered) {
            self.strikes = 0;
            return false;
        }
        let wanted = if self.streams.is_empty() { WITHOUT_STREAM } else { self.min_time };
        if last.is_some_and(|last| now.duration_since(last) < wanted) {
            self.strikes += 1;
        }
        self.strikes > STRIKES_MAX
    }

    /// The last frame that such a client gets.
    fn farewell(&self) -> [u8; 31] {
        let mut frame = [0; 31];
        frame[2] = 8 + REASON.len() as u8;
        frame[3] = GOAWAY;
        frame[9..13].copy_from_slice(&self.last_stream.to_be_bytes());
        frame[13..17].copy_from_slice(&ENHANCE_YOUR_CALM.to_be_bytes());
        frame[17..].copy_from_slice(REASON);
        frame
    }
}

impl Guard {
    fn received(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.read.next(&mut bytes) {
            if self.pings.received(frame) && matches!(self.farewell, Farewell::None) {
                tracing::debug!("got too many pings from the client, closing the connection");
                self.farewell = Farewell::Saying(0);
            }
        }
    }

    fn sent(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.written.next(&mut bytes) {
            self.pings.sent(frame);
        }
    }

    /// Says farewell, once what was to be sent before is sent.
    fn poll_farewell<I: AsyncWrite + Unpin>(
        &mut self,
        connection: &mut I,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let Farewell::Saying(said) = &mut self.farewell else { return Poll::Ready(Ok(())) };
        if !self.written.is_between() {
            return Poll::Ready(Ok(()));
        }
        let frame = self.pings.farewell();
        while *said < frame.len() {
            match ready!(Pin::new(&mut *connection).poll_write(context, &frame[*said..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => *said += bytes,
            }
        }
        ready!(Pin::new(&mut *connection).poll_flush(context))?;
        ready!(Pin::new(&mut *connection).poll_shutdown(context))?;
        self.farewell = Farewell::Said(Box::pin(tokio::time::sleep(LINGER)));
        // Whoever reads was put off until now.
        context.waker().wake_by_ref();
        Poll::Ready(Ok(()))
    }
}

/// Reads what nobody wants until the end of the stream or of the patience: closing before the other
/// side has read the farewell could take it away.
fn poll_linger<I: AsyncRead + Unpin>(
    connection: &mut I,
    patience: &mut Pin<Box<Sleep>>,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    let mut unwanted = [0; 1024];
    while patience.as_mut().poll(context).is_pending() {
        let mut buffer = ReadBuf::new(&mut unwanted);
        ready!(Pin::new(&mut *connection).poll_read(context, &mut buffer))?;
        if buffer.filled().is_empty() {
            break;
        }
    }
    Poll::Ready(Ok(()))
}

impl<I: AsyncRead + Unpin> AsyncRead for Guarded<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(guard) = &mut this.guard else {
            return Pin::new(&mut this.connection).poll_read(context, buffer);
        };
        match &mut guard.farewell {
            Farewell::None => {
                let before = buffer.filled().len();
                ready!(Pin::new(&mut this.connection).poll_read(context, buffer))?;
                guard.received(&buffer.filled()[before..]);
                Poll::Ready(Ok(()))
            }
            // The ping that was one too many is being answered; flushing that goes on from here.
            Farewell::Saying(_) => Poll::Pending,
            Farewell::Said(patience) => poll_linger(&mut this.connection, patience, context),
        }
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Guarded<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Some(Guard { farewell: Farewell::Said(_), .. }) = this.guard.as_deref() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = ready!(Pin::new(&mut this.connection).poll_write(context, bytes))?;
        if let Some(guard) = &mut this.guard {
            guard.sent(&bytes[..written]);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let Some(Guard { farewell: Farewell::Said(_), .. }) = this.guard.as_deref() {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let written = Pin::new(&mut this.connection).poll_write_vectored(context, slices);
        let written = ready!(written)?;
        if let Some(guard) = &mut this.guard {
            let mut rest = written;
            for slice in slices {
                let bytes = rest.min(slice.len());
                guard.sent(&slice[..bytes]);
                rest -= bytes;
            }
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(guard) = &mut this.guard {
            match guard.farewell {
                Farewell::None => {}
                Farewell::Saying(_) => {
                    ready!(guard.poll_farewell(&mut this.connection, context))?;
                }
                Farewell::Said(_) => return Poll::Ready(Ok(())),
            }
        }
        Pin::new(&mut this.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

impl<I: Connected> Connected for Guarded<I> {
    type ConnectInfo = I::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.connection.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING_FRAME: Frame = Frame { kind: PING, flags: 0, stream: 0 };

    fn pings(min_time_s: u64) -> (Pings, Instant) {
        (Pings::new(Duration::from_secs(min_time_s)), Instant::now())
    }

    #[test]
    fn two_early_pings_are_forgiven_and_the_third_is_not() {
        let (mut pings, now) = pings(5);
        let answers = [0, 1, 2, 3].map(|s| pings.is_too_much(now + Duration::from_secs(s)));
        assert_eq!(answers, [false, false, false, true]);
    }

    #[test]
    fn with_a_stream_only_the_asked_time_counts_and_without_one_two_hours() {
        let (mut pings, now) = pings(5);
        pings.received(Frame { kind: HEADERS, flags: 0, stream: 1 });
        for at in 0..9 {
            assert!(!pings.is_too_much(now + Duration::from_secs(5 * at)), "{at}");
        }
        pings.received(Frame { kind: RST_STREAM, flags: 0, stream: 1 });
        let answers = [60, 90, 120].map(|s| pings.is_too_much(now + Duration::from_secs(s)));
        assert_eq!(answers, [false, false, true]);
    }

    #[test]
    fn what_was_sent_meanwhile_forgives_all() {
        let (mut pings, now) = pings(5);
        for _ in 0..20 {
            assert!(!pings.is_too_much(now) && !pings.is_too_much(now));
            pings.sent(Frame { kind: DATA, flags: 1, stream: 1 });
        }
        pings.sent(Frame { kind: PING, flags: 1, stream: 0 });
        assert_eq!([(); 4].map(|()| pings.is_too_much(now)), [false, false, false, true]);
    }

    #[test]
    fn answers_to_our_own_pings_are_none_of_the_clients() {
        let (mut pings, _) = pings(5);
        let ack = Frame { flags: 1, ..PING_FRAME };
        assert!((0..20).all(|_| !pings.received(ack)));
    }

    #[tokio::test]
    async fn the_farewell_stands_between_frames_and_after_the_answer() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
        let (near, mut far) = duplex(4096);
        let mut guarded = Guarded::new(near, Some(Duration::from_secs(5)));
        let ping = [0, 0, 8, PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        far.write_all(&[0; PREFACE_BYTES]).await.expect("room");
        for _ in 0..4 {
            far.write_all(&ping).await.expect("room");
        }
        let mut read = vec![0; PREFACE_BYTES + 4 * ping.len()];
        guarded.read_exact(&mut read).await.expect("handed on");
        let mut ack = ping;
        ack[4] = 1;
        // Half a frame is flushed: the farewell has to wait for its end.
        for half in [&ack[..5], &ack[5..]] {
            guarded.write_all(half).await.expect("room");
            guarded.flush().await.expect("flushed");
        }
        let mut told = Vec::new();
        far.read_to_end(&mut told).await.expect("the end is told");
        let farewell = b"\0\0\x16\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0btoo_many_pings";
        assert_eq!(told, [&ack[..], &farewell[..]].concat());
        guarded.write_all(b"late").await.expect("swallowed");
        drop(far);
        assert_eq!(guarded.read(&mut [0; 8]).await.expect("an end"), 0);
    }
}

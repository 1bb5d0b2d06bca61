//! Rows 21 and 22: clients that do not read, and floods of frames that cost the sender little.
//!
//! Invariants: others are served meanwhile; the member's memory grows by a bounded amount; a
//! connection that is cut off is as good an answer as one that is served.
//!
//! Must not know: how the server notices.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use prost::Message as _;
use proto::etcdserverpb as pb;
use services::etcdserverpb::kv_client::KvClient;

use super::http2::{INITIAL_WINDOW, Raw, flag, frame, headers, kind, message};
use super::{Outcome, Plan, guard};
use crate::process::{Member, dial};

/// What a flood may cost the server, whatever it sends.
const FLOOD_BYTES_MAX: u64 = 64 << 20;
/// What clients that do not read may cost: less than a tenth of what they do not read.
const UNREAD_BYTES_MAX: u64 = 256 << 20;
/// A read of somebody else must be answered within this time meanwhile.
const READ_WITHIN: Duration = Duration::from_secs(3);
/// A flood ends then, also when the server takes it slowly.
const FLOOD_WITHIN: Duration = Duration::from_secs(2);

const RANGE: &str = "/etcdserverpb.KV/Range";
const WATCH: &str = "/etcdserverpb.Watch/Watch";

/// A flood: name, what is sent once, and what is sent again and again, by its number.
struct Flood {
    name: &'static str,
    times: u32,
    begin: Vec<u8>,
    more: Box<dyn Fn(u32) -> Vec<u8> + Send + Sync>,
}

/// All of them, on one member.
pub(super) async fn run(member: &mut Member, plan: &Plan, outcome: &mut Outcome) -> Result<()> {
    let url = member.client_url().to_owned();
    for flood in floods(&url, plan.scale) {
        let held = under(member, &url, &flood).await;
        outcome.check(22, flood.name, held);
    }
    let held = zero_windows(member, &url).await;
    outcome.check(22, "a hundred answers that no window lets through", held);
    let held = unread_watches(member, &url).await;
    outcome.check(21, "twenty watches whose client never reads", held);
    Ok(())
}

fn floods(url: &str, scale: u32) -> Vec<Flood> {
    let flood = |name, times: u32, begin, more| Flood { name, times: times * scale, begin, more };
    let call = headers(url, RANGE, &[]);
    let (open, unfinished) =
        (frame(kind::HEADERS, flag::END_HEADERS, 1, &call), frame(kind::HEADERS, 0, 1, &call));
    let block = super::http2::literal("x", &"y".repeat(16_000));
    let huge = headers(url, RANGE, &[("x-large", &"y".repeat(900_000))]);
    let pieces: Vec<Vec<u8>> = huge.chunks(16_000).map(<[u8]>::to_vec).collect();
    let last = u32::try_from(pieces.len()).unwrap_or(u32::MAX) - 1;
    vec![
        flood("streams that are reset at once", 20_000, Vec::new(), {
            Box::new(move |number| {
                let stream = 2 * number + 1;
                let reset = frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes());
                [frame(kind::HEADERS, flag::END_HEADERS, stream, &call), reset].concat()
            })
        }),
        flood("headers that go on without end", 4_000, unfinished, {
            Box::new(move |_| frame(kind::CONTINUATION, 0, 1, &block))
        }),
        flood("empty frames of data", 200_000, open, {
            Box::new(|_| frame(kind::DATA, 0, 1, &[]))
        }),
        flood("pings", 200_000, Vec::new(), Box::new(|_| frame(kind::PING, 0, 0, &[7; 8]))),
        flood("settings", 100_000, Vec::new(), Box::new(|_| frame(kind::SETTINGS, 0, 0, &[]))),
        Flood {
            name: "headers of a megabyte",
            times: last + 1,
            begin: Vec::new(),
            more: Box::new(move |number| {
                let kind = if number == 0 { kind::HEADERS } else { kind::CONTINUATION };
                let flags = if number == last { flag::END_HEADERS } else { 0 };
                pieces
                    .get(number as usize)
                    .map_or_else(Vec::new, |piece| frame(kind, flags, 1, piece))
            }),
        },
    ]
}

/// The member during and after a flood.
async fn under(member: &Member, url: &str, flood: &Flood) -> Result<()> {
    let before = guard::before(member).await?;
    let mut raw = Raw::open(url, &[]).await?;
    let deadline = Instant::now() + FLOOD_WITHIN;
    let sending = async {
        let mut bytes = flood.begin.clone();
        for number in 0..flood.times {
            bytes.extend((flood.more)(number));
            if bytes.len() > 32 * 1024 {
                // Whom the server cuts off, it has answered.
                if raw.send(&bytes).await.is_err() || Instant::now() > deadline {
                    return;
                }
                bytes.clear();
            }
        }
        drop(raw.send(&bytes).await);
    };
    let reading = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..5 {
            slowest = slowest.max(guard::read(member).await?);
        }
        anyhow::Ok(slowest)
    };
    let ((), slowest) = tokio::join!(sending, reading);
    let slowest = slowest?;
    ensure!(slowest <= READ_WITHIN, "a read of another client took {slowest:?}");
    guard::after(member, before, FLOOD_BYTES_MAX).await
}

/// Answers of a megabyte each, for which their client leaves no room.
async fn zero_windows(member: &Member, url: &str) -> Result<()> {
    put(member, "large", 1 << 20).await?;
    let before = guard::before(member).await?;
    let mut raw = Raw::open(url, &[(INITIAL_WINDOW, 0)]).await?;
    let range = pb::RangeRequest { key: "large".into(), ..Default::default() }.encode_to_vec();
    for number in 0..100 {
        let stream = 2 * number + 1;
        let call = frame(kind::HEADERS, flag::END_HEADERS, stream, &headers(url, RANGE, &[]));
        let body = frame(kind::DATA, flag::END_STREAM, stream, &message(&range));
        raw.send(&[call, body].concat()).await?;
    }
    // The heads of the answers come; their bodies wait.
    for _ in 0..100 {
        raw.next(kind::HEADERS).await?;
    }
    guard::after(member, before, UNREAD_BYTES_MAX).await
}

/// Watches of one key that is written two hundred times with half a megabyte.
async fn unread_watches(member: &Member, url: &str) -> Result<()> {
    let mut watchers = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::open(url, &[]).await?;
        let create = pb::WatchCreateRequest { key: "large".into(), ..Default::default() };
        let create = pb::watch_request::RequestUnion::CreateRequest(create);
        let create = pb::WatchRequest { request_union: Some(create) }.encode_to_vec();
        let call = frame(kind::HEADERS, flag::END_HEADERS, 1, &headers(url, WATCH, &[]));
        raw.send(&[call, frame(kind::DATA, 0, 1, &message(&create))].concat()).await?;
        raw.next(kind::DATA).await?;
        watchers.push(raw);
    }
    let resident = member.resident_bytes();
    for _ in 0..200 {
        put(member, "large", 512 * 1024).await?;
    }
    let grown = member.resident_bytes().saturating_sub(resident);
    ensure!(grown <= UNREAD_BYTES_MAX, "its memory grew by {} MiB", grown >> 20);
    let before = guard::before(member).await?;
    drop(watchers);
    guard::after(member, before, FLOOD_BYTES_MAX).await
}

async fn put(member: &Member, key: &'static str, bytes: usize) -> Result<()> {
    let mut kv = KvClient::new(dial(member.client_url()).await?);
    let value = vec![7; bytes].into();
    kv.put(pb::PutRequest { key: key.into(), value, ..Default::default() }).await?;
    Ok(())
}

//! Watches: several on one stream, filters, the past, progress, what was compacted, and a cut.
//!
//! Must not know: other keys than those under its prefix.

use etcd_client::{
    Client, EventType, Txn, TxnOp, WatchFilterType, WatchOptions, WatchResponse, WatchStream,
};

use crate::cut::Cut;
use crate::keys::put;
use crate::told::{Failure, PREFIX, Seen, Told, holds, text};

/// The steps about watches.
pub(crate) async fn tell(told: &mut Told, client: &Client, endpoint: &str) {
    told.step("watch", watch(client.clone())).await;
    told.step("watches_of_one_stream", of_one_stream(client.clone())).await;
    told.step("watch_of_the_past", past(client.clone())).await;
    told.step("watch_progress", progress(client.clone())).await;
    told.step("watch_compacted", compacted(client.clone())).await;
    told.step("watch_after_a_cut", after_a_cut(client.clone(), endpoint)).await;
}

async fn message(stream: &mut WatchStream) -> Result<WatchResponse, Failure> {
    Ok(stream.message().await?.ok_or("the stream ended")?)
}

/// The next events, as text.
async fn events(stream: &mut WatchStream, wanted: usize) -> Result<Vec<String>, Failure> {
    let mut seen = Vec::new();
    while seen.len() < wanted {
        for event in message(stream).await?.events() {
            let kv = event.kv().ok_or("an event without a key")?;
            let before = event.prev_kv().map(|kv| text(kv.value())).unwrap_or_default();
            let kind = if event.event_type() == EventType::Put { "put" } else { "delete" };
            seen.push(format!("{kind} {}={}<{before}", kv.key_str()?, kv.value_str()?));
        }
    }
    Ok(seen)
}

async fn watch(mut client: Client) -> Seen {
    let options = WatchOptions::new().with_prefix().with_prev_key().with_fragment();
    let mut stream = client.watch(format!("{PREFIX}watch/"), Some(options)).await?;
    holds(message(&mut stream).await?.created(), "created comes first")?;
    put(&mut client, "watch/a", "1").await?;
    put(&mut client, "watch/a", "2").await?;
    let both = [
        TxnOp::put(format!("{PREFIX}watch/b"), "1", None),
        TxnOp::delete(format!("{PREFIX}watch/a"), None),
    ];
    client.txn(Txn::new().and_then(both)).await?;
    Ok(format!("{:?}", events(&mut stream, 4).await?))
}

/// The ids that a client chooses, one that is taken, and the end of one of them.
async fn of_one_stream(mut client: Client) -> Seen {
    let id = |id| Some(WatchOptions::new().with_watch_id(id));
    let mut stream = client.watch(format!("{PREFIX}one"), id(1)).await?;
    let mut seen = vec![state(&message(&mut stream).await?)];
    stream.watch(format!("{PREFIX}two"), id(2)).await?;
    seen.push(state(&message(&mut stream).await?));
    stream.watch(format!("{PREFIX}three"), id(2)).await?;
    seen.push(state(&message(&mut stream).await?));
    stream.cancel(1).await?;
    seen.push(state(&message(&mut stream).await?));
    put(&mut client, "one", "1").await?;
    put(&mut client, "two", "1").await?;
    seen.extend(events(&mut stream, 1).await?);
    Ok(seen.join(" | "))
}

fn state(answer: &WatchResponse) -> String {
    let (id, reason) = (answer.watch_id(), answer.cancel_reason());
    format!("{id} {} {} {reason}", answer.created(), answer.canceled())
}

async fn past(mut client: Client) -> Seen {
    let first = put(&mut client, "past", "1").await?;
    client.delete(format!("{PREFIX}past"), None).await?;
    put(&mut client, "past", "2").await?;
    let options =
        WatchOptions::new().with_start_revision(first).with_filters([WatchFilterType::NoDelete]);
    let mut stream = client.watch(format!("{PREFIX}past"), Some(options)).await?;
    Ok(format!("{:?}", events(&mut stream, 2).await?))
}

async fn progress(mut client: Client) -> Seen {
    let mut stream = client.watch(format!("{PREFIX}quiet"), None).await?;
    message(&mut stream).await?;
    let revision = put(&mut client, "other", "1").await?;
    stream.request_progress().await?;
    let told = message(&mut stream).await?;
    let header = told.header().ok_or("no header")?;
    holds(header.revision() >= revision, "the revision is not older")?;
    Ok(format!("{} {}", told.watch_id(), told.events().len()))
}

async fn compacted(mut client: Client) -> Seen {
    let first = put(&mut client, "watch-compacted", "1").await?;
    let second = put(&mut client, "watch-compacted", "2").await?;
    client.compact(second, None).await?;
    let options = WatchOptions::new().with_start_revision(first);
    let mut stream = client.watch(format!("{PREFIX}watch-compacted"), Some(options)).await?;
    let mut seen = vec![state(&message(&mut stream).await?)];
    let told = message(&mut stream).await?;
    holds(told.compact_revision() == second, "the revision to go on from")?;
    seen.push(state(&told));
    Ok(seen.join(" | "))
}

/// The crate does not take a watch up again: its user does, from the revision after the last seen.
async fn after_a_cut(mut client: Client, endpoint: &str) -> Seen {
    let way = Cut::new(endpoint).await?;
    let mut far = Client::connect([way.endpoint()], None).await?;
    let key = format!("{PREFIX}cut");
    let mut stream = far.watch(key.as_str(), None).await?;
    message(&mut stream).await?;
    let seen = put(&mut client, "cut", "before").await?;
    let mut all = events(&mut stream, 1).await?;
    way.cut();
    holds(stream.message().await.is_err(), "a cut is an error")?;
    put(&mut client, "cut", "while").await?;
    let options = WatchOptions::new().with_start_revision(seen + 1);
    let mut stream = far.watch(key.as_str(), Some(options)).await?;
    put(&mut client, "cut", "after").await?;
    all.extend(events(&mut stream, 2).await?);
    Ok(format!("{all:?}"))
}

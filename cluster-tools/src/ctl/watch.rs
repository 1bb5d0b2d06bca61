//! `watch`: prints events until it is interrupted or the server cancels.
//!
//! Must not know: how a watch is resumed by client libraries; a broken stream ends the command.

use clap::Args;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{WatchCreateRequest, WatchRequest, WatchResponse};
use proto::mvccpb::Event;
use proto::mvccpb::event::EventType;
use serde_json::json;
use services::etcdserverpb::watch_client::WatchClient;

use super::print::{self, Format};
use super::{Global, kv};
use crate::ToolError;

/// Options of `watch`.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The key, or the first key of the range.
    key: String,
    /// The first key beyond the range.
    range_end: Option<String>,
    /// Every key that starts with KEY.
    #[arg(long)]
    prefix: bool,
    /// The revision to start at; 0 is from now on.
    #[arg(long, default_value_t = 0)]
    rev: i64,
    /// Print what was there before each change.
    #[arg(long)]
    prev_kv: bool,
    /// Ask for progress notices on an idle watch.
    #[arg(long)]
    progress_notify: bool,
}

pub(crate) async fn run(global: &Global, watch: Watch) -> Result<(), ToolError> {
    let (key, range_end) = kv::range(&watch.key, watch.range_end.as_deref(), watch.prefix, false)?;
    let create = WatchCreateRequest {
        key: key.into(),
        range_end: range_end.into(),
        start_revision: watch.rev,
        prev_kv: watch.prev_kv,
        progress_notify: watch.progress_notify,
        ..WatchCreateRequest::default()
    };
    let (requests, outgoing) = tokio::sync::mpsc::channel(1);
    let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
    requests
        .send(request)
        .await
        .map_err(|_| ToolError::Usage("the watch request could not be queued".to_owned()))?;
    let mut client =
        WatchClient::new(global.channel().await?).max_decoding_message_size(usize::MAX);
    let mut answers =
        client.watch(tokio_stream::wrappers::ReceiverStream::new(outgoing)).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        if answer.canceled {
            return Err(ToolError::Usage(cancel_text(&answer)));
        }
        show(global.write_out, &answer)?;
    }
    Ok(())
}

fn cancel_text(answer: &WatchResponse) -> String {
    if answer.compact_revision > 0 {
        return format!(
            "watch was canceled: required revision has been compacted; the oldest is {}",
            answer.compact_revision
        );
    }
    format!("watch was canceled ({})", answer.cancel_reason)
}

fn show(format: Format, answer: &WatchResponse) -> Result<(), ToolError> {
    if format == Format::Json {
        return print::json_line(&json!({
            "header": print::header(answer.header.as_ref()),
            "watch_id": answer.watch_id,
            "created": answer.created,
            "events": answer.events.iter().map(event_json).collect::<Vec<_>>(),
        }));
    }
    if answer.events.is_empty() && !answer.created {
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        return print::line(format!("progress notify: {revision}").as_bytes());
    }
    answer.events.iter().try_for_each(print_event)
}

fn print_event(event: &Event) -> Result<(), ToolError> {
    print::line(event_name(event).as_bytes())?;
    for kv in event.prev_kv.iter().chain(&event.kv) {
        print::line(&kv.key)?;
        print::line(&kv.value)?;
    }
    Ok(())
}

fn event_name(event: &Event) -> &'static str {
    if event.r#type == EventType::Delete as i32 { "DELETE" } else { "PUT" }
}

fn event_json(event: &Event) -> serde_json::Value {
    json!({
        "type": event_name(event),
        "kv": event.kv.as_ref().map(print::key_value),
        "prev_kv": event.prev_kv.as_ref().map(print::key_value),
    })
}

//! `watch`: prints events until it is interrupted or the server cancels.
//!
//! Invariants: a broken connection is made again, also to another endpoint, from the revision
//! after the last event printed, so that none is lost or printed twice; a canceled watch ends the
//! command.
//!
//! Must not know: how events are made.

use std::io::BufRead as _;

use clap::{Args, Parser};
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse};
use proto::metadata::{REQUIRE_LEADER, REQUIRE_LEADER_ON};
use proto::mvccpb::Event;
use proto::mvccpb::event::EventType;
use services::etcdserverpb::watch_client::WatchClient;
use tokio::sync::mpsc;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use super::global::Global;
use super::range::ends;
use super::show::{self, Output, notice};
use super::words::{quote, words};
use super::{kv, process};
use crate::ToolError;
use crate::catalogue::Id;
use crate::wire::is_stale;

/// Options of `watch`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Watch {
    /// The key, or the first key of the range.
    #[arg(env = "ETCDCTL_WATCH_KEY")]
    key: Option<String>,
    /// The first key beyond the range.
    #[arg(env = "ETCDCTL_WATCH_RANGE_END")]
    range_end: Option<String>,
    /// Every key that starts with KEY.
    #[arg(long)]
    prefix: bool,
    /// The revision to start at; 0 is from now on.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    rev: i64,
    /// Print what was there before each change.
    #[arg(long)]
    prev_kv: bool,
    /// Ask for progress notices on an idle watch.
    #[arg(long)]
    progress_notify: bool,
    /// Read `watch …` and `progress` lines from standard input, all on one stream.
    #[arg(short, long)]
    interactive: bool,
    /// A command to run for each event, after `--`; it finds the event in ETCD_WATCH_… variables.
    #[arg(last = true)]
    exec: Vec<String>,
}

/// A line of the interactive mode.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_help_subcommand = true)]
enum Line {
    Watch(Watch),
    Progress,
}

pub(crate) async fn run(global: &Global, watch: Watch) -> Result<(), ToolError> {
    if watch.interactive {
        return interactive(global, watch.key).await;
    }
    let mut create = watch.request()?;
    let mut was_open = false;
    loop {
        let broken = match follow(global, &watch, &mut create, &mut was_open).await {
            Err(ToolError::Rpc(status)) if was_open && is_broken(&status) => status.to_string(),
            Err(error @ ToolError::Connection { .. }) if was_open => error.to_string(),
            ended => return ended,
        };
        notice(format!("connection lost ({broken}); watching again"));
        tokio::time::sleep(global.dialing.dial_timeout / 4).await;
    }
}

fn is_broken(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled)
}

/// One stream to its end; `create` moves on, so that the next stream continues.
async fn follow(
    global: &Global,
    watch: &Watch,
    create: &mut WatchCreateRequest,
    was_open: &mut bool,
) -> Result<(), ToolError> {
    let (requests, mut answers) = open(global).await?;
    ask(&requests, RequestUnion::CreateRequest(create.clone())).await?;
    while let Some(answer) = answers.recv().await.transpose()? {
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        if answer.canceled {
            return Err(canceled(&answer));
        }
        *was_open = true;
        // A batch of the past carries the current revision in its header, not that of its events.
        let seen = answer.events.last().and_then(|event| event.kv.as_ref());
        let seen = match seen {
            Some(kv) => kv.mod_revision,
            None if answer.created && create.start_revision > 0 => 0,
            None => revision,
        };
        create.start_revision = create.start_revision.max(seen + 1);
        print(&global.output, &answer)?;
        for event in &answer.events {
            if !watch.exec.is_empty() {
                process::run(&watch.exec, &variables(revision, event)).await?;
            }
        }
    }
    Err(ToolError::Rpc(ended()))
}

/// The answers of a stream, as they come in.
type Answers = mpsc::Receiver<Result<WatchResponse, Status>>;

/// Opens a stream. etcd answers the call only with the first created watch, so the call is left to
/// a task of its own and must not hold up the requests.
async fn open(global: &Global) -> Result<(mpsc::Sender<WatchRequest>, Answers), ToolError> {
    // A full queue holds the server up, as a slow reader should.
    let (forward, answers) = mpsc::channel(16);
    Ok((open_into(global, forward).await?, answers))
}

/// The same, with its answers, and its end as an error, to a queue that there is.
async fn open_into(
    global: &Global,
    forward: mpsc::Sender<Result<WatchResponse, Status>>,
) -> Result<mpsc::Sender<WatchRequest>, ToolError> {
    let (requests, outgoing) = mpsc::channel(16);
    let mut call = tonic::Request::new(tokio_stream::wrappers::ReceiverStream::new(outgoing));
    let on = MetadataValue::from_static(REQUIRE_LEADER_ON);
    call.metadata_mut().insert(REQUIRE_LEADER, on);
    let mut unhurried = global.clone();
    unhurried.dialing.request_timeout = None;
    let client = WatchClient::new(unhurried.channel().await?);
    let mut client = client.max_decoding_message_size(global.receive_bytes_max);
    tokio::spawn(async move {
        let mut stream = match client.watch(call).await {
            Ok(stream) => stream.into_inner(),
            Err(status) => {
                // Nobody listens any more when this fails.
                drop(forward.send(Err(status)).await);
                return;
            }
        };
        while let Some(answer) = stream.message().await.transpose() {
            let is_last = answer.is_err();
            if forward.send(answer).await.is_err() || is_last {
                return;
            }
        }
        drop(forward.send(Err(ended())).await);
    });
    Ok(requests)
}

fn ended() -> Status {
    Status::unavailable("the watch stream ended")
}

async fn ask(requests: &mpsc::Sender<WatchRequest>, union: RequestUnion) -> Result<(), ToolError> {
    let request = WatchRequest { request_union: Some(union) };
    let closed = |_| ToolError::Rpc(ended());
    requests.send(request).await.map_err(closed)
}

async fn interactive(global: &Global, default_key: Option<String>) -> Result<(), ToolError> {
    let (forward, mut answers) = mpsc::channel(16);
    let mut requests = open_into(global, forward.clone()).await?;
    // Compat: etcd ends the watches of a stream that nobody can ask anything more.
    let mut earlier = Vec::new();
    let mut lines = typed_lines();
    // What was asked last, once, for when the stream's token has run out.
    let mut last = None;
    loop {
        tokio::select! {
            line = lines.recv() => {
                let Some(line) = line else {
                    let text = "standard input ended, and with it the interactive watch";
                    return Err(ToolError::of(Id::Input, text));
                };
                match understand(&line, default_key.as_ref()) {
                    Ok(union) => {
                        last = Some(union.clone());
                        ask(&requests, union).await?;
                    }
                    Err(why) => notice(format!("Invalid command {line} ({why})")),
                }
            }
            answer = answers.recv() => {
                let answer = answer.transpose()?.ok_or_else(ended)?;
                if answer.canceled && is_stale(&Status::unknown(&answer.cancel_reason))
                    && let Some(union) = last.take()
                {
                    // Who opens a stream logs in; what is watched on the old one goes on there.
                    let fresh = open_into(global, forward.clone()).await?;
                    earlier.push(std::mem::replace(&mut requests, fresh));
                    ask(&requests, union).await?;
                } else if answer.canceled {
                    notice(canceled(&answer).to_string());
                } else {
                    print(&global.output, &answer)?;
                }
            }
        }
    }
}

/// The lines of standard input, read on a thread of its own: nothing else can be waited for there.
fn typed_lines() -> mpsc::Receiver<String> {
    let (lines, typed) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            // The watch that would read it has ended, or standard input has.
            let Ok(line) = line else { return };
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    typed
}

fn understand(line: &str, default_key: Option<&String>) -> Result<RequestUnion, String> {
    match Line::try_parse_from(words(line)?) {
        Ok(Line::Progress) => Ok(RequestUnion::ProgressRequest(WatchProgressRequest {})),
        Ok(Line::Watch(mut watch)) => {
            watch.key = watch.key.or_else(|| default_key.cloned());
            watch.request().map(RequestUnion::CreateRequest).map_err(|error| error.to_string())
        }
        Err(_) => Err("only `watch [flags] KEY [END]` and `progress` are understood".to_owned()),
    }
}

impl Watch {
    fn request(&self) -> Result<WatchCreateRequest, ToolError> {
        let missing = || ToolError::Usage("watch needs a key (or ETCDCTL_WATCH_KEY)".to_owned());
        let key = self.key.as_deref().ok_or_else(missing)?;
        let (key, range_end) = ends(key, self.range_end.as_deref(), self.prefix, false)?;
        Ok(WatchCreateRequest {
            key: key.into(),
            range_end: range_end.into(),
            start_revision: self.rev,
            prev_kv: self.prev_kv,
            progress_notify: self.progress_notify,
            ..WatchCreateRequest::default()
        })
    }
}

fn canceled(answer: &WatchResponse) -> ToolError {
    let text = if answer.compact_revision > 0 {
        format!(
            "watch was canceled (etcdserver: mvcc: required revision has been compacted); the \
             oldest revision to be had is {}",
            answer.compact_revision
        )
    } else {
        format!("watch was canceled ({})", answer.cancel_reason)
    };
    ToolError::of(Id::WatchCanceled, text)
}

fn print(output: &Output, answer: &WatchResponse) -> Result<(), ToolError> {
    if answer.created {
        return Ok(());
    }
    if answer.events.is_empty() {
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        show::line(format!("progress notify: {revision}"))?;
    }
    output.show(
        answer,
        || {
            let mut lines = Vec::new();
            for event in &answer.events {
                lines.extend_from_slice(format!("{}\n", name(event)).as_bytes());
                let pairs = event.prev_kv.iter().chain(&event.kv);
                pairs.for_each(|pair| kv::pair_lines(output, pair, &mut lines));
            }
            lines
        },
        || answer.events.iter().map(|event| event_line(output, event)).collect(),
    )
}

fn event_line(output: &Output, event: &Event) -> String {
    let kv = event.kv.clone().unwrap_or_default();
    let mut line = format!("{:<6}  {:>8}  {}", name(event), kv.mod_revision, output.cell(&kv.key));
    if event.r#type == EventType::Put as i32 {
        line.push_str(&format!(" = {}", output.cell(&kv.value)));
    }
    if let Some(before) = &event.prev_kv {
        line.push_str(&format!("  (was {})", output.cell(&before.value)));
    }
    line.push('\n');
    line
}

fn name(event: &Event) -> &'static str {
    if event.r#type == EventType::Delete as i32 { "DELETE" } else { "PUT" }
}

/// What a command that is run for an event finds in its environment.
fn variables(revision: i64, event: &Event) -> Vec<(&'static str, String)> {
    let kv = event.kv.clone().unwrap_or_default();
    vec![
        ("ETCD_WATCH_REVISION", revision.to_string()),
        ("ETCD_WATCH_EVENT_TYPE", quote(name(event).as_bytes())),
        ("ETCD_WATCH_KEY", quote(&kv.key)),
        ("ETCD_WATCH_VALUE", quote(&kv.value)),
    ]
}

#[cfg(test)]
mod tests {
    use super::{canceled, understand};
    use proto::etcdserverpb::WatchResponse;
    use proto::etcdserverpb::watch_request::RequestUnion;

    #[test]
    fn a_line_is_a_watch_or_a_question_for_progress() {
        let Ok(RequestUnion::CreateRequest(create)) = understand("watch k --rev 3 --prefix", None)
        else {
            panic!("a watch")
        };
        assert_eq!((create.start_revision, &create.range_end[..]), (3, &b"l"[..]));
        assert!(matches!(understand("progress", None), Ok(RequestUnion::ProgressRequest(_))));
        assert!(understand("watch", None).is_err());
        assert!(understand("watch", Some(&"k".to_owned())).is_ok());
        assert!(understand("get k", None).is_err());
    }

    #[test]
    fn a_compacted_watch_names_the_oldest_revision() {
        let answer = WatchResponse { compact_revision: 7, canceled: true, ..Default::default() };
        let error = canceled(&answer);
        assert!(error.to_string().ends_with("is 7"), "{error}");
        assert_eq!(error.exit_code(), 5);
    }
}

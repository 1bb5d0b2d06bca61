//! One call ready to be sent to one member, over gRPC or as JSON, and its answer as text that is
//! equal exactly when the answers are.
//!
//! Must not know: the other side.

use anyhow::{Context as _, Result};
use bytes::{Bytes, BytesMut};
use prost::Message as _;
use proto::etcdserverpb::{RangeRequest, SnapshotResponse};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tonic::Status;
use tonic::transport::Channel;

use super::call::{self, Call};
use super::masked;
use super::names::Names;
use super::raw::{self, Wanted};
use crate::gateway::compare::head;
use crate::gateway::http::{self, Open};
use crate::process;

/// Where a call goes to.
#[derive(Debug)]
pub(super) enum To {
    /// Over gRPC, to the member with this URL.
    Grpc(String, Channel),
    /// To a path of the member with this URL, with this body.
    Json(String, &'static str, String),
}

/// One call to one member.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) call: Call,
    pub(super) to: To,
    pub(super) token: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Grpc(Result<Vec<Bytes>, Status>),
    Json(http::Answer),
    /// The first line of a stream.
    Line(String),
    /// No answer of HTTP.
    Broken(String),
}

impl Letter {
    /// Sends it and waits for the answer.
    pub(super) async fn send(self) -> Reply {
        let wanted = wanted(self.call.rpc);
        let (url, path, body) = match self.to {
            To::Grpc(url, mut channel) => {
                if wanted == Wanted::First {
                    // The rest is never read, and our HTTP/2 counts what is not: the hundredth such
                    // call would end the connection of all.
                    channel = match process::dial(&url).await {
                        Ok(own) => own,
                        Err(error) => return Reply::Broken(format!("{error:#}")),
                    };
                }
                let (rpc, request) = (self.call.rpc, self.call.request);
                let answer = raw::ask(channel, rpc, request, self.token.as_deref(), wanted).await;
                return Reply::Grpc(answer);
            }
            To::Json(url, path, body) => (url, path, body),
        };
        let headers =
            self.token.map(|token| format!("Authorization: {token}\r\n")).unwrap_or_default();
        // A renewal's stream ends with its one request; those of the others stay open.
        if wanted == Wanted::First && !path.ends_with("keepalive") {
            return match first(&url, path, &headers, &body).await {
                Ok(line) => Reply::Line(line),
                Err(error) => Reply::Broken(format!("{error:#}")),
            };
        }
        match http::ask(&url, "POST", path, &headers, body.as_bytes()).await {
            Ok(answer) => Reply::Json(answer),
            Err(error) => Reply::Broken(format!("{error:#}")),
        }
    }
}

async fn first(url: &str, path: &str, headers: &str, body: &str) -> Result<String> {
    Open::post(url, path, headers, body).await?.next().await
}

fn wanted(rpc: &str) -> Wanted {
    match rpc {
        "etcdserverpb.KV/RangeStream" | "etcdserverpb.Maintenance/Snapshot" => Wanted::All,
        "etcdserverpb.Watch/Watch"
        | "etcdserverpb.Lease/LeaseKeepAlive"
        | "v3electionpb.Election/Observe" => Wanted::First,
        _ => Wanted::One,
    }
}

/// An answer as text, and the message that it was when it was none of an error.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) text: String,
    pub(super) message: Option<Bytes>,
    pub(super) revision: i64,
}

impl Read {
    fn only(text: String) -> Self {
        Self { text, message: None, revision: 0 }
    }

    /// Reads an answer to the call as the side with these names gave it.
    pub(super) fn new(call: &Call, reply: Reply, names: &Names) -> Result<Self> {
        match reply {
            Reply::Grpc(Err(status)) => {
                Ok(Self::only(format!("error {:?}: {}", status.code(), status.message())))
            }
            Reply::Grpc(Ok(messages)) if call.rpc == "etcdserverpb.Maintenance/Snapshot" => {
                Self::snapshot(&messages)
            }
            Reply::Grpc(Ok(messages)) => Self::message(call, merged(messages), names),
            Reply::Broken(error) => Ok(Self::only(format!("no answer: {error}"))),
            Reply::Line(line) => Self::line(call, &line, names),
            Reply::Json(answer) => Self::json(call, &answer, names),
        }
    }

    fn message(call: &Call, message: Bytes, names: &Names) -> Result<Self> {
        let Ok(method) = call::method(call.rpc) else {
            return Ok(Self { text: format!("{message:?}"), message: Some(message), revision: 0 });
        };
        let value = call::value(&call::decoded(method.output(), &message)?)?;
        let at = revision(&value);
        Ok(Self { text: text(call, value, names)?, message: Some(message), revision: at })
    }

    /// The answer of the gateway to a call that is no stream, or to one that has ended.
    fn json(call: &Call, answer: &http::Answer, names: &Names) -> Result<Self> {
        let is_stream = wanted(call.rpc) != Wanted::One;
        if is_stream && answer.code == 200 && call.rpc.ends_with("/Snapshot") {
            let lines: Vec<_> = answer.body.lines().map(|line| of_line(call, line)).collect();
            let read = Self::snapshot(&lines.into_iter().collect::<Result<Vec<_>>>()?)?;
            return Ok(Self { text: format!("{} {}", head(answer), read.text), ..read });
        }
        let mut texts = vec![head(answer)];
        let (mut message, mut at) = (None, 0);
        for line in answer.body.lines() {
            let Ok(value) = serde_json::from_str::<Value>(line) else {
                texts.push(line.to_owned());
                continue;
            };
            if answer.code == 200 {
                let result = if is_stream { &value["result"] } else { &value };
                at = revision(result);
                message = read(call, result).ok();
            }
            texts.push(text(call, value, names)?);
        }
        Ok(Self { text: texts.join("\n"), message, revision: at })
    }

    fn line(call: &Call, line: &str, names: &Names) -> Result<Self> {
        let value: Value = serde_json::from_str(line)?;
        let result = &value["result"];
        let (message, at) = (read(call, result).ok(), revision(result));
        Ok(Self { text: text(call, value, names)?, message, revision: at })
    }

    /// Whether the database is whole; its bytes are each server's own.
    fn snapshot(pieces: &[Bytes]) -> Result<Self> {
        let mut file = Vec::new();
        let mut told = Vec::new();
        for piece in pieces {
            let piece = SnapshotResponse::decode(piece.clone())?;
            file.extend_from_slice(&piece.blob);
            told.push((piece.remaining_bytes, piece.version));
        }
        let content = file.len().saturating_sub(32);
        let right = Sha256::digest(&file[..content]).as_slice() == &file[content..];
        let pages = content > 0 && content % 4096 == 0;
        told.dedup_by(|one, before| one.1 == before.1);
        let versions: Vec<_> = told.iter().map(|(_, version)| version).collect();
        let text = format!("snapshot: trailer {right}, whole pages {pages}, versions {versions:?}");
        Ok(Self::only(text))
    }
}

fn of_line(call: &Call, line: &str) -> Result<Bytes> {
    let value: Value = serde_json::from_str(line)?;
    read(call, &value["result"])
}

fn read(call: &Call, value: &Value) -> Result<Bytes> {
    let message = call::read(call::method(call.rpc)?.output(), value)?;
    Ok(message.encode_to_vec().into())
}

/// Pieces of one message one after the other are that message.
fn merged(messages: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(messages) {
        Ok([only]) => only,
        Err(messages) => {
            let mut all = BytesMut::new();
            messages.iter().for_each(|message| all.extend_from_slice(message));
            all.freeze()
        }
    }
}

fn revision(value: &Value) -> i64 {
    let header = value.get("range_response").unwrap_or(value).get("header");
    let revision = header.and_then(|header| header.get("revision"));
    revision.and_then(Value::as_str).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn text(call: &Call, mut value: Value, names: &Names) -> Result<String> {
    names.put(&mut value);
    masked::mask(call.rpc, &mut value);
    if call.rpc == "etcdserverpb.KV/Range" {
        let request = RangeRequest::decode(call.request.clone()).context("our own request")?;
        masked::range(&request, &mut value);
    }
    Ok(value.to_string())
}

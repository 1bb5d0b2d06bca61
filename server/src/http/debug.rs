//! What is there for the curious: `/debug/vars` and `/debug/pprof/`.
//!
//! Compat: the names that have a meaning here; a Go profile has none, and says so.
//! Must not know: the other pages.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::pages::plain_error;
use crate::member::Member;
use crate::metrics::{Process, command_line};

/// `/debug/vars`: what the process was started with, and where consensus is.
pub(super) async fn vars(State(member): State<Arc<Member>>) -> Response {
    let (leadership, raft) = (member.leadership(), member.consensus().metrics());
    let process = Process::read();
    let role = if leadership.is_leader { "StateLeader" } else { "StateFollower" };
    let page = json!({
        "cmdline": command_line(),
        "file_descriptor_limit": process.map(|process| process.max_fds),
        "memstats": { "Sys": process.map(|process| process.resident_bytes) },
        "raft.status": {
            "id": format!("{:x}", member.ids().member_id),
            "term": raft.term,
            "lead": leadership.leader.map_or_else(|| "0".to_owned(), |id| format!("{:x}", id.0)),
            "raftState": role,
            "commit": raft.committed_index,
            "applied": raft.applied_index,
        },
    });
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], page.to_string()).into_response()
}

/// `/debug/pprof/`.
pub(super) async fn index() -> Response {
    let text = "/debug/pprof/\n\n\
        cmdline   what the process was started with\n\n\
        The other pages of Go's profiler have no counterpart here; use perf on the process.\n";
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// `/debug/pprof/{page}`.
pub(super) async fn page(Path(page): Path<String>) -> Response {
    const OF_GO: &[&str] = &[
        "profile",
        "symbol",
        "trace",
        "heap",
        "goroutine",
        "threadcreate",
        "block",
        "mutex",
        "allocs",
    ];
    match page.as_str() {
        "cmdline" => {
            let line = command_line().join("\0");
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], line).into_response()
        }
        page if OF_GO.contains(&page) => {
            let text = format!("there is no Go runtime to take a {page} profile of");
            plain_error(StatusCode::NOT_IMPLEMENTED, &text)
        }
        _ => plain_error(StatusCode::NOT_FOUND, "Unknown profile"),
    }
}

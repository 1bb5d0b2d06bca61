//! Watches as lines and over a WebSocket: the same history must come out of both servers.
//!
//! Must not know: what the history is.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::compare::{masked, revision};
use super::http::{Open, address, ask};
use super::{Outcome, Pair};

/// A watch of everything from a revision.
fn create(from: i64) -> String {
    format!(
        "{{\"create_request\":{{\"key\":\"AA==\",\"range_end\":\"AA==\",\"prev_kv\":true,\
         \"start_revision\":\"{from}\"}}}}"
    )
}

/// Compares both kinds of streams.
pub(super) async fn run(pair: Pair<'_>, outcome: &mut Outcome) -> Result<()> {
    let from = revision(pair[0]).await? + 1;
    for url in pair {
        for body in
            [r#"{"key":"d2F0Y2hlZA==","value":"MQ=="}"#, r#"{"key":"d2F0Y2hlZA==","value":"Mg=="}"#]
        {
            ask(url, "POST", "/v3/kv/put", "", body.as_bytes()).await?;
        }
        ask(url, "POST", "/v3/kv/deleterange", "", br#"{"key":"d2F0Y2hlZA=="}"#).await?;
    }
    let (theirs, ours) = tokio::join!(lines(pair[0], from), lines(pair[1], from));
    outcome.add(difference("a watch as lines", &told(theirs), &told(ours)));
    let (theirs, ours) = tokio::join!(messages(pair[0], from), messages(pair[1], from));
    outcome.add(difference("a watch over a WebSocket", &told(theirs), &told(ours)));
    let (theirs, ours) = tokio::join!(renewed(pair[0]), renewed(pair[1]));
    outcome.add(difference("keep-alives over a WebSocket", &told(theirs), &told(ours)));
    Ok(())
}

/// An error of one side is its answer.
fn told(answer: Result<Vec<String>>) -> Vec<String> {
    answer.unwrap_or_else(|error| vec![format!("error: {error:#}")])
}

fn difference(what: &str, theirs: &[String], ours: &[String]) -> Option<String> {
    (theirs != ours).then(|| format!("{what}\n    etcd:   {theirs:#?}\n    engram: {ours:#?}"))
}

/// The answers to three events, one text for each event: how many come in one answer is open.
struct Events(Vec<String>);

impl Events {
    fn take(&mut self, line: &str) -> Result<()> {
        let answer: Value = serde_json::from_str(line)?;
        match answer["result"]["events"].as_array() {
            Some(events) => self.0.extend(events.iter().map(Value::to_string)),
            None => self.0.push(without_revision(line)),
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.0.len() >= 4
    }
}

/// The first answer's revision depends on when it was given.
fn without_revision(line: &str) -> String {
    let mut value: Value = serde_json::from_str(&masked("/v3/watch", line)).unwrap_or_default();
    if let Some(result) = value["result"].as_object_mut() {
        result.remove("header");
    }
    value.to_string()
}

async fn lines(url: &str, from: i64) -> Result<Vec<String>> {
    let mut open = Open::post(url, "/v3/watch", "", &create(from)).await?;
    let mut events = Events(Vec::new());
    while !events.is_complete() {
        events.take(&open.next().await?)?;
    }
    Ok(events.0)
}

/// One connection.
pub(crate) type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A WebSocket to a path of a member; the token goes as etcd's proxy takes it.
pub(crate) async fn socket(url: &str, path: &str, token: Option<&str>) -> Result<Socket> {
    let mut request = format!("ws://{}{path}", address(url)).into_client_request()?;
    if let Some(token) = token {
        let value = format!("Bearer, {token}").parse()?;
        request.headers_mut().insert("sec-websocket-protocol", value);
    }
    // Small messages go at once: each would wait until the one before is acknowledged.
    let connected = tokio_tungstenite::connect_async_with_config(request, None, true).await;
    let (socket, _) = connected.context("no WebSocket")?;
    Ok(socket)
}

/// The next text.
pub(crate) async fn next(socket: &mut Socket) -> Result<String> {
    use tokio_stream::StreamExt as _;
    loop {
        match socket.next().await.context("the socket has ended")?? {
            Message::Text(text) => return Ok(text.to_string()),
            Message::Ping(_) | Message::Pong(_) => {}
            other => bail!("no text: {other:?}"),
        }
    }
}

/// Sends one text.
pub(crate) async fn send(socket: &mut Socket, text: String) -> Result<()> {
    use futures::SinkExt as _;
    Ok(socket.send(Message::text(text)).await?)
}

async fn messages(url: &str, from: i64) -> Result<Vec<String>> {
    let mut socket = socket(url, "/v3/watch", None).await?;
    send(&mut socket, create(from)).await?;
    let mut events = Events(Vec::new());
    while !events.is_complete() {
        events.take(&next(&mut socket).await?)?;
    }
    Ok(events.0)
}

async fn renewed(url: &str) -> Result<Vec<String>> {
    let mut socket = socket(url, "/v3/lease/keepalive", None).await?;
    let mut answers = Vec::new();
    for id in ["700", "12"] {
        send(&mut socket, format!("{{\"ID\":\"{id}\"}}")).await?;
        answers.push(masked("/v3/lease/keepalive", &next(&mut socket).await?));
    }
    Ok(answers)
}

//! The gateway over a WebSocket: each message is a piece of the request's body, each line of the
//! answer a message. Browsers cannot stream a request in another way.
//!
//! Invariant: a client that does not read stops its own call only; messages wait in a channel of
//! one. Compat: etcd's proxy; the token may come as the sub-protocol `Bearer, <token>` or in the
//! cookie `token`, since browsers cannot set headers here.

use axum::body::{Body, Bytes};
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse as _, Response};
use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{Gateway, Rest};

/// Whether a request asks for a WebSocket.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let has = |name: header::HeaderName, word: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket")
}

/// Changes the protocol and carries the call on.
pub(super) async fn upgraded(gateway: Gateway, parts: &mut Parts) -> Response {
    let upgrade = match WebSocketUpgrade::from_request_parts(parts, &()).await {
        Ok(upgrade) => upgrade.max_message_size(gateway.0.value_bytes_max),
        Err(refused) => return refused.into_response(),
    };
    let mut inner = parts.clone();
    // Compat: whatever the method was, the call is a POST.
    inner.method = Method::POST;
    if let Some(token) = token(&parts.headers) {
        inner.headers.insert(header::AUTHORIZATION, token);
    }
    upgrade.protocols(["Bearer"]).on_upgrade(move |socket| carry(gateway, inner, socket))
}

fn token(headers: &HeaderMap) -> Option<HeaderValue> {
    let cookies =
        headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let cookie = cookies
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix("token="));
    let protocol =
        headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    let bearer =
        protocol.and_then(|value| value.split_once("Bearer,")).map(|(_, token)| token.trim());
    HeaderValue::from_str(&format!("Bearer {}", cookie.or(bearer)?)).ok()
}

/// Runs one call over a socket; ends with either side.
async fn carry(gateway: Gateway, parts: Parts, socket: WebSocket) {
    let (mut out, mut incoming) = socket.split();
    let (pieces, body) = mpsc::channel::<Result<Bytes, std::convert::Infallible>>(1);
    let reading = async move {
        while let Some(Ok(message)) = incoming.next().await {
            let payload = match message {
                Message::Text(text) => Bytes::from(text),
                Message::Binary(bytes) => bytes,
                Message::Ping(_) | Message::Pong(_) => continue,
                Message::Close(_) => return,
            };
            let line = [payload.as_ref(), b"\n"].concat();
            if pieces.send(Ok(line.into())).await.is_err() {
                // The call takes no more requests; its answers go on until the client leaves.
                while let Some(Ok(message)) = incoming.next().await {
                    if matches!(message, Message::Close(_)) {
                        return;
                    }
                }
                return;
            }
        }
    };
    let answering = async move {
        let body = Body::from_stream(ReceiverStream::new(body));
        let answer = gateway.answer_parts(&parts, body, Rest::Left).await;
        let mut lines = answer.into_body().into_data_stream();
        while let Some(Ok(line)) = lines.next().await {
            let text = String::from_utf8_lossy(&line);
            if out.send(Message::Text(text.trim_end().into())).await.is_err() {
                return;
            }
        }
        drop(out.send(Message::Close(None)).await);
    };
    tokio::select! {
        () = reading => {}
        () = answering => {}
    }
}

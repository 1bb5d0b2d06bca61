//! gRPC calls by name, with requests and answers as bytes.
//!
//! Must not know: what the bytes mean.

use bytes::{Buf as _, BufMut as _, Bytes};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

/// Which messages of the answer are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The answer is one message.
    One,
    /// The first of a stream.
    First,
    /// All of a stream.
    All,
}

#[derive(Debug, Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}

/// Makes one call; the messages that were wanted.
pub(crate) async fn ask(
    channel: Channel,
    rpc: &'static str,
    request: Bytes,
    token: Option<&str>,
    wanted: Wanted,
) -> Result<Vec<Bytes>, Status> {
    let mut grpc = Grpc::new(channel).max_decoding_message_size(usize::MAX);
    grpc.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let path = format!("/{rpc}").parse().map_err(|_| Status::internal("no path"))?;
    if wanted == Wanted::One {
        let answer = grpc.unary(with_token(request, token), path, Raw).await?;
        return Ok(vec![answer.into_inner()]);
    }
    // A watch is open until the answer is there: etcd ends a stream that its client is done with.
    let open = usize::from(rpc == "etcdserverpb.Watch/Watch");
    let rest = tokio_stream::StreamExt::take(tokio_stream::pending(), open);
    let requests = tokio_stream::StreamExt::chain(tokio_stream::once(request), rest);
    let answers = grpc.streaming(with_token(requests, token), path, Raw).await?;
    let mut answers: Streaming<Bytes> = answers.into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await? {
        all.push(answer);
        if wanted == Wanted::First {
            return Ok(all);
        }
    }
    match wanted {
        Wanted::First => Err(Status::unknown("the stream ended without an answer")),
        _ => Ok(all),
    }
}

fn with_token<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token.and_then(|token| token.parse().ok()) {
        request.metadata_mut().insert("token", token);
    }
    request
}

//! A watch answer whose events are already encoded.
//!
//! Invariant: [`EncodedEvents`] is what the `events` field of a watch answer looks like on the
//! wire: for each event the tag of field 11, a length, and the encoded `mvccpb.Event`. An event
//! is encoded once and its bytes are joined into the answers of all its watchers.
//!
//! Must not know: who watches, or which revisions belong together.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{self, DecodeContext, WireType};
use prost::{DecodeError, Message};

use crate::etcdserverpb::{self, ResponseHeader};
use crate::mvccpb::Event;
use crate::mvccpb::event::EventType;

const HEADER: u32 = 1;
const WATCH_ID: u32 = 2;
const CREATED: u32 = 3;
const CANCELED: u32 = 4;
const COMPACT_REVISION: u32 = 5;
const CANCEL_REASON: u32 = 6;
const FRAGMENT: u32 = 7;
const EVENTS: u32 = 11;

const EVENT_TYPE: u32 = 1;
const EVENT_KV: u32 = 2;
const EVENT_PREV_KV: u32 = 3;

/// Encoded events, ready to be the `events` field of a watch answer. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct EncodedEvents {
    /// The events, each with the tag of field 11 and its length.
    pub bytes: Bytes,
}

impl EncodedEvents {
    /// Encodes one event from the encoded key-values.
    ///
    /// # Shape
    /// `kv` is an encoded `KeyValue`; of a delete it holds only the key and the revision.
    #[must_use]
    pub fn one(kind: EventType, kv: &[u8], prev_kv: Option<&[u8]>) -> Self {
        let mut builder = EncodedEventsBuilder::default();
        builder.push(kind, kv, prev_kv);
        builder.finish()
    }

    /// The length that [`EncodedEvents::one`] would have, in bytes.
    #[must_use]
    pub fn one_len(kind: EventType, kv: &[u8], prev_kv: Option<&[u8]>) -> usize {
        let event = event_len(kind, kv, prev_kv);
        encoding::key_len(EVENTS) + encoding::encoded_len_varint(event as u64) + event
    }

    /// There are no events.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The length on the wire, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Decodes the events, for tests and tools.
    ///
    /// # Errors
    /// The bytes are not encoded events: they are damaged, and a retry does not help.
    pub fn decode(&self) -> Result<Vec<Event>, DecodeError> {
        Ok(etcdserverpb::WatchResponse::decode(self.bytes.clone())?.events)
    }
}

/// Joins events into one [`EncodedEvents`].
#[derive(Debug, Default)]
pub struct EncodedEventsBuilder {
    bytes: BytesMut,
}

impl EncodedEventsBuilder {
    /// An empty builder with room for `capacity_bytes`.
    #[must_use]
    pub fn with_capacity(capacity_bytes: usize) -> Self {
        Self { bytes: BytesMut::with_capacity(capacity_bytes) }
    }

    /// Encodes one event behind those that are there.
    ///
    /// # Shape
    /// `kv` is an encoded `KeyValue`; of a delete it holds only the key and the revision.
    pub fn push(&mut self, kind: EventType, kv: &[u8], prev_kv: Option<&[u8]>) {
        let event = event_len(kind, kv, prev_kv);
        encoding::encode_key(EVENTS, WireType::LengthDelimited, &mut self.bytes);
        encoding::encode_varint(event as u64, &mut self.bytes);
        if kind != EventType::default() {
            encoding::int32::encode(EVENT_TYPE, &(kind as i32), &mut self.bytes);
        }
        put_message(EVENT_KV, kv, &mut self.bytes);
        if let Some(prev_kv) = prev_kv {
            put_message(EVENT_PREV_KV, prev_kv, &mut self.bytes);
        }
    }

    /// Adds events that are encoded already.
    pub fn push_encoded(&mut self, events: &EncodedEvents) {
        self.bytes.put_slice(&events.bytes);
    }

    /// The length so far, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The joined events.
    #[must_use]
    pub fn finish(self) -> EncodedEvents {
        EncodedEvents { bytes: self.bytes.freeze() }
    }
}

fn event_len(kind: EventType, kv: &[u8], prev_kv: Option<&[u8]>) -> usize {
    let kind_len = match kind == EventType::default() {
        true => 0,
        false => encoding::int32::encoded_len(EVENT_TYPE, &(kind as i32)),
    };
    let prev_kv_len = prev_kv.map_or(0, |prev_kv| message_len(EVENT_PREV_KV, prev_kv));
    kind_len + message_len(EVENT_KV, kv) + prev_kv_len
}

fn message_len(tag: u32, encoded: &[u8]) -> usize {
    encoding::key_len(tag) + encoding::encoded_len_varint(encoded.len() as u64) + encoded.len()
}

fn put_message(tag: u32, encoded: &[u8], bytes: &mut BytesMut) {
    encoding::encode_key(tag, WireType::LengthDelimited, bytes);
    encoding::encode_varint(encoded.len() as u64, bytes);
    bytes.put_slice(encoded);
}

/// Twin of [`crate::etcdserverpb::WatchResponse`].
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct WatchResponse {
    /// Who answers, and at which revision.
    pub header: Option<ResponseHeader>,
    /// The watcher that is meant; -1 = all of the stream, or none that came into being.
    pub watch_id: i64,
    /// The first answer of a watcher.
    pub created: bool,
    /// The last answer of a watcher.
    pub canceled: bool,
    /// The revision below which history is gone; not 0 when the watcher fell below it.
    pub compact_revision: i64,
    /// Why the watcher ended.
    pub cancel_reason: String,
    /// More events of the same revision follow in the next answer.
    pub fragment: bool,
    /// The events, oldest first.
    pub events: EncodedEvents,
}

impl Message for WatchResponse {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        if let Some(header) = &self.header {
            encoding::message::encode(HEADER, header, buf);
        }
        if self.watch_id != 0 {
            encoding::int64::encode(WATCH_ID, &self.watch_id, buf);
        }
        if self.created {
            encoding::bool::encode(CREATED, &self.created, buf);
        }
        if self.canceled {
            encoding::bool::encode(CANCELED, &self.canceled, buf);
        }
        if self.compact_revision != 0 {
            encoding::int64::encode(COMPACT_REVISION, &self.compact_revision, buf);
        }
        if !self.cancel_reason.is_empty() {
            encoding::string::encode(CANCEL_REASON, &self.cancel_reason, buf);
        }
        if self.fragment {
            encoding::bool::encode(FRAGMENT, &self.fragment, buf);
        }
        buf.put_slice(&self.events.bytes);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            HEADER => {
                let header = self.header.get_or_insert_with(ResponseHeader::default);
                encoding::message::merge(wire_type, header, buf, ctx)
            }
            WATCH_ID => encoding::int64::merge(wire_type, &mut self.watch_id, buf, ctx),
            CREATED => encoding::bool::merge(wire_type, &mut self.created, buf, ctx),
            CANCELED => encoding::bool::merge(wire_type, &mut self.canceled, buf, ctx),
            COMPACT_REVISION => {
                encoding::int64::merge(wire_type, &mut self.compact_revision, buf, ctx)
            }
            CANCEL_REASON => encoding::string::merge(wire_type, &mut self.cancel_reason, buf, ctx),
            FRAGMENT => encoding::bool::merge(wire_type, &mut self.fragment, buf, ctx),
            EVENTS => {
                let mut event = Bytes::new();
                encoding::bytes::merge(wire_type, &mut event, buf, ctx)?;
                self.append_event(&event);
                Ok(())
            }
            _ => encoding::skip_field(wire_type, tag, buf, ctx),
        }
    }

    fn encoded_len(&self) -> usize {
        let int64 = |tag, value: i64| match value {
            0 => 0,
            _ => encoding::int64::encoded_len(tag, &value),
        };
        let flag = |tag, value: bool| match value {
            false => 0,
            true => encoding::bool::encoded_len(tag, &value),
        };
        let reason = match self.cancel_reason.is_empty() {
            true => 0,
            false => encoding::string::encoded_len(CANCEL_REASON, &self.cancel_reason),
        };
        self.header.as_ref().map_or(0, |header| encoding::message::encoded_len(HEADER, header))
            + int64(WATCH_ID, self.watch_id)
            + flag(CREATED, self.created)
            + flag(CANCELED, self.canceled)
            + int64(COMPACT_REVISION, self.compact_revision)
            + reason
            + flag(FRAGMENT, self.fragment)
            + self.events.len()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

impl WatchResponse {
    fn append_event(&mut self, event: &[u8]) {
        let mut bytes = match std::mem::take(&mut self.events.bytes).try_into_mut() {
            Ok(bytes) => bytes,
            Err(shared) => BytesMut::from(&shared[..]),
        };
        put_message(EVENTS, event, &mut bytes);
        self.events.bytes = bytes.freeze();
    }
}

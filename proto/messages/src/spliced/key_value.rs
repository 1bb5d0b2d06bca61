//! One `mvccpb.KeyValue` as its encoded bytes, and a borrowed view of its fields.
//!
//! Invariant: the canonical encoding is the one that protobuf writers produce for this message:
//! fields in rising order, default values left out. [`KeyValueView::encode`] and
//! [`EncodedKeyValue::encode`] are the only places that make it, and they agree byte for byte.
//!
//! Must not know: revisions' meaning, the store.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{self, DecodeContext, WireType};
use prost::{DecodeError, Message};

use crate::mvccpb::KeyValue;

const KEY: u32 = 1;
const CREATE_REVISION: u32 = 2;
const MOD_REVISION: u32 = 3;
const VERSION: u32 = 4;
const VALUE: u32 = 5;
const LEASE: u32 = 6;

/// The bytes of one encoded `mvccpb.KeyValue`.
///
/// As a protobuf message it encodes by copying its bytes, so it may stand wherever a `KeyValue`
/// stands. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct EncodedKeyValue(pub Bytes);

impl EncodedKeyValue {
    /// Encodes `kv` canonically.
    #[must_use]
    pub fn encode(kv: &KeyValue) -> Self {
        Self(kv.encode_to_vec().into())
    }

    /// Decodes into the plain message; key and value share these bytes.
    ///
    /// # Errors
    /// The bytes are not an encoded `KeyValue`: they are damaged, and a retry does not help.
    pub fn decode(&self) -> Result<KeyValue, DecodeError> {
        KeyValue::decode(self.0.clone())
    }

    /// Looks at the fields without copying.
    ///
    /// # Errors
    /// The bytes are not an encoded `KeyValue`: they are damaged, and a retry does not help.
    pub fn view(&self) -> Result<KeyValueView<'_>, DecodeError> {
        KeyValueView::parse(&self.0)
    }
}

impl From<Bytes> for EncodedKeyValue {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for EncodedKeyValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.view() {
            Ok(view) => f.debug_tuple("EncodedKeyValue").field(&view).finish(),
            Err(_) => f.debug_tuple("EncodedKeyValue").field(&self.0).finish(),
        }
    }
}

impl Message for EncodedKeyValue {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        // The bytes are ours alone while a message is being decoded, so this seldom copies.
        let mut bytes = match std::mem::take(&mut self.0).try_into_mut() {
            Ok(bytes) => bytes,
            Err(shared) => BytesMut::from(&shared[..]),
        };
        append_field(&mut bytes, tag, wire_type, buf, ctx)?;
        self.0 = bytes.freeze();
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0 = Bytes::new();
    }
}

/// Copies one field as it is; groups, which etcd never sends, are dropped.
fn append_field(
    bytes: &mut BytesMut,
    tag: u32,
    wire_type: WireType,
    buf: &mut impl Buf,
    ctx: DecodeContext,
) -> Result<(), DecodeError> {
    match wire_type {
        WireType::Varint => {
            let value = encoding::decode_varint(buf)?;
            encoding::encode_key(tag, wire_type, bytes);
            encoding::encode_varint(value, bytes);
        }
        WireType::LengthDelimited => {
            let mut value = Bytes::new();
            encoding::bytes::merge(wire_type, &mut value, buf, ctx)?;
            encoding::bytes::encode(tag, &value, bytes);
        }
        WireType::SixtyFourBit => {
            let mut value = 0;
            encoding::fixed64::merge(wire_type, &mut value, buf, ctx)?;
            encoding::fixed64::encode(tag, &value, bytes);
        }
        WireType::ThirtyTwoBit => {
            let mut value = 0;
            encoding::fixed32::merge(wire_type, &mut value, buf, ctx)?;
            encoding::fixed32::encode(tag, &value, bytes);
        }
        WireType::StartGroup | WireType::EndGroup => {
            encoding::skip_field(wire_type, tag, buf, ctx)?;
        }
    }
    Ok(())
}

/// The fields of a `KeyValue`, borrowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeyValueView<'a> {
    /// The key; never empty in a stored value.
    pub key: &'a [u8],
    /// The revision at which the key came into being; 0 for a tombstone.
    pub create_revision: i64,
    /// The revision of the last change.
    pub mod_revision: i64,
    /// How often the key was put since it came into being; 0 for a tombstone.
    pub version: i64,
    /// The value.
    pub value: &'a [u8],
    /// The lease that the key is attached to; 0 = none.
    pub lease: i64,
}

impl<'a> KeyValueView<'a> {
    /// Parses encoded bytes; unknown fields are skipped, a repeated field's last value holds.
    ///
    /// # Errors
    /// The bytes are not an encoded `KeyValue`: they are damaged, and a retry does not help.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut view = Self::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (tag, wire_type) = encoding::decode_key(&mut rest)?;
            let ctx = DecodeContext::default();
            match tag {
                KEY => view.key = parse_slice(wire_type, &mut rest)?,
                VALUE => view.value = parse_slice(wire_type, &mut rest)?,
                CREATE_REVISION => view.create_revision = parse_int64(wire_type, &mut rest)?,
                MOD_REVISION => view.mod_revision = parse_int64(wire_type, &mut rest)?,
                VERSION => view.version = parse_int64(wire_type, &mut rest)?,
                LEASE => view.lease = parse_int64(wire_type, &mut rest)?,
                _ => encoding::skip_field(wire_type, tag, &mut rest, ctx)?,
            }
        }
        Ok(view)
    }

    /// Encodes canonically, without an owned message in between.
    #[must_use]
    pub fn encode(&self) -> EncodedKeyValue {
        let mut bytes = BytesMut::with_capacity(self.encoded_len());
        self.put_slice(KEY, self.key, &mut bytes);
        self.put_int64(CREATE_REVISION, self.create_revision, &mut bytes);
        self.put_int64(MOD_REVISION, self.mod_revision, &mut bytes);
        self.put_int64(VERSION, self.version, &mut bytes);
        self.put_slice(VALUE, self.value, &mut bytes);
        self.put_int64(LEASE, self.lease, &mut bytes);
        EncodedKeyValue(bytes.freeze())
    }

    /// The length of [`KeyValueView::encode`]'s result, in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let int64 = |tag, value: i64| match value {
            0 => 0,
            _ => encoding::int64::encoded_len(tag, &value),
        };
        slice_len(KEY, self.key)
            + int64(CREATE_REVISION, self.create_revision)
            + int64(MOD_REVISION, self.mod_revision)
            + int64(VERSION, self.version)
            + slice_len(VALUE, self.value)
            + int64(LEASE, self.lease)
    }

    fn put_slice(&self, tag: u32, value: &[u8], bytes: &mut BytesMut) {
        if !value.is_empty() {
            encoding::encode_key(tag, WireType::LengthDelimited, bytes);
            encoding::encode_varint(value.len() as u64, bytes);
            bytes.put_slice(value);
        }
    }

    fn put_int64(&self, tag: u32, value: i64, bytes: &mut BytesMut) {
        if value != 0 {
            encoding::int64::encode(tag, &value, bytes);
        }
    }
}

impl<'a> From<&'a KeyValue> for KeyValueView<'a> {
    fn from(kv: &'a KeyValue) -> Self {
        Self {
            key: &kv.key,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            value: &kv.value,
            lease: kv.lease,
        }
    }
}

fn slice_len(tag: u32, value: &[u8]) -> usize {
    if value.is_empty() {
        return 0;
    }
    encoding::key_len(tag) + encoding::encoded_len_varint(value.len() as u64) + value.len()
}

fn parse_int64(wire_type: WireType, rest: &mut &[u8]) -> Result<i64, DecodeError> {
    let mut value = 0;
    encoding::int64::merge(wire_type, &mut value, rest, DecodeContext::default())?;
    Ok(value)
}

fn parse_slice<'a>(wire_type: WireType, rest: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    encoding::wire_type::check_wire_type(WireType::LengthDelimited, wire_type)?;
    let before = *rest;
    // Checks the length against what is left, with prost's own errors.
    encoding::skip_field(wire_type, KEY, rest, DecodeContext::default())?;
    let mut field = &before[..before.len() - rest.len()];
    encoding::decode_varint(&mut field)?;
    Ok(field)
}

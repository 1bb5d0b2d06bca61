//! The bytes of protobuf: tags, varints, lengths.
//!
//! Must not know: the schema.

use super::ProtobufError;

/// Groups within groups that are skipped.
const GROUP_DEPTH_MAX: usize = 100;

/// A field as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire<'data> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'data [u8]),
    /// 32 bits, a group, or no type at all: nothing in Kubernetes is written so. Not yet read.
    Other(u8),
}

impl Wire<'_> {
    /// The number by which protobuf calls it.
    pub(super) fn wire_type(&self) -> u8 {
        match self {
            Self::Varint(_) => 0,
            Self::Fixed64(_) => 1,
            Self::Bytes(_) => 2,
            Self::Other(wire_type) => *wire_type,
        }
    }
}

/// Reads the fields of a message one by one.
pub(super) struct Reader<'data> {
    rest: &'data [u8],
    /// What Go calls the message, for errors; empty for parts that have no name.
    name: &'static str,
}

impl<'data> Reader<'data> {
    pub(super) fn new(data: &'data [u8], name: &'static str) -> Self {
        Self { rest: data, name }
    }

    /// The next tag and its value; none at the end.
    ///
    /// Order: a field of a type that is not read must be skipped before the next.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Wire<'data>)>, ProtobufError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (tag, wire_type) = self.key()?;
        if wire_type == 4 {
            return Err(malformed(&match self.name {
                "" => "proto: unexpected end of group".to_owned(),
                name => format!("proto: {name}: wiretype end group for non-group"),
            }));
        }
        let value = match wire_type {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(self.fixed64()?),
            2 => Wire::Bytes(self.bytes()?),
            other => Wire::Other(other),
        };
        Ok(Some((tag, value)))
    }

    /// Passes over a field that is not known.
    pub(super) fn skip(&mut self, wire: Wire<'data>) -> Result<(), ProtobufError> {
        match wire {
            Wire::Other(3) => self.skip_group(),
            Wire::Other(5) => self.take(4).map(drop),
            Wire::Other(other) => Err(malformed(&format!("proto: illegal wireType {other}"))),
            _ => Ok(()),
        }
    }

    /// Only varints, one behind the other: a packed list.
    pub(super) fn packed(&mut self) -> Result<Option<u64>, ProtobufError> {
        if self.rest.is_empty() { Ok(None) } else { self.varint().map(Some) }
    }

    fn key(&mut self) -> Result<(u32, u8), ProtobufError> {
        let key = self.varint()?;
        let tag = u32::try_from(key >> 3).ok().filter(|tag| *tag != 0);
        let wire_type = u8::try_from(key & 7).unwrap_or(7);
        let illegal = || {
            // Compat: Go prints the tag as 32 bits with a sign, and the whole key as the type.
            let tag = (key >> 3) & u64::from(u32::MAX);
            let tag = u32::try_from(tag).unwrap_or(0).cast_signed();
            let message = if self.name.is_empty() { "Generated" } else { self.name };
            malformed(&format!("proto: {message}: illegal tag {tag} (wire type {key})"))
        };
        Ok((tag.ok_or_else(illegal)?, wire_type))
    }

    fn skip_group(&mut self) -> Result<(), ProtobufError> {
        let mut depth = 1usize;
        while depth > 0 {
            match self.key()?.1 {
                0 => drop(self.varint()?),
                1 => drop(self.take(8)?),
                2 => drop(self.bytes()?),
                3 if depth < GROUP_DEPTH_MAX => depth += 1,
                4 => depth -= 1,
                5 => drop(self.take(4)?),
                other => return Err(malformed(&format!("proto: illegal wireType {other}"))),
            }
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, ProtobufError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.rest.split_first().ok_or_else(end)?;
            self.rest = rest;
            value |= u64::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed("proto: integer overflow"))
    }

    fn fixed64(&mut self) -> Result<u64, ProtobufError> {
        let bytes = self.take(8)?;
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| end())
    }

    fn bytes(&mut self) -> Result<&'data [u8], ProtobufError> {
        let length = self.varint()?;
        self.take(usize::try_from(length).map_err(|_| end())?)
    }

    fn take(&mut self, count: usize) -> Result<&'data [u8], ProtobufError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(end)?;
        self.rest = rest;
        Ok(taken)
    }
}

pub(super) fn malformed(what: &str) -> ProtobufError {
    ProtobufError::Malformed(what.to_owned())
}

fn end() -> ProtobufError {
    malformed("unexpected EOF")
}

/// Writes a message from its end to its beginning, so that every length is known when it is
/// written. What is held is the message backwards.
#[derive(Default)]
pub(super) struct Backwards {
    reversed: Vec<u8>,
}

impl Backwards {
    pub(super) fn len(&self) -> usize {
        self.reversed.len()
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.reversed.extend(bytes.iter().rev());
    }

    pub(super) fn varint(&mut self, mut value: u64) {
        let mut encoded = [0u8; 10];
        let mut length = 0;
        loop {
            let low = u8::try_from(value & 0x7f).unwrap_or(0);
            value >>= 7;
            encoded[length] = if value == 0 { low } else { low | 0x80 };
            length += 1;
            if value == 0 {
                break;
            }
        }
        self.bytes(&encoded[..length]);
    }

    pub(super) fn key(&mut self, tag: u32, wire_type: u8) {
        self.varint(u64::from(tag) << 3 | u64::from(wire_type));
    }

    pub(super) fn varint_field(&mut self, tag: u32, value: u64) {
        self.varint(value);
        self.key(tag, 0);
    }

    pub(super) fn bytes_field(&mut self, tag: u32, bytes: &[u8]) {
        let before = self.len();
        self.bytes(bytes);
        self.length(tag, before);
    }

    /// The length and the key of what was written since `before`.
    pub(super) fn length(&mut self, tag: u32, before: usize) {
        self.varint(u64::try_from(self.len() - before).unwrap_or(u64::MAX));
        self.key(tag, 2);
    }

    /// The message, forwards.
    pub(super) fn into_bytes(mut self) -> bytes::Bytes {
        self.reversed.reverse();
        self.reversed.into()
    }
}

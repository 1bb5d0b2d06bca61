//! How a member writes its own state for itself alone: bincode in an envelope.
//!
//! ```text
//! format: u8 = 1 | CRC-32C of the rest: u32 LE | bincode (standard configuration)
//! ```
//!
//! Invariant: what is read is either exactly what was written, or damage. The only module that
//! names bincode.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StorageError;
use crate::limits::RECORD_BYTES_MAX;

const FORMAT: u8 = 1;
const ENVELOPE_BYTES: usize = 5;

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<RECORD_BYTES_MAX>()
}

/// The stored form of a record.
pub(crate) fn encode<T: Serialize>(record: &T) -> Bytes {
    let mut out = vec![0; ENVELOPE_BYTES];
    bincode::serde::encode_into_std_write(record, &mut out, configuration())
        .expect("records are plain numbers and byte strings, and memory does not refuse them");
    out[0] = FORMAT;
    let crc = crc32c::crc32c(&out[ENVELOPE_BYTES..]);
    out[1..ENVELOPE_BYTES].copy_from_slice(&crc.to_le_bytes());
    out.into()
}

/// Reads a record back. `what` names it in the error.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, StorageError> {
    let damaged = |why: String| StorageError::Damaged(format!("{what}: {why}"));
    let Some((envelope, body)) = bytes.split_at_checked(ENVELOPE_BYTES) else {
        return Err(damaged(format!("{} bytes are too few", bytes.len())));
    };
    if envelope[0] != FORMAT {
        return Err(damaged(format!("format {} is unknown", envelope[0])));
    }
    if crc32c::crc32c(body).to_le_bytes() != envelope[1..] {
        return Err(damaged("the checksum differs".into()));
    }
    let (record, read) = bincode::serde::decode_from_slice(body, configuration())
        .map_err(|error| damaged(error.to_string()))?;
    if read != body.len() {
        return Err(damaged(format!("{} bytes follow the record", body.len() - read)));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_is_golden() {
        assert_eq!(encode(&(1u64, -1i64)).as_ref(), [1, 0xa6, 0x6c, 0xa8, 0x10, 1, 1]);
    }

    #[test]
    fn any_flipped_bit_is_damage() {
        let good = encode(&(300u64, String::from("abc")));
        assert_eq!(decode::<(u64, String)>("it", &good).expect("own bytes"), (300, "abc".into()));
        for bit in 0..good.len() * 8 {
            let mut bad = good.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<(u64, String)>("it", &bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn short_and_long_records_are_damage() {
        let good = encode(&7u64);
        for bytes in 0..good.len() {
            assert!(decode::<u64>("it", &good[..bytes]).is_err(), "{bytes} bytes");
        }
        assert!(decode::<u64>("it", &encode(&(7u64, 8u64))).is_err());
    }
}

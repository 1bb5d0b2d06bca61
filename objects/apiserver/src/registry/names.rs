//! What the server makes up: uids, name suffixes, times.
//!
//! Invariant: all randomness and time comes from the seams.

use jiff::Timestamp;

use super::seams::{Entropy, Seams};

/// The letters of a generated suffix: no vowels and no digits that look like letters, so that no
/// words come about.
const SUFFIX_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;
/// The longest prefix of a generated name: a DNS label without the suffix.
const PREFIX_BYTES_MAX: usize = 63 - SUFFIX_LENGTH;

impl Seams {
    /// Now, as objects carry it: in whole seconds.
    pub(super) fn now_text(&self) -> String {
        time_text(self.clock.now())
    }

    /// A random (version 4) uid.
    pub(super) fn uid(&self) -> String {
        let high = (self.entropy.next() & 0xffff_ffff_ffff_0fff) | 0x4000;
        let low = (self.entropy.next() & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }

    /// A name that begins with `prefix`, which is cut where it would be too long.
    pub(super) fn name(&self, prefix: &str) -> String {
        let mut end = prefix.len().min(PREFIX_BYTES_MAX);
        while !prefix.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}{}", &prefix[..end], suffix(self.entropy.as_ref()))
    }
}

fn suffix(entropy: &dyn Entropy) -> String {
    let mut bits = entropy.next();
    let letters = SUFFIX_ALPHABET.len() as u64;
    (0..SUFFIX_LENGTH)
        .map(|_| {
            let at = usize::try_from(bits % letters).expect("less than the alphabet");
            bits /= letters;
            char::from(SUFFIX_ALPHABET[at])
        })
        .collect()
}

/// A time as objects carry it.
pub(super) fn time_text(time: Timestamp) -> String {
    let whole = Timestamp::from_second(time.as_second()).unwrap_or(time);
    whole.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads a time of an object.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

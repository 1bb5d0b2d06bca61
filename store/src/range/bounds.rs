//! Which keys a request means by `key` and `range_end`.
//!
//! Compat: etcd: no end is one key; the end `"\0"` is everything from the key on; an end at or
//! before the key is nothing.

/// A set of neighbouring keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyRange<'a> {
    /// One key.
    Point(&'a [u8]),
    /// All keys from one on, up to another one, exclusive, if there is one.
    Span {
        /// Inclusive.
        from: &'a [u8],
        /// Exclusive.
        to: Option<&'a [u8]>,
    },
}

impl<'a> KeyRange<'a> {
    /// What `key` and `range_end` mean.
    pub(crate) fn of(key: &'a [u8], range_end: &'a [u8]) -> Self {
        match range_end {
            [] => Self::Point(key),
            [0] => Self::Span { from: key, to: None },
            end => Self::Span { from: key, to: Some(end) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_makes_a_span_and_a_zero_end_an_open_one() {
        assert_eq!(KeyRange::of(b"b", b""), KeyRange::Point(b"b"));
        assert_eq!(KeyRange::of(b"b", b"\0"), KeyRange::Span { from: b"b", to: None });
        for end in [&b"c"[..], b"a", b"\0\0"] {
            assert_eq!(KeyRange::of(b"b", end), KeyRange::Span { from: b"b", to: Some(end) });
        }
    }
}

//! Which keys a request means by `key` and `range_end`.
//!
//! Compat: etcd: no end is one key; the end `"\0"` is everything from the key on; an end at or before the key
//! is nothing.

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

    /// Whether a key is in the set.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::Point(point) => *point == key,
            Self::Span { from, to } => *from <= key && to.is_none_or(|to| key < to),
        }
    }

    /// Whether no key can be in the set.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Span { from, to: Some(to) } if to <= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_end_is_one_key() {
        let range = KeyRange::of(b"b", b"");
        assert!(range.contains(b"b") && !range.contains(b"b\0") && !range.is_empty());
    }

    #[test]
    fn a_zero_end_is_everything_from_the_key_on() {
        let range = KeyRange::of(b"b", b"\0");
        assert!(range.contains(b"b") && range.contains(b"\xff") && !range.contains(b"a"));
        assert!(KeyRange::of(b"\0", b"\0").contains(b"\0"));
    }

    #[test]
    fn an_end_at_or_before_the_key_is_nothing() {
        for end in [&b"b"[..], b"a"] {
            let range = KeyRange::of(b"b", end);
            assert!(range.is_empty() && !range.contains(b"a") && !range.contains(b"b"));
        }
    }
}

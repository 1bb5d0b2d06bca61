//! Sets of keys as merged intervals: what a user may read, or write.
//!
//! Invariant: intervals are sorted by their start, do not touch each other, and are not empty; so a
//! range is covered when one interval covers it, found by one binary search.
//! Compat: a range whose end is not above its start reads nothing, and is held against its start.

use bytes::Bytes;

/// The end of an interval, exclusive. The order is that of keys; no end is above all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Before(Bytes),
    Never,
}

/// The end that a request or a permission means: `[]` is the key alone, `[0]` is no end.
enum Span<'k> {
    Key,
    Before(&'k [u8]),
    Open,
}

impl<'k> Span<'k> {
    fn of(range_end: &'k [u8]) -> Self {
        match range_end {
            [] => Span::Key,
            [0] => Span::Open,
            end => Span::Before(end),
        }
    }
}

/// See the module's page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Intervals(Vec<(Bytes, End)>);

impl Intervals {
    /// Merges permissions, each a key and a range end.
    pub(super) fn of(mut permissions: Vec<(Bytes, Bytes)>) -> Self {
        permissions.sort();
        let mut merged: Vec<(Bytes, End)> = Vec::with_capacity(permissions.len());
        for (key, range_end) in permissions {
            let end = match Span::of(&range_end) {
                Span::Key => End::Before(after(&key)),
                Span::Before(_) => End::Before(range_end),
                Span::Open => End::Never,
            };
            match merged.last_mut() {
                Some((_, last)) if touches(last, &key) => *last = last.clone().max(end),
                _ => merged.push((key, end)),
            }
        }
        merged.retain(|(start, end)| !matches!(end, End::Before(end) if end <= start));
        Self(merged)
    }

    /// Whether every key of the range is in the set. An empty key never is.
    pub(super) fn cover(&self, key: &[u8], range_end: &[u8]) -> bool {
        let above = self.0.partition_point(|(start, _)| start.as_ref() <= key);
        let Some((_, end)) = above.checked_sub(1).map(|at| &self.0[at]) else { return false };
        match (Span::of(range_end), end) {
            (_, End::Never) => true,
            (Span::Open, End::Before(_)) => false,
            (Span::Key, End::Before(end)) => key < end.as_ref(),
            (Span::Before(wanted), End::Before(end)) => {
                key < end.as_ref() && wanted <= end.as_ref()
            }
        }
    }
}

/// Whether an interval that begins at `key` goes on where one with this end stops.
fn touches(end: &End, key: &Bytes) -> bool {
    match end {
        End::Before(end) => key <= end,
        End::Never => true,
    }
}

/// The smallest key above this one.
fn after(key: &Bytes) -> Bytes {
    let mut next = Vec::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.push(0);
    next.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(permissions: &[(&'static [u8], &'static [u8])]) -> Intervals {
        let bytes = Bytes::from_static;
        Intervals::of(permissions.iter().map(|(key, end)| (bytes(key), bytes(end))).collect())
    }

    #[test]
    fn a_key_alone_is_not_what_follows_it() {
        let one = of(&[(b"foo", b"")]);
        assert!(one.cover(b"foo", b""));
        assert!(one.cover(b"foo", b"foo\0"));
        for (key, end) in [
            (&b"fo"[..], &b""[..]),
            (b"foo\0", b""),
            (b"foo", b"fop"),
            (b"foo", b"\0"),
            (b"\0", b"\0"),
            (b"", b""),
        ] {
            assert!(!one.cover(key, end), "{key:?} {end:?}");
        }
    }

    #[test]
    fn grants_that_touch_cover_a_range_together() {
        let both = of(&[(b"m", b"z"), (b"a", b"m")]);
        assert!(both.cover(b"a", b"z"));
        let gap = of(&[(b"a", b"m"), (b"n", b"z")]);
        assert!(!gap.cover(b"a", b"z"));
        assert!(gap.cover(b"b", b"m") && gap.cover(b"n", b"o"));
        let joined = of(&[(b"a", b"m"), (b"n", b"z"), (b"l", b"o")]);
        assert!(joined.cover(b"a", b"z"));
        let inside = of(&[(b"a", b"z"), (b"b", b"c"), (b"d", b"")]);
        assert!(inside.cover(b"a", b"z"));
    }

    #[test]
    fn no_end_is_above_all_ends() {
        let open = of(&[(b"k", b"\0")]);
        assert!(open.cover(b"k", b"\0") && open.cover(b"zzz", b"\0") && open.cover(b"k", b"l"));
        assert!(!open.cover(b"j", b"\0") && !open.cover(b"\0", b"\0"));
        let bounded = of(&[(b"k", b"\xff\xff\xff")]);
        assert!(!bounded.cover(b"k", b"\0"));
        assert!(of(&[(b"\0", b"\0")]).cover(b"\0", b"\0"));
    }

    #[test]
    fn an_empty_range_is_held_against_its_start() {
        let some = of(&[(b"k", b"p")]);
        assert!(some.cover(b"m", b"a") && some.cover(b"m", b"m"));
        assert!(!some.cover(b"z", b"m"));
    }

    #[test]
    fn nothing_covers_nothing() {
        assert!(!of(&[]).cover(b"a", b""));
        // A permission that the doors refuse, met in the log: it grants nothing.
        assert!(!of(&[(b"m", b"a")]).cover(b"m", b""));
    }
}

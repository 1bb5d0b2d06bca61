//! What a watcher wants to hear of: keys, kinds of events, and whether with previous values.
//!
//! Invariant: two requests that select the same events in the same form give equal interests, so
//! that their watchers share a group. Keys are copied out of the request's buffer, which would
//! otherwise live as long as the watcher.

use bytes::Bytes;
use proto::etcdserverpb::WatchCreateRequest;
use proto::etcdserverpb::watch_create_request::FilterType;
use proto::status;
use store::EventKind;

/// Where a range ends. Order: every key is before [`End::Unbounded`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum End {
    /// Before this key.
    Before(Bytes),
    /// Nowhere.
    Unbounded,
}

impl End {
    /// Whether `key` lies before the end.
    pub(crate) fn is_after(&self, key: &[u8]) -> bool {
        match self {
            End::Before(end) => key < &end[..],
            End::Unbounded => true,
        }
    }
}

/// The keys of an interest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Span {
    /// One key.
    Key(Bytes),
    /// From a key, inclusive, to an end, exclusive.
    Range(Bytes, End),
}

impl Span {
    #[cfg(test)]
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        match self {
            Span::Key(own) => own == key,
            Span::Range(start, end) => &start[..] <= key && end.is_after(key),
        }
    }
}

/// Keys, kinds and form of the events that a group of watchers receives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Interest {
    pub(crate) span: Span,
    puts: bool,
    deletes: bool,
    pub(crate) prev_kv: bool,
}

impl Interest {
    /// The interest of a request, or the reason to refuse it.
    ///
    /// # Source
    /// etcd: an empty key is the smallest one, `\0` as an end is "no end", unknown filters are
    /// ignored.
    pub(crate) fn of(request: &WatchCreateRequest) -> Result<Self, &'static str> {
        if request.start_revision < 0 {
            return Err(status::WATCH_COMPACTED);
        }
        let filtered = |kind: FilterType| request.filters.contains(&(kind as i32));
        Ok(Self {
            span: span(&request.key, &request.range_end)?,
            puts: !filtered(FilterType::Noput),
            deletes: !filtered(FilterType::Nodelete),
            prev_kv: request.prev_kv,
        })
    }

    /// Whether events of this kind pass the filters.
    pub(crate) fn wants(&self, kind: EventKind) -> bool {
        match kind {
            EventKind::Put => self.puts,
            EventKind::Delete => self.deletes,
        }
    }
}

fn span(key: &[u8], range_end: &[u8]) -> Result<Span, &'static str> {
    let start = Bytes::copy_from_slice(if key.is_empty() { &[0] } else { key });
    match range_end {
        [] => Ok(Span::Key(start)),
        [0] => Ok(Span::Range(start, End::Unbounded)),
        end if &start[..] >= end => Err(status::WATCH_RANGE_EMPTY),
        end => Ok(Span::Range(start, End::Before(Bytes::copy_from_slice(end)))),
    }
}

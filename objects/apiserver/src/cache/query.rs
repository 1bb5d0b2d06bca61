//! What is asked of a cache and what it answers.
//!
//! Must not know: HTTP; how selectors are written.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::{CacheError, Object};
use crate::storage::Revision;

/// Which objects are meant, besides the namespace and the name.
#[derive(Clone, Default)]
pub enum Selection {
    /// All.
    #[default]
    All,
    /// Those for which this says so: label and field selectors.
    By(Arc<dyn Fn(&Object) -> bool + Send + Sync>),
}

impl Selection {
    /// A selection by a function.
    pub fn by(matches: impl Fn(&Object) -> bool + Send + Sync + 'static) -> Self {
        Selection::By(Arc::new(matches))
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self, Selection::All)
    }

    /// Whether the object is meant.
    #[must_use]
    pub fn matches(&self, object: &Object) -> bool {
        match self {
            Selection::All => true,
            Selection::By(matches) => matches(object),
        }
    }
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_all() { "All" } else { "By(..)" })
    }
}

/// How a list's `resourceVersion` is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// `resourceVersionMatch=Exact`.
    Exact,
    /// `resourceVersionMatch=NotOlderThan`.
    NotOlderThan,
}

/// A list. Invalid combinations are the caller's to refuse, except those that need the token read.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// One name: `metadata.name` in the path or as a field selector.
    pub name: Option<String>,
    /// `resourceVersion`; none if unset or empty.
    pub resource_version: Option<String>,
    /// `resourceVersionMatch`.
    pub resource_version_match: Option<Match>,
    /// `limit`; 0 for no limit.
    pub limit: usize,
    /// `continue`; none if unset or empty.
    pub continue_token: Option<String>,
    /// Which objects.
    pub selection: Selection,
}

/// The answer to a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The objects, in the order of namespace and name.
    pub items: Vec<Arc<Object>>,
    /// The revision of the whole list.
    pub revision: Revision,
    /// Where the rest begins, if the limit left some out.
    pub continue_token: Option<String>,
    /// How many are left; only known without a selector.
    pub remaining: Option<usize>,
}

impl Listed {
    /// The JSON of the list: the objects' shared bytes in a row.
    ///
    /// `kind` is that of the list (`PodList`). As in the real server's typed lists, items carry no
    /// kind and version.
    #[must_use]
    pub fn json(&self, kind: &str, api_version: &str) -> Bytes {
        let head = self.head(kind, api_version);
        let size = self.items.iter().map(|item| item.body().len() + 2).sum::<usize>();
        let mut out = BytesMut::with_capacity(head.len() + size + 3);
        out.put_slice(head.as_bytes());
        for (at, item) in self.items.iter().enumerate() {
            out.put_slice(if at == 0 { b"{" } else { b",{" });
            out.put_slice(item.body());
        }
        out.put_slice(b"]}\n");
        out.freeze()
    }

    fn head(&self, kind: &str, api_version: &str) -> String {
        let mut metadata = format!("\"resourceVersion\":\"{}\"", self.revision);
        if let Some(token) = &self.continue_token {
            metadata.push_str(&format!(",\"continue\":\"{token}\""));
        }
        if let Some(remaining) = self.remaining {
            metadata.push_str(&format!(",\"remainingItemCount\":{remaining}"));
        }
        format!(
            "{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{{{metadata}}},\
             \"items\":["
        )
    }
}

/// A watch. Invalid combinations are the caller's to refuse.
#[derive(Debug, Clone, Default)]
pub struct WatchQuery {
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// One name.
    pub name: Option<String>,
    /// `resourceVersion`; none if unset or empty.
    pub resource_version: Option<String>,
    /// `sendInitialEvents`.
    pub send_initial_events: Option<bool>,
    /// `allowWatchBookmarks`.
    pub bookmarks: bool,
    /// When the watch ends by itself: `timeoutSeconds`, or the server's choice.
    pub timeout: Option<Duration>,
    /// Which objects.
    pub selection: Selection,
}

/// Reads a `resourceVersion`; unset and `0` are [`Revision::NONE`].
pub(super) fn parse_resource_version(text: Option<&str>) -> Result<Revision, CacheError> {
    match text {
        None | Some("" | "0") => Ok(Revision::NONE),
        Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().map_err(|_| CacheError::InvalidResourceVersion { text: text.to_owned() })
        }
        Some(text) => Err(CacheError::InvalidResourceVersion { text: text.to_owned() }),
    }
}

/// Compat: the text is that of Go's number parser inside a field error.
pub(super) fn invalid_resource_version(text: &str) -> String {
    format!("resourceVersion: Invalid value: {text:?}: {}", parsed_as_uint(text))
}

/// What Go's number parser says of a text that is no 64-bit number without a sign.
pub(crate) fn parsed_as_uint(text: &str) -> String {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let why = if digits { "value out of range" } else { "invalid syntax" };
    format!("strconv.ParseUint: parsing {}: {why}", crate::status::quoted(text))
}

//! Lists: which revision is meant, and from where it is answered.
//!
//! *Source*: Kubernetes' rules for `resourceVersion` and `resourceVersionMatch` on lists, as its
//! caching storage follows them: whatever the cache can answer at the revision that is meant, it
//! answers; only older states are read from the store.
//!
//! Must not know: HTTP.

use std::sync::Arc;

use super::limits::PAGE_MAX;
use super::query::{invalid_resource_version, parse_resource_version};
use super::snapshot::Snapshot;
use super::state::Shared;
use super::token::Token;
use super::{CacheError, ListQuery, Listed, Match, Object};
use crate::storage::{Page, Revision, StorageError};

/// The state that a list means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meant {
    /// The newest at the time of the request.
    Newest,
    /// Any that is at least this new.
    NotOlder(Revision),
    /// This one.
    Exact(Revision),
}

/// A list with everything read that was text.
struct Plan<'a> {
    query: &'a ListQuery,
    meant: Meant,
    /// What the places listed begin with: `namespace/`, or nothing.
    scope: String,
    /// Where the list begins, behind the scope.
    start: String,
    limit: usize,
}

impl<'a> Plan<'a> {
    fn new(shared: &Shared, query: &'a ListQuery) -> Result<Self, CacheError> {
        let scope = match &query.namespace {
            Some(namespace) if shared.shape.namespaced => format!("{namespace}/"),
            _ => String::new(),
        };
        let version = query.resource_version.as_deref();
        if let Some(token) = &query.continue_token {
            let token = Token::decode(token)?;
            if !matches!(version, None | Some("" | "0")) {
                return Err(CacheError::BadRequest(
                    "specifying resource version is not allowed when using continue".to_owned(),
                ));
            }
            let meant = token.revision.map_or(Meant::Newest, Meant::Exact);
            return Ok(Plan { query, meant, scope, start: token.start, limit: query.limit });
        }
        let revision = parse_resource_version(version).map_err(|_| {
            let text = invalid_resource_version(version.unwrap_or_default());
            CacheError::BadRequest(format!("invalid resource version: {text}"))
        })?;
        let unset = matches!(version, None | Some(""));
        let meant = match query.resource_version_match {
            Some(Match::Exact) => Meant::Exact(revision),
            None if unset => Meant::Newest,
            // Compat: with a limit, a revision without a match means exactly that one.
            None if query.limit > 0 && revision != Revision::NONE => Meant::Exact(revision),
            None | Some(Match::NotOlderThan) => Meant::NotOlder(revision),
        };
        // Compat: a list that may be as old as it likes is answered whole.
        let limit = if version == Some("0") { 0 } else { query.limit };
        Ok(Plan { query, meant, scope, start: String::new(), limit })
    }

    fn matches(&self, object: &Object) -> bool {
        let named = self.query.name.as_ref().is_none_or(|name| object.name() == name);
        named && self.query.selection.matches(object)
    }

    fn selects_all(&self) -> bool {
        self.query.name.is_none() && self.query.selection.is_all()
    }

    /// The part of a snapshot that is meant.
    fn cut(&self, snapshot: &Snapshot, revision: Revision) -> Listed {
        let (mut from, to) = snapshot.range(&self.scope);
        if !self.start.is_empty() {
            from = from.max(snapshot.seek(&format!("{}{}", self.scope, self.start))).min(to);
        }
        let limit = if self.limit == 0 { usize::MAX } else { self.limit };
        let mut items = Vec::new();
        if self.selects_all() {
            items.reserve(limit.min(snapshot.distance(from, to)));
        }
        let mut seen = 0;
        for object in snapshot.between(from, to) {
            if items.len() == limit {
                break;
            }
            seen += 1;
            if self.matches(object) {
                items.push(Arc::clone(object));
            }
        }
        let left = if limit == usize::MAX { 0 } else { snapshot.distance(from, to) - seen };
        self.listed(items, revision, left)
    }

    /// Puts the answer together; `left` objects stand behind the last one.
    fn listed(&self, items: Vec<Arc<Object>>, revision: Revision, left: usize) -> Listed {
        let last = items.last().filter(|_| left > 0);
        let continue_token = last.map(|last| {
            let key = last.place().strip_prefix(&self.scope).unwrap_or(last.place());
            Token::behind(key, revision).encode()
        });
        let remaining = (continue_token.is_some() && self.selects_all()).then_some(left);
        Listed { items, revision, continue_token, remaining }
    }
}

/// Answers a list.
pub(super) async fn list(shared: &Shared, query: &ListQuery) -> Result<Listed, CacheError> {
    let plan = Plan::new(shared, query)?;
    match plan.meant {
        Meant::Newest => newest(shared, &plan).await,
        Meant::NotOlder(revision) => {
            shared.wait_ready().await?;
            shared.wait_passed(revision).await?;
            Ok(present(shared, &plan))
        }
        Meant::Exact(revision) => exact(shared, &plan, revision).await,
    }
}

fn present(shared: &Shared, plan: &Plan<'_>) -> Listed {
    let (snapshot, revision) = shared.look(|state| (state.snapshot.clone(), state.passed));
    plan.cut(&snapshot, revision)
}

/// From the cache once it has caught up; from the store itself where it does not in time.
async fn newest(shared: &Shared, plan: &Plan<'_>) -> Result<Listed, CacheError> {
    if shared.look(|state| state.ready) {
        let revision = shared.storage.current_revision().await?;
        if shared.wait_passed(revision).await.is_ok() {
            return Ok(present(shared, plan));
        }
    }
    stored(shared, plan, Revision::NONE).await
}

async fn exact(shared: &Shared, plan: &Plan<'_>, revision: Revision) -> Result<Listed, CacheError> {
    if shared.look(|state| state.ready) {
        shared.wait_passed(revision).await?;
        if let Some(snapshot) = shared.look(|state| state.at(revision)) {
            return Ok(plan.cut(&snapshot, revision));
        }
    }
    stored(shared, plan, revision).await
}

/// Reads from the store, page by page until the limit is filled.
async fn stored(
    shared: &Shared,
    plan: &Plan<'_>,
    revision: Revision,
) -> Result<Listed, CacheError> {
    let prefix = format!("{}{}", shared.shape.prefix, plan.scope);
    let mut start = (!plan.start.is_empty()).then(|| format!("{prefix}{}", plan.start));
    let (mut items, mut revision) = (Vec::new(), revision);
    let mut size = if plan.limit == 0 { PAGE_MAX } else { plan.limit };
    loop {
        let page = Page { prefix: &prefix, start: start.as_deref(), limit: size, revision };
        let answer = match shared.storage.page(page).await {
            Ok(answer) => answer,
            Err(error) => return Err(refused(shared, plan, revision, error)),
        };
        revision = answer.revision;
        let (mut seen, got) = (0, answer.items.len());
        for stored in &answer.items {
            if plan.limit != 0 && items.len() == plan.limit {
                break;
            }
            seen += 1;
            let object = Object::read(&shared.shape, stored)
                .map_err(|error| CacheError::Corrupt { message: error.to_string() })?;
            if plan.matches(&object) {
                items.push(object);
            }
        }
        let full = plan.limit != 0 && items.len() == plan.limit;
        if full || !answer.more || got == 0 {
            return Ok(plan.listed(items, revision, answer.count.saturating_sub(seen)));
        }
        start = answer.items.last().map(|last| format!("{}\0", last.key));
        size = (size * 2).min(PAGE_MAX);
    }
}

fn refused(
    shared: &Shared,
    plan: &Plan<'_>,
    revision: Revision,
    error: StorageError,
) -> CacheError {
    match error {
        StorageError::Compacted { .. } if plan.query.continue_token.is_some() => {
            let token = Token { revision: None, start: plan.start.clone() };
            CacheError::continue_expired(token.encode())
        }
        StorageError::Compacted { .. } => CacheError::list_expired(),
        StorageError::FutureRevision => CacheError::TooLargeResourceVersion {
            asked: revision,
            current: shared.passed(),
            retry_after_seconds: 0,
        },
        error => CacheError::Storage(error),
    }
}

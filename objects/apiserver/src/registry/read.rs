//! Get, list and watch: options and selectors read, the rest is the cache's.

use std::time::Duration;

use super::options::{GetOptions, ListOptions};
use super::refusals;
use super::request::{Answer, Target};
use super::serving::Registry;
use crate::cache::{ListQuery, Listed, Match, Object, Selection, WatchQuery, Watcher};
use crate::selector::{Lookup, Selector};
use crate::status::Status;

/// How long a watch lasts at least when the client does not say; at most twice as long.
const WATCH_SECONDS_MIN: u64 = 1800;

impl Registry {
    pub(super) async fn get_object(
        &self,
        target: &Target,
        options: &GetOptions,
    ) -> Result<Answer, Status> {
        let row = &*target.resource;
        let namespace = row.namespaced().then_some(target.namespace.as_str());
        let version = Some(options.resource_version.as_str()).filter(|text| !text.is_empty());
        let found = self
            .cache(row)
            .get(namespace, &target.name, version)
            .await
            .map_err(|error| refusals::of_cache(row, "get", error))?;
        match found {
            Some(object) => Ok(Answer::object(row.presented(&object))),
            None => Err(Status::not_found(row.group(), row.plural(), &target.name)),
        }
    }

    pub(super) async fn list_objects(
        &self,
        target: &Target,
        options: &ListOptions,
    ) -> Result<Listed, Status> {
        let row = &*target.resource;
        let asked = Asked::read(target, options)?;
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let query = ListQuery {
            namespace: asked.namespace,
            name: asked.name,
            resource_version: some(&options.resource_version),
            resource_version_match: match options.resource_version_match.as_str() {
                "Exact" => Some(Match::Exact),
                "NotOlderThan" => Some(Match::NotOlderThan),
                _ => None,
            },
            limit: usize::try_from(options.limit).unwrap_or(0),
            continue_token: some(&options.continue_token),
            selection: asked.selection,
        };
        let listed = self.cache(row).list(query).await;
        listed.map_err(|error| refusals::of_cache(row, "list", error))
    }

    pub(super) async fn watch_objects(
        &self,
        target: &Target,
        options: &ListOptions,
    ) -> Result<Watcher, Status> {
        let row = &*target.resource;
        let asked = Asked::read(target, options)?;
        let seconds = match options.timeout_seconds {
            // Compat: nothing is a timeout that the client did not choose.
            None | Some(0) => WATCH_SECONDS_MIN + self.seams().entropy.next() % WATCH_SECONDS_MIN,
            Some(seconds) => u64::try_from(seconds).unwrap_or(0),
        };
        let query = WatchQuery {
            namespace: asked.namespace,
            name: asked.name,
            resource_version: Some(options.resource_version.clone()).filter(|s| !s.is_empty()),
            send_initial_events: options.send_initial_events,
            bookmarks: options.allow_watch_bookmarks,
            timeout: Some(Duration::from_secs(seconds)),
            selection: asked.selection,
        };
        let watcher = self.cache(row).watch(query).await;
        watcher.map_err(|error| refusals::of_cache(row, "watch", error))
    }
}

/// What a list or watch is of.
struct Asked {
    namespace: Option<String>,
    name: Option<String>,
    selection: Selection,
}

impl Asked {
    fn read(target: &Target, options: &ListOptions) -> Result<Self, Status> {
        let row = &*target.resource;
        let selector =
            Selector::parse(&options.label_selector, &options.field_selector, &row.rule.fields)
                .map_err(|error| Status::bad_request(error.to_string()))?;
        let exact = |field: &str| {
            let mut terms = selector.fields.terms().iter();
            let found = terms.rfind(|term| term.equal && term.field == field);
            found.map(|term| term.value.clone()).filter(|value| !value.is_empty())
        };
        let named = Some(target.name.clone()).filter(|name| !name.is_empty());
        let name = named.or_else(|| exact("metadata.name"));
        let namespace = Some(target.namespace.clone())
            .filter(|namespace| row.namespaced() && !namespace.is_empty())
            .or_else(|| exact("metadata.namespace").filter(|_| row.namespaced()));
        let selection = if selector.is_everything() {
            Selection::All
        } else {
            Selection::by(move |object| selector.matches(object.labels(), &Fields(object)))
        };
        Ok(Self { namespace, name, selection })
    }
}

struct Fields<'a>(&'a Object);

impl Lookup for Fields<'_> {
    fn lookup(&self, name: &str) -> Option<&str> {
        self.0.field(name)
    }
}

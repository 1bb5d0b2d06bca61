//! Reading one's own writes: a controller that wrote an object waits until its informer shows it.
//!
//! Invariant: decisions are never made on a state older than what this process itself wrote. An
//! informer that lost sight of a write (the object was deleted in between) is waited for only for a
//! while.
//!
//! Resource versions are compared as numbers, which Kubernetes allows since 1.35.

use std::collections::HashMap;
use std::time::Duration;

use kube::Resource;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::key::ObjectKey;

/// After this long an unseen write is taken for overtaken.
const LAPSE: Duration = Duration::from_secs(30);

/// The writes of one controller to one kind, by the key on whose behalf they were done.
#[derive(Debug, Default)]
pub struct Written {
    by: Mutex<HashMap<ObjectKey, Writes>>,
}

/// By object, the version written and when.
type Writes = HashMap<ObjectKey, (u64, Instant)>;

fn version<K: Resource>(object: &K) -> u64 {
    let version = object.meta().resource_version.as_deref();
    version.and_then(|v| v.parse().ok()).unwrap_or_default()
}

impl Written {
    /// The server answered a write for `on_behalf_of` with `object`.
    pub fn wrote<K: Resource>(&self, on_behalf_of: &ObjectKey, object: &K) {
        let mut by = self.by.lock();
        let writes = by.entry(on_behalf_of.clone()).or_default();
        writes.insert(ObjectKey::of(object), (version(object), Instant::now()));
    }

    /// The first object whose write is not seen yet, by what `look` finds in the cache.
    pub fn unseen<K: Resource>(
        &self,
        on_behalf_of: &ObjectKey,
        look: impl Fn(&ObjectKey) -> Option<std::sync::Arc<K>>,
    ) -> Option<ObjectKey> {
        let mut by = self.by.lock();
        let writes = by.get_mut(on_behalf_of)?;
        writes.retain(|key, (wrote, at)| {
            at.elapsed() < LAPSE && look(key).is_none_or(|seen| version(&*seen) < *wrote)
        });
        let unseen = writes.keys().next().cloned();
        if unseen.is_none() {
            by.remove(on_behalf_of);
        }
        unseen
    }

    /// The key is gone.
    pub fn forget(&self, on_behalf_of: &ObjectKey) {
        self.by.lock().remove(on_behalf_of);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn at(version: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some("a".into());
        object.metadata.resource_version = Some(version.into());
        object
    }

    #[test]
    fn a_write_is_waited_for_until_the_cache_shows_it_or_something_newer() {
        let (written, owner) = (Written::default(), ObjectKey::new("n", "owner"));
        written.wrote(&owner, &at("10"));
        assert!(written.unseen(&owner, |_| None::<Arc<ConfigMap>>).is_some());
        assert!(written.unseen(&owner, |_| Some(Arc::new(at("9")))).is_some());
        assert!(written.unseen(&owner, |_| Some(Arc::new(at("11")))).is_none());
        assert!(written.unseen(&owner, |_| Some(Arc::new(at("9")))).is_none(), "seen for good");
    }
}

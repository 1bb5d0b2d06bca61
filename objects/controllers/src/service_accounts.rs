//! What every namespace has from its beginning: the ServiceAccount `default`, and the ConfigMap by
//! which pods know the API server's certificate authority.
//!
//! Invariant: both come back when they are deleted, and the ConfigMap's data are restored when they
//! are changed, as long as the namespace is not on its way out.

use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::error::{Error, Reconciled, is_already_exists, is_namespace_terminating};
use crate::informer::{Informed, Informer};
use crate::key::ObjectKey;
use crate::ownership::is_being_deleted;
use crate::queue::Queue;
use crate::worker::work;

const ACCOUNT: &str = "default";
/// The ConfigMap with the certificate authority.
pub(crate) const ROOT_CA: &str = "kube-root-ca.crt";
const DESCRIPTION: &str = "kubernetes.io/description";

/// Runs until shutdown.
pub async fn run(context: Context) {
    let controller = Arc::new(Furnisher {
        client: context.client.clone(),
        root_ca: context.options.root_ca_pem.clone(),
        namespaces: context.informer(),
        accounts: context.informer(),
        config_maps: context.informer(),
        queue: Queue::new(),
    });
    let synced = context.synced(&controller.namespaces).await
        && context.synced(&controller.accounts).await
        && context.synced(&controller.config_maps).await;
    if !synced {
        return;
    }
    let to = controller.clone();
    controller.namespaces.subscribe(move |change| to.queue.add(change.object().name_any()));
    wake_namespace_of(&controller.accounts, &controller.queue, ACCOUNT);
    wake_namespace_of(&controller.config_maps, &controller.queue, ROOT_CA);
    let (queue, shutdown) = (controller.queue.clone(), context.shutdown.clone());
    work("serviceaccount", context.options.workers, queue, shutdown, move |namespace| {
        let controller = controller.clone();
        async move { controller.reconcile(&namespace).await }
    })
    .await;
}

fn wake_namespace_of<K: Informed>(
    informer: &Informer<K>,
    queue: &Queue<String>,
    name: &'static str,
) {
    let queue = queue.clone();
    informer.subscribe(move |change| {
        let object = change.object();
        if object.name_any() == name {
            queue.add(object.namespace().unwrap_or_default());
        }
    });
}

struct Furnisher {
    client: Client,
    root_ca: Option<String>,
    namespaces: Informer<Namespace>,
    accounts: Informer<ServiceAccount>,
    config_maps: Informer<ConfigMap>,
    queue: Queue<String>,
}

impl Furnisher {
    async fn reconcile(&self, namespace: &str) -> Reconciled {
        let known = self.namespaces.get(&ObjectKey::new("", namespace));
        if known.is_none_or(|n| is_being_deleted(n.meta())) {
            return Ok(None);
        }
        if self.accounts.get(&ObjectKey::new(namespace, ACCOUNT)).is_none() {
            let mut account = ServiceAccount::default();
            account.metadata.name = Some(ACCOUNT.into());
            self.create(namespace, &account).await?;
        }
        if let Some(pem) = &self.root_ca {
            self.publish(namespace, pem).await?;
        }
        Ok(None)
    }

    async fn publish(&self, namespace: &str, pem: &str) -> Result<(), Error> {
        let known = self.config_maps.get(&ObjectKey::new(namespace, ROOT_CA));
        let Some(known) = known else {
            let mut published = ConfigMap::default();
            published.metadata.name = Some(ROOT_CA.into());
            published.annotations_mut().insert(DESCRIPTION.into(), description());
            published.data = Some([("ca.crt".to_owned(), pem.to_owned())].into());
            return self.create(namespace, &published).await;
        };
        let same = known
            .data
            .as_ref()
            .is_some_and(|d| d.len() == 1 && d.get("ca.crt").is_some_and(|c| c == pem));
        if same {
            return Ok(());
        }
        let mut data: serde_json::Map<_, _> =
            known.data.iter().flatten().map(|(key, _)| (key.clone(), json!(null))).collect();
        data.insert("ca.crt".into(), json!(pem));
        let patch = Patch::Merge(json!({"data": data}));
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), namespace);
        api.patch(ROOT_CA, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    async fn create<K>(&self, namespace: &str, object: &K) -> Result<(), Error>
    where
        K: Informed + Resource<Scope = NamespaceResourceScope> + Serialize,
    {
        let api = Api::<K>::namespaced(self.client.clone(), namespace);
        match api.create(&PostParams::default(), object).await {
            Err(error) if is_already_exists(&error) || is_namespace_terminating(&error) => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }
}

fn description() -> String {
    "The certificate authority of this cluster's API server, for programs in pods.".to_owned()
}

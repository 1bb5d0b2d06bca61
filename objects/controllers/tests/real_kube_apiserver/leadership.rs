//! Leader election.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use engram_controllers::leader::{Election, LEASE_NAME, lead};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use tokio_util::sync::CancellationToken;

use crate::world::World;

async fn holder(world: &World) -> Option<String> {
    let leases = Api::<Lease>::namespaced(world.client.clone(), "kube-system");
    let lease = leases.get_opt(LEASE_NAME).await.expect("the server answers")?;
    lease.spec?.holder_identity
}

pub(crate) async fn one_leads_and_the_next_takes_over(world: World) {
    let leading = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let candidate = |identity: &str, stop: CancellationToken| {
        let (leading, most) = (leading.clone(), most.clone());
        let election = Election { identity: identity.into(), duration: Duration::from_secs(3) };
        tokio::spawn(lead(world.client.clone(), election, stop, move |lost| async move {
            let now = leading.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            lost.cancelled().await;
            leading.fetch_sub(1, Ordering::SeqCst);
        }))
    };
    let (stop_first, stop_second) = (CancellationToken::new(), CancellationToken::new());
    let first = candidate("first", stop_first.clone());
    world
        .until("the first leads", || async { holder(&world).await.as_deref() == Some("first") })
        .await;
    let second = candidate("second", stop_second.clone());
    stop_first.cancel();
    first.await.expect("it ends");
    world
        .until("the second leads", || async { holder(&world).await.as_deref() == Some("second") })
        .await;
    world.until("it works", || async { leading.load(Ordering::SeqCst) == 1 }).await;
    assert_eq!(most.load(Ordering::SeqCst), 1, "never two at a time");
    stop_second.cancel();
    second.await.expect("it ends");
    assert_eq!(holder(&world).await.as_deref(), Some(""), "it is given back");
}

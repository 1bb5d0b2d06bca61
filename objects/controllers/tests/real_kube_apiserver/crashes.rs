//! Controllers that end without warning, and begin again with nothing but the objects.

use engram_controllers::pods::is_active;
use engram_controllers::{Options, run};
use kube::Client;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::world::{World, image, serving};

/// Controllers with a runtime of their own, so that they can be cut off in the middle of anything.
struct Life(Runtime);

impl Life {
    fn begin(client: &Client) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.spawn(run(client.clone(), Options::default(), CancellationToken::new()));
        Self(runtime)
    }

    fn crash(self) {
        self.0.shutdown_background();
    }
}

/// Needs to be the only one who runs controllers.
pub(crate) async fn crashes_in_a_rollout_double_and_lose_nothing(
    world: World,
    // Each life has connections of its own.
    connect: impl Fn() -> Client,
) {
    let mut life = Life::begin(&connect());
    let how = json!({"maxSurge": 2, "maxUnavailable": 1});
    world.deploy(5, json!({"type": "RollingUpdate", "rollingUpdate": how})).await;
    world.rolled_out().await;
    let watch = world.watch_pods(|pods| {
        let (serving, active) = (serving(pods), pods.iter().filter(|p| is_active(p)).count());
        (serving < 4 || active > 7).then(|| format!("{serving} serve of {active}"))
    });
    for version in 2..6 {
        let new = format!("demo:{version}");
        world.set_image(&new).await;
        world
            .until("a pod of the new version", || async {
                world.list().await.iter().any(|pod| image(pod) == new)
            })
            .await;
        life.crash();
        life = Life::begin(&connect());
    }
    world.rolled_out().await;
    watch.must_be_content().await;
    let pods = world.active_pods().await;
    assert_eq!(pods.len(), 5);
    assert!(pods.iter().all(|pod| image(pod) == "demo:5"));
    life.crash();
}

//! The controllers against the real etcd and kube-apiserver 1.37.0: what is declared comes true, at
//! no moment with fewer replicas than allowed, and what is deleted goes as asked.
//!
//! One cluster and one set of controllers for all scenarios, each in a namespace of its own, all at
//! the same time. Without the real programs (`make peers peers-kubernetes`) nothing runs, and that
//! is said.

mod cluster;
mod collection;
mod crashes;
mod leadership;
mod nodes;
mod rollouts;
mod workloads;
mod world;

use std::future::Future;
use std::pin::Pin;

use cluster::Cluster;
use engram_controllers::{Options, run};
use tokio_util::sync::CancellationToken;
use world::World;

type Scenario = (&'static str, fn(World) -> Pin<Box<dyn Future<Output = ()> + Send>>);

macro_rules! scenarios {
    ($($module:ident :: $name:ident),* $(,)?) => {
        [$((stringify!($name), |world| Box::pin($module::$name(world)))),*]
    };
}

const SCENARIOS: &[Scenario] = &scenarios![
    rollouts::a_deployment_makes_its_pods_and_scales,
    rollouts::a_rolling_update_keeps_its_promise_and_is_undone,
    rollouts::recreate_never_runs_old_and_new_together,
    rollouts::a_paused_deployment_waits,
    rollouts::a_lost_pod_is_replaced,
    rollouts::pods_are_adopted_and_released_by_their_labels,
    rollouts::a_refused_template_is_told_in_the_conditions,
    collection::a_background_deletion_takes_all_dependents,
    collection::a_foreground_deletion_ends_after_its_dependents,
    collection::an_orphaning_deletion_leaves_the_dependents,
    collection::an_absent_owner_takes_its_dependent_along,
    collection::an_owner_of_another_namespace_does_not_hold,
    collection::a_cycle_of_owners_is_deleted_in_the_foreground,
    collection::a_deleted_namespace_is_emptied_and_waits_for_finalizers,
    nodes::a_pod_is_placed_runs_and_is_gone_when_deleted,
    nodes::a_pod_ends_as_its_command_says,
    nodes::a_pod_that_fits_nowhere_says_why_and_is_placed_when_it_fits,
    leadership::one_leads_and_the_next_takes_over,
    workloads::a_job_runs_to_its_number_of_completions,
    workloads::a_job_fails_after_its_retries,
    workloads::a_cron_job_starts_a_job_in_time,
    workloads::a_service_lists_the_pods_that_serve_it,
    workloads::a_namespace_begins_with_an_account_and_the_authority,
];

/// What is published as the certificate authority; nobody here checks it.
const ROOT_CA: &str = "a certificate";

#[test]
fn what_is_declared_comes_true_on_the_real_kube_apiserver() {
    let Some(peers) = programs::peers_with(&["etcd", "kube-apiserver"]) else { return };
    // Started from this thread, which lives as long as the processes are to.
    let cluster = Cluster::start(&peers);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(drive(&cluster));
}

async fn drive(cluster: &Cluster) {
    let client = cluster.ready().await;
    let shutdown = CancellationToken::new();
    let options = Options { root_ca_pem: Some(ROOT_CA.into()), ..Options::default() };
    let controllers = tokio::spawn(run(client.clone(), options, shutdown.clone()));
    let started: Vec<_> = SCENARIOS
        .iter()
        .map(|(name, scenario)| {
            let client = client.clone();
            let run = async move { scenario(World::create(client, name).await).await };
            (*name, tokio::spawn(run))
        })
        .collect();
    let mut failed = Vec::new();
    for (name, scenario) in started {
        if scenario.await.is_err() {
            failed.push(name);
        }
    }
    shutdown.cancel();
    controllers.await.expect("the controllers end at shutdown");
    let world = World::create(client, "crashes").await;
    crashes::crashes_in_a_rollout_double_and_lose_nothing(world, || cluster.client()).await;
    assert!(failed.is_empty(), "failed: {failed:?} (see above)");
}

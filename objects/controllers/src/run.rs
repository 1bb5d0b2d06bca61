//! Starts what the options ask for and waits until it has stopped.
//!
//! Invariant: a controller that is not asked for costs nothing: its kinds are not even watched.

use kube::Client;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::leader::{self, Election};
use crate::options::{Controller, Options};
use crate::{
    cronjob, deployment, endpoints, garbage, job, namespace, node_lifecycle, nodes, pod_collector,
    replicaset, scheduler, service_accounts,
};

/// Runs the controllers until `shutdown`, or, when elected, until the leadership is lost: a process
/// that lost it should end, so that nothing of its old knowledge is acted upon. Returns when all
/// work has stopped.
///
/// The API server may start later than this: everything waits for it.
pub async fn run(client: Client, options: Options, shutdown: CancellationToken) {
    if !options.leader_elect {
        return run_now(client, options, shutdown).await;
    }
    let election =
        Election { identity: options.identity.clone(), duration: options.lease_duration };
    let for_work = client.clone();
    let work = move |token| run_now(for_work, options, token);
    leader::lead(client, election, shutdown, work).await;
}

async fn run_now(client: Client, options: Options, shutdown: CancellationToken) {
    let context = Context::new(client, options, shutdown);
    for controller in context.options.controllers.clone() {
        start(controller, &context);
    }
    context.shutdown.cancelled().await;
    context.tasks.close();
    context.tasks.wait().await;
}

fn start(controller: Controller, context: &Context) {
    let context = context.clone();
    let tasks = context.tasks.clone();
    match controller {
        Controller::Deployment => tasks.spawn(deployment::run(context)),
        Controller::ReplicaSet => tasks.spawn(replicaset::run(context)),
        Controller::GarbageCollector => tasks.spawn(garbage::run(context)),
        Controller::Namespace => tasks.spawn(namespace::run(context)),
        Controller::Job => tasks.spawn(job::run(context)),
        Controller::CronJob => tasks.spawn(cronjob::run(context)),
        Controller::ServiceAccount => tasks.spawn(service_accounts::run(context)),
        Controller::PodGarbageCollector => tasks.spawn(pod_collector::run(context)),
        Controller::EndpointSlice => tasks.spawn(endpoints::run(context)),
        Controller::Scheduler => tasks.spawn(scheduler::run(context)),
        Controller::NodeLifecycle => tasks.spawn(node_lifecycle::run(context)),
        Controller::SimulatedNodes => tasks.spawn(nodes::run(context)),
    };
}

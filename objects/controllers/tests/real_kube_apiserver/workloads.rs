//! Jobs, CronJobs, Services and what a namespace begins with.

use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Endpoints, Pod, Service, ServiceAccount};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use crate::world::World;

fn job(name: &str, command: &str, spec: Value) -> Value {
    let command = json!(["sh", "-c", command]);
    let containers = json!([{"name": "demo", "image": "demo:1", "command": command}]);
    let mut job = json!({
        "metadata": {"name": name},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": containers}}},
    });
    let own = spec.as_object().expect("a map").clone();
    job["spec"].as_object_mut().expect("a map").extend(own);
    job
}

fn condition(job: &Job, type_: &str) -> Option<String> {
    let conditions = job.status.as_ref()?.conditions.clone()?;
    conditions.into_iter().find(|c| c.type_ == type_ && c.status == "True")?.reason
}

pub(crate) async fn a_job_runs_to_its_number_of_completions(world: World) {
    world
        .create_object::<Job>(job("five", "exit 0", json!({"completions": 5, "parallelism": 2})))
        .await;
    let watch = world.watch_pods(|pods| {
        let active = pods.iter().filter(|p| engram_controllers::pods::is_active(p)).count();
        (active > 2).then(|| format!("{active} run at a time"))
    });
    world
        .until("it completes", || async {
            condition(&world.get("five").await, "Complete").is_some()
        })
        .await;
    watch.must_be_content().await;
    let done: Job = world.get("five").await;
    let status = done.status.clone().unwrap_or_default();
    assert_eq!((status.succeeded, status.active.unwrap_or_default()), (Some(5), 0));
    assert_eq!(condition(&done, "Complete").as_deref(), Some("CompletionsReached"));
    assert_eq!(world.list::<Pod>().await.len(), 5, "no pod more than were asked for");
}

pub(crate) async fn a_job_fails_after_its_retries(world: World) {
    world.create_object::<Job>(job("never", "exit 1", json!({"backoffLimit": 0}))).await;
    world
        .until("it fails", || async { condition(&world.get("never").await, "Failed").is_some() })
        .await;
    let failed: Job = world.get("never").await;
    assert_eq!(condition(&failed, "Failed").as_deref(), Some("BackoffLimitExceeded"));
    assert_eq!(world.list::<Pod>().await.len(), 1);
}

pub(crate) async fn a_cron_job_starts_a_job_in_time(world: World) {
    let template = json!({"spec": job("", "exit 0", json!({}))["spec"]});
    let cron_job = json!({"metadata": {"name": "tick"},
        "spec": {"schedule": "@every 1s", "jobTemplate": template}});
    world.create_object::<CronJob>(cron_job).await;
    world.until("a job", || async { !world.list::<Job>().await.is_empty() }).await;
    let started = world.list::<Job>().await.remove(0);
    assert_eq!(started.owner_references()[0].name, "tick");
    world
        .until("it is listed", || async {
            let status = world.get::<CronJob>("tick").await.status.unwrap_or_default();
            status.last_schedule_time.is_some()
                && status.active.iter().flatten().any(|r| r.uid == started.metadata.uid)
        })
        .await;
    world.patch::<CronJob>("tick", json!({"spec": {"suspend": true}})).await;
}

pub(crate) async fn a_service_lists_the_pods_that_serve_it(world: World) {
    world.deploy(2, Value::Null).await;
    let service = json!({"metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}});
    world.create_object::<Service>(service).await;
    world.rolled_out().await;
    let ip = |pod: Pod| pod.status.and_then(|s| s.pod_ip).expect("a running pod's address");
    let mut ips: Vec<_> = world.active_pods().await.into_iter().map(ip).collect();
    ips.sort();
    let listed = || async {
        let slices = world.list::<EndpointSlice>().await;
        let endpoints = slices.iter().flat_map(|s| s.endpoints.clone().unwrap_or_default());
        let mut ready: Vec<_> = endpoints
            .filter(|e| e.conditions.clone().and_then(|c| c.ready) == Some(true))
            .flat_map(|e| e.addresses)
            .collect();
        ready.sort();
        ready
    };
    world.until("both are listed", || async { listed().await == ips }).await;
    let slice = world.list::<EndpointSlice>().await.remove(0);
    assert_eq!(slice.ports.clone().unwrap_or_default()[0].port, Some(8080));
    world
        .until("the older form shows them", || async {
            let endpoints = world.api::<Endpoints>().get_opt("web").await.expect("an answer");
            let subsets = endpoints.and_then(|e| e.subsets).unwrap_or_default();
            subsets.iter().flat_map(|s| s.addresses.iter().flatten()).count() == 2
        })
        .await;
    let api = world.api::<Service>();
    api.delete("web", &DeleteParams::default()).await.expect("it is there");
    world
        .until("they go with the service", || async {
            world.list::<EndpointSlice>().await.is_empty()
                && world.list::<Endpoints>().await.is_empty()
        })
        .await;
}

pub(crate) async fn a_namespace_begins_with_an_account_and_the_authority(world: World) {
    let there = || async {
        let account = world.api::<ServiceAccount>().get_opt("default").await.expect("an answer");
        let authority = world.api::<ConfigMap>().get_opt("kube-root-ca.crt").await;
        let data = authority.expect("an answer").and_then(|c| c.data).unwrap_or_default();
        account.is_some() && data.get("ca.crt").is_some_and(|pem| pem == crate::ROOT_CA)
    };
    world.until("both are there", there).await;
    let delete = DeleteParams::default();
    world.api::<ServiceAccount>().delete("default", &delete).await.expect("it is there");
    world.patch::<ConfigMap>("kube-root-ca.crt", json!({"data": {"ca.crt": "forged"}})).await;
    world.until("both are back", there).await;
}

//! A Deployment as a client sees it: declared, changed, waited for.
//!
//! Invariant: every wait has a deadline and says what was seen last.
//!
//! Must not know: which API server it speaks to, or who keeps what is declared.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::Client;
use crate::pause;

/// The namespace of all workloads.
pub const NAMESPACE: &str = "default";

/// A Deployment by its name.
#[derive(Debug)]
pub struct Deployment<'a> {
    client: &'a Client,
    name: &'a str,
    patience: Duration,
}

impl<'a> Deployment<'a> {
    /// It need not exist yet.
    #[must_use]
    pub fn new(client: &'a Client, name: &'a str, patience: Duration) -> Self {
        Self { client, name, patience }
    }

    /// Declares it.
    pub async fn create(&self, replicas: usize, image: &str) -> Result<()> {
        self.create_slow(replicas, image, 0).await
    }

    /// Declares it so that a pod counts as available some seconds after it is ready.
    pub async fn create_slow(&self, replicas: usize, image: &str, seconds: u32) -> Result<()> {
        let labels = json!({"app": self.name});
        let container = json!({"name": "main", "image": image});
        let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
        let mut body = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": self.name, "labels": labels},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        });
        body["spec"]["replicas"] = replicas.into();
        if seconds > 0 {
            body["spec"]["minReadySeconds"] = seconds.into();
        }
        self.retry("POST", &deployments(), "application/json", &body).await.map(drop)
    }

    /// Changes the number of replicas.
    pub async fn scale(&self, replicas: usize) -> Result<()> {
        self.patch(&json!({"spec": {"replicas": replicas}})).await
    }

    /// Changes the image, so that it rolls.
    pub async fn set_image(&self, image: &str) -> Result<()> {
        let container = json!({"name": "main", "image": image});
        self.patch(&json!({"spec": {"template": {"spec": {"containers": [container]}}}})).await
    }

    /// Deletes it, and what belongs to it in the background.
    pub async fn delete(&self) -> Result<()> {
        let one = format!("{}/{}", deployments(), self.name);
        let options = json!({"propagationPolicy": "Background"});
        self.retry("DELETE", &one, "application/json", &options).await.map(drop)
    }

    /// Waits until all replicas are of the newest template and available, and no others are left.
    pub async fn settled(&self, replicas: usize) -> Result<()> {
        let what = format!("{} has {replicas} replicas, all new and available", self.name);
        let one = format!("{}/{}", deployments(), self.name);
        pause::until(&what, self.patience, async || {
            let object = get(self.client, &one).await.map_err(|error| format!("{error:#}"))?;
            let count = |name: &str| object["status"][name].as_u64().unwrap_or(0);
            let counts =
                ["replicas", "updatedReplicas", "availableReplicas", "readyReplicas"].map(count);
            let seen = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            match seen && counts.iter().all(|count| *count == replicas as u64) {
                true => Ok(()),
                false => Err(object["status"].to_string()),
            }
        })
        .await
    }

    /// Waits until nothing that it owned is left.
    pub async fn gone(&self) -> Result<()> {
        let what = format!("nothing of {} is left", self.name);
        pause::until(&what, self.patience, async || {
            for list in [replica_sets(), pods()] {
                let path = format!("{list}?labelSelector=app%3D{}", self.name);
                let found = get(self.client, &path).await.map_err(|error| format!("{error:#}"))?;
                let left = found["items"].as_array().map_or(0, Vec::len);
                if left > 0 {
                    return Err(format!("{left} in {list}"));
                }
            }
            Ok(())
        })
        .await
    }

    /// Its pods now.
    pub async fn pods(&self) -> Result<Vec<Value>> {
        let path = format!("{}?labelSelector=app%3D{}", pods(), self.name);
        let list = get(self.client, &path).await?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    async fn patch(&self, patch: &Value) -> Result<()> {
        let one = format!("{}/{}", deployments(), self.name);
        let strategic = "application/strategic-merge-patch+json";
        self.retry("PATCH", &one, strategic, patch).await.map(drop)
    }

    /// A write, tried again while no one answers: a server or its store may just have been killed.
    ///
    /// An answer to an earlier try may have been lost, so 404 of a DELETE and 409 of a POST are
    /// taken for it when there was one.
    async fn retry(&self, method: &str, path: &str, kind: &str, body: &Value) -> Result<Value> {
        let headers = [("Accept", "application/json"), ("Content-Type", kind)];
        let mut tries = 0;
        let what = format!("{method} {path}");
        let answer = pause::until(&what, self.patience, async || {
            tries += 1;
            let body = Bytes::from(body.to_string());
            let answer = self.client.ask(method, path, &headers, body).await;
            let answer = answer.map_err(|error| format!("{error:#}"))?;
            let lost = tries > 1 && matches!(answer.status.as_u16(), 404 | 409);
            match answer.status.as_u16() {
                200..300 => Ok(Ok(answer)),
                429 | 500.. => Err(format!("{}", answer.status)),
                _ if lost => Ok(Ok(answer)),
                _ => Ok(Err(String::from_utf8_lossy(&answer.body).into_owned())),
            }
        });
        match answer.await? {
            Ok(answer) => Ok(serde_json::from_slice(&answer.body)?),
            Err(refusal) => bail!("{what}: {refusal}"),
        }
    }
}

fn deployments() -> String {
    format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments")
}

fn replica_sets() -> String {
    format!("/apis/apps/v1/namespaces/{NAMESPACE}/replicasets")
}

/// The path of all pods.
#[must_use]
pub fn pods() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/pods")
}

/// Reads one path as JSON.
///
/// *Errors*: no answer, or one that is no success.
pub async fn get(client: &Client, path: &str) -> Result<Value> {
    let answer = client.ask("GET", path, &[("Accept", "application/json")], Bytes::new()).await?;
    if !answer.status.is_success() {
        bail!("GET {path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
    serde_json::from_slice(&answer.body).with_context(|| format!("GET {path}: no JSON"))
}

/// Whether a pod counts as available: ready, and not on its way out.
#[must_use]
pub fn is_available(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    ready && pod["metadata"].get("deletionTimestamp").is_none()
}

//! The subresources that only pods have: binding, eviction, ephemeral containers, resizing.
//!
//! Invariants: a pod is bound once; an eviction that a budget does not allow deletes nothing, and
//! one that is allowed is counted in the budget before the pod goes.

use schema::Value;
use serde_json::{Map, json};

use super::object;
use super::options::{CreateOptions, DeleteOptions};
use super::request::{Answer, Input, RequestContext, Target};
use super::serving::Registry;
use super::state::{Attempt, Current};
use super::strict;
use super::update::{Change, Part};
use crate::status::{FieldErrors, FieldPath, Reason, Status, success};

/// How many evictions a budget may have on the way.
const DISRUPTED_PODS_MAX: usize = 2000;
const BUDGET_CAUSE: &str = "DisruptionBudget";

/// Takes everything from the old pod but the part that is changed.
pub(super) fn keep_all_but(part: Part, new: &mut Value, old: &Value) {
    let mut made = old.clone();
    object::keep(&mut made, new, "resourceVersion");
    if part == Part::Ephemeral {
        let containers = new["spec"]["ephemeralContainers"].clone();
        made["spec"]["ephemeralContainers"] = containers;
    } else {
        for list in ["containers", "initContainers"] {
            resize(&mut made["spec"][list], &new["spec"][list]);
        }
    }
    *new = made;
}

fn resize(containers: &mut Value, wanted: &Value) {
    for container in containers.as_array_mut().into_iter().flatten() {
        let mut wanted = wanted.as_array().into_iter().flatten();
        let Some(wanted) = wanted.find(|one| one["name"] == container["name"]) else { continue };
        for field in ["resources", "resizePolicy"] {
            object::keep_top(container, wanted, field);
        }
    }
}

impl Registry {
    /// Whether the target is the resource of bindings, whose objects are never stored.
    pub(super) fn is_binding(&self, target: &Target) -> bool {
        target.resource.group().is_empty() && target.resource.kind() == "Binding"
    }

    /// The pod that a binding to the collection is of.
    pub(super) fn bound_pod(&self, target: &Target, input: &Input) -> Result<Target, Status> {
        let pods = self.resource("", "v1", "pods").ok_or_else(Status::no_such_path)?;
        Ok(Target {
            resource: pods.clone(),
            namespace: target.namespace.clone(),
            name: object::text(&input.value, "name").to_owned(),
            subresource: Some("binding".to_owned()),
        })
    }

    /// Puts a pod on a node.
    pub(super) async fn bind(
        &self,
        context: &RequestContext,
        target: &Target,
        input: Input,
        options: &CreateOptions,
    ) -> Result<Answer, Status> {
        let body = self.body_type(target)?;
        let warnings = strict::judge(input.findings, options.field_validation, &body)?;
        let mut binding = input.value;
        super::prepare::check_namespace(&target.resource, &target.namespace, &mut binding)?;
        if object::text(&binding, "name") != target.name {
            return Err(Status::bad_request("name in URL does not match name in Binding object"));
        }
        check_binding(&binding)?;
        self.check_namespace_alive(&target.resource, &target.namespace, &target.name).await?;
        let change =
            Change { target, part: Part::Made, dry_run: options.dry_run, may_create: false };
        let now = self.seams().now_text();
        self.change(context, &change, |current| {
            let current = current.expect("a binding does not create");
            Ok((bound(target, &binding, current, &now)?, Vec::new()))
        })
        .await?;
        let mut answer = Answer::status(201, success(Some(201), None));
        answer.warnings = warnings;
        Ok(answer)
    }

    /// Deletes a pod if its budget allows.
    pub(super) async fn evict(
        &self,
        context: &RequestContext,
        target: &Target,
        input: Input,
        options: &CreateOptions,
    ) -> Result<Answer, Status> {
        let body = self.body_type(target)?;
        strict::judge(input.findings, options.field_validation, &body)?;
        let eviction = input.value;
        if object::text(&eviction, "name") != target.name {
            return Err(Status::bad_request("name in URL does not match name in Eviction object"));
        }
        let mut delete = match &eviction["deleteOptions"] {
            Value::Null => DeleteOptions::default(),
            said => DeleteOptions::from_body(said)?,
        };
        delete.dry_run |= options.dry_run;
        let row = &*target.resource;
        let pod = self.newest(row, &target.namespace, &target.name).await?;
        let Some(pod) = pod else {
            return Err(Status::not_found(row.group(), row.plural(), &target.name));
        };
        if !ends_anyway(&pod.value) {
            self.take_from_budget(context, target, &pod.value, delete.dry_run).await?;
        }
        let whole = Target { subresource: None, ..target.clone() };
        if !delete.dry_run {
            self.mark_disrupted(context, &whole, &mut delete).await?;
        }
        self.delete_object(context, &whole, &delete).await?;
        Ok(Answer::status(201, success(Some(201), None)))
    }

    /// Writes into the pod that it is evicted. A resourceVersion that the deletion insists on is
    /// checked here and is that of this write from then on.
    async fn mark_disrupted(
        &self,
        context: &RequestContext,
        target: &Target,
        delete: &mut DeleteOptions,
    ) -> Result<(), Status> {
        let change = Change { target, part: Part::Made, dry_run: false, may_create: false };
        let now = self.seams().now_text();
        let asked = delete.clone();
        let changed = self
            .change(context, &change, |current| {
                let current = current.expect("an eviction does not create");
                super::delete::check_preconditions(&target.resource, &asked, current)?;
                let mut pod = current.value.clone();
                let condition = json!({
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "EvictionByEvictionAPI",
                    "message": "Eviction API: evicting",
                    "lastProbeTime": null,
                    "lastTransitionTime": now,
                });
                set_condition(&mut pod, condition);
                Ok((pod, Vec::new()))
            })
            .await?;
        if let Some(version) = &mut delete.preconditions.resource_version {
            *version = changed.revision.to_string();
        }
        Ok(())
    }

    /// Counts an eviction in the budget that guards the pod, if one does.
    async fn take_from_budget(
        &self,
        context: &RequestContext,
        target: &Target,
        pod: &Value,
        dry_run: bool,
    ) -> Result<(), Status> {
        let Some(row) = self.resource("policy", "v1", "poddisruptionbudgets").cloned() else {
            return Ok(());
        };
        let budgets = Target {
            resource: row.clone(),
            namespace: target.namespace.clone(),
            name: String::new(),
            subresource: None,
        };
        let listed = self.list(context, &budgets, &Default::default()).await?;
        let mut guarding = Vec::new();
        for item in &listed.items {
            let budget: Value = serde_json::from_slice(&item.json()).map_err(Status::internal)?;
            if selects(&budget["spec"]["selector"], &pod["metadata"]["labels"]) {
                guarding.push(item.name().to_owned());
            }
        }
        let name = match guarding.as_slice() {
            [] => return Ok(()),
            [one] => one.clone(),
            _ => {
                return Err(Status::plain(
                    500,
                    Reason::Unknown,
                    "This pod has more than one PodDisruptionBudget, which the eviction \
                     subresource does not support.",
                ));
            }
        };
        let mut writing = self.writing(&row, "update", &target.namespace, &name).await?;
        loop {
            let Some(current) = writing.current.clone() else { return Ok(()) };
            let counted = match count_eviction(&current.value, pod, &self.seams().now_text()) {
                Ok(counted) => counted,
                Err(refusal) => {
                    if writing.was_stale().await? {
                        continue;
                    }
                    return Err(refusal);
                }
            };
            let Some(counted) = counted else { return Ok(()) };
            if let Attempt::Done(_) = writing.write(&counted, dry_run, None).await? {
                return Ok(());
            }
        }
    }
}

fn check_binding(binding: &Value) -> Result<(), Status> {
    let target = &binding["target"];
    let kind = target["kind"].as_str().unwrap_or_default();
    let mut errors = FieldErrors::new();
    let path = FieldPath::new("target");
    if !matches!(kind, "" | "Node") {
        errors.not_supported(&path.child("kind"), kind, &["Node", "<empty>"]);
    }
    if target["name"].as_str().unwrap_or_default().is_empty() {
        errors.required(&path.child("name"), "");
    }
    match errors.aggregate() {
        None => Ok(()),
        // Compat: the real one answers the bare texts.
        Some(text) => Err(Status::unknown(text)),
    }
}

fn bound(target: &Target, binding: &Value, current: &Current, now: &str) -> Result<Value, Status> {
    super::update::check_uid(target, object::text(binding, "uid"), Some(current))?;
    let old = &current.value;
    let name = &target.name;
    let node = old["spec"]["nodeName"].as_str().unwrap_or_default();
    let gates = old["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty());
    let why = if object::is_deleting(old) {
        format!("pod {name} is being deleted, cannot be assigned to a host")
    } else if !node.is_empty() {
        format!("pod {name} is already assigned to node {}", crate::status::quoted(node))
    } else if gates {
        format!("pod {name} has non-empty .spec.schedulingGates")
    } else {
        let mut pod = old.clone();
        let version = object::text(binding, "resourceVersion");
        object::set(&mut pod, "resourceVersion", Value::from(version));
        put_on(&mut pod, binding, now);
        return Ok(pod);
    };
    Err(Status::conflict("", "pods/binding", name, &why))
}

fn put_on(pod: &mut Value, binding: &Value, now: &str) {
    pod["spec"]["nodeName"] = binding["target"]["name"].clone();
    for field in ["annotations", "labels"] {
        let Some(said) = binding["metadata"][field].as_object() else { continue };
        let mut all = pod["metadata"][field].as_object().cloned().unwrap_or_default();
        all.extend(said.clone());
        object::set(pod, field, Value::Object(all));
    }
    if let Some(status) = pod["status"].as_object_mut() {
        status.remove("nominatedNodeName");
    }
    set_condition(
        pod,
        json!({
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": null,
            "lastTransitionTime": now,
        }),
    );
}

/// Sets a condition in the place it has, or as the last one. A condition that says the same keeps
/// its time.
fn set_condition(object: &mut Value, condition: Value) {
    let mut conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    match conditions.iter_mut().find(|known| known["type"] == condition["type"]) {
        Some(known) => {
            let since = known["lastTransitionTime"].clone();
            let same = known["status"] == condition["status"] && !since.is_null();
            *known = condition;
            if same {
                known["lastTransitionTime"] = since;
            }
        }
        None => conditions.push(condition),
    }
    object["status"]["conditions"] = Value::from(conditions);
}

/// Whether evicting the pod disrupts nothing.
fn ends_anyway(pod: &Value) -> bool {
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    matches!(phase, "Succeeded" | "Failed" | "Pending") || object::is_deleting(pod)
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// The budget with one more eviction; none if the pod does not count in it.
fn count_eviction(budget: &Value, pod: &Value, now: &str) -> Result<Option<Value>, Status> {
    let status = &budget["status"];
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    let (healthy, desired) = (number("currentHealthy"), number("desiredHealthy"));
    if !is_ready(pod) {
        let policy = budget["spec"]["unhealthyPodEvictionPolicy"].as_str();
        if policy == Some("AlwaysAllow") || (healthy >= desired && desired > 0) {
            return Ok(None);
        }
    }
    let name = object::text(budget, "name");
    if number("observedGeneration") < object::integer(budget, "generation").unwrap_or(0) {
        let message =
            format!("The disruption budget {name} is still being processed by the server.");
        return Err(not_now(10).with_cause(BUDGET_CAUSE, message, ""));
    }
    let disrupted = status["disruptedPods"].as_object().map_or(0, Map::len);
    if let Some(refusal) = check_counts(name, number("disruptionsAllowed"), disrupted) {
        return Err(refusal);
    }
    if number("disruptionsAllowed") == 0 {
        let message = match healthy <= desired {
            true => format!(
                "The disruption budget {name} needs {desired} healthy pods and has {healthy} \
                 currently"
            ),
            false => format!("The disruption budget {name} does not allow evicting pods currently"),
        };
        return Err(not_now(0).with_cause(BUDGET_CAUSE, message, ""));
    }
    let mut counted = budget.clone();
    let left = number("disruptionsAllowed") - 1;
    counted["status"]["disruptionsAllowed"] = Value::from(left);
    if left == 0 {
        let condition = json!({
            "type": "DisruptionAllowed",
            "status": "False",
            "reason": "InsufficientPods",
            "message": "",
            "observedGeneration": number("observedGeneration"),
            "lastTransitionTime": now,
        });
        set_condition(&mut counted, condition);
    }
    counted["status"]["disruptedPods"][object::text(pod, "name")] = Value::from(now);
    Ok(Some(counted))
}

fn check_counts(name: &str, allowed: i64, disrupted: usize) -> Option<Status> {
    let (why, cause) = if allowed < 0 {
        let why = "pdb disruptions allowed is negative";
        (why, why)
    } else if disrupted > DISRUPTED_PODS_MAX {
        (
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
            "too many pending evictions not confirmed by PDB controller",
        )
    } else {
        return None;
    };
    let cause =
        format!("The disruption budget {name} does not allow evicting pods currently: {cause}");
    let refusal = Status::forbidden("policy", "poddisruptionbudget", name, why);
    Some(refusal.with_cause(BUDGET_CAUSE, cause, ""))
}

fn not_now(seconds: u32) -> Status {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    Status::too_many_requests(message, seconds)
}

/// Whether a label selector of an object selects labels. Compat: an absent selector selects
/// nothing here, an empty one everything.
fn selects(selector: &Value, labels: &Value) -> bool {
    if !selector.is_object() {
        return false;
    }
    let label = |key: &str| labels[key].as_str();
    let pairs = selector["matchLabels"].as_object().into_iter().flatten();
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    pairs.into_iter().all(|(key, value)| label(key) == value.as_str())
        && expressions.into_iter().all(|expression| {
            let found = expression["key"].as_str().and_then(label);
            let values = expression["values"].as_array();
            let among = found.is_some_and(|found| {
                values.into_iter().flatten().any(|value| value.as_str() == Some(found))
            });
            match expression["operator"].as_str().unwrap_or_default() {
                "In" => among,
                "NotIn" => !among,
                "Exists" => found.is_some(),
                _ => found.is_none(),
            }
        })
}

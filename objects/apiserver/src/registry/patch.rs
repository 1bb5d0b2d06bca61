//! Patches: the patch is done on the present state, what it leaves is read as a body would be, and
//! the rest is an update.
//!
//! Invariant: a patch that carries no resourceVersion never meets a conflict: it is done again on
//! what others wrote.

use schema::Value;
use schema::patch::{Patch, go_text};
use schema::typed;
use schema::types::Schema;
use serde_json::Map;

use super::object;
use super::options::{FieldValidation, PatchOptions};
use super::prepare;
use super::refusals;
use super::request::{Answer, PatchKind, RequestContext, Target};
use super::row::BodyType;
use super::serving::Registry;
use super::state::Current;
use super::strict;
use super::update::{Change, Made, Part};
use crate::status::{Reason, Status};

/// A patch as read.
pub(super) struct Patching<'a> {
    pub(super) patch: Patch,
    /// Compat: a strategic patch is shown in refusals as it is, others by what they leave.
    shown: Option<String>,
    pub(super) body: BodyType,
    pub(super) mode: FieldValidation,
    pub(super) target: &'a Target,
}

impl Registry {
    /// Reads a patch.
    pub(super) fn read_patch<'a>(
        &self,
        target: &'a Target,
        kind: PatchKind,
        patch: &[u8],
        options: &PatchOptions,
    ) -> Result<Patching<'a>, Status> {
        let shown = match kind {
            PatchKind::Strategic => serde_json::from_slice::<Value>(patch).ok(),
            _ => None,
        };
        let patch = match kind {
            PatchKind::Json => Patch::json(patch),
            PatchKind::Merge => Patch::merge(patch),
            PatchKind::Strategic => Patch::strategic(patch),
            PatchKind::ApplyYaml => return Err(apply_is_not_served()),
            PatchKind::ApplyCbor => return Err(refusals::unsupported_patch()),
        };
        Ok(Patching {
            patch: patch.map_err(refusals::of_patch)?,
            shown: shown.as_ref().map(go_text),
            body: self.body_type(target)?,
            mode: options.write.field_validation,
            target,
        })
    }

    pub(super) async fn patch_object(
        &self,
        context: &RequestContext,
        target: &Target,
        part: Part,
        patching: &Patching<'_>,
        options: &PatchOptions,
    ) -> Result<Answer, Status> {
        let row = &target.resource;
        let change = Change { target, part, dry_run: options.write.dry_run, may_create: false };
        let changed = self
            .change(context, &change, |current| {
                let current = current.expect("a patch does not create");
                self.patched(patching, current)
            })
            .await?;
        self.changed_answer(row, changed)
    }

    /// What a patch leaves of an object.
    fn patched(&self, patching: &Patching<'_>, current: &Current) -> Result<Made, Status> {
        let target = patching.target;
        let row = &target.resource;
        let served = self.served(row, current.value.clone(), current.revision)?;
        let (mut new, mut warnings) = self.patch_value(patching, &served)?;
        warnings.extend(prepare::drop_double_owners(&mut new));
        prepare::check_namespace(row, &target.namespace, &mut new)?;
        prepare::check_name(&target.name, &new)?;
        let mut new = self.stored_version(row, new)?;
        (row.hooks.default)(&mut new);
        Ok((new, warnings))
    }

    /// Does the patch on a served object, and reads what it leaves as strictly as asked.
    pub(super) fn patch_value(
        &self,
        patching: &Patching<'_>,
        served: &Value,
    ) -> Result<(Value, Vec<String>), Status> {
        let Patching { patch, body, mode, .. } = patching;
        let schema = self.schema();
        let mut left = patch.apply(schema, body.type_id, served).map_err(refusals::of_patch)?;
        if patching.shown.is_some() {
            object::keep_top(&mut left, served, "kind");
            object::keep_top(&mut left, served, "apiVersion");
        }
        let refuse = |left: &Value, why: &str| {
            let shown = patching.shown.clone().unwrap_or_else(|| go_json(left));
            refusals::invalid_patch(&shown, why)
        };
        if left.is_object() && left["apiVersion"].is_null() {
            return Err(prepare::undeterminable(&patching.target.name));
        }
        check_type(schema, body, &left).map_err(|why| refuse(&left, &why))?;
        let mut findings = patch.warnings.clone();
        if *mode != FieldValidation::Ignore {
            findings.extend(typed::unknown_fields(schema, body.type_id, &left));
        }
        if *mode == FieldValidation::Strict && !findings.is_empty() {
            return Err(refuse(&left, &strict::sentence(&findings)));
        }
        let shown = left.clone();
        let new = typed::normalize(schema, body.type_id, left)
            .map_err(|error| refuse(&shown, &error.to_string()))?;
        let said = if *mode == FieldValidation::Warn { findings } else { Vec::new() };
        Ok((new, said))
    }
}

/// What a patch made of the kind and version: they cannot be changed.
///
/// Compat: a strategic patch works on the typed object, which has neither; without a kind the one
/// of the resource is meant.
fn check_type(schema: &Schema, body: &BodyType, left: &Value) -> Result<(), String> {
    let text = |field: &str| left[field].as_str().unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let api_version = match body.group {
        "" => body.version.to_owned(),
        group => format!("{group}/{}", body.version),
    };
    if !left.is_object() || (version == api_version && (kind == body.kind || kind.is_empty())) {
        return Ok(());
    }
    let (group, number) = version.split_once('/').unwrap_or(("", version));
    if number.contains('/') {
        return Err(format!("unexpected GroupVersion string: {version}"));
    }
    if let Some(other) = schema.kind(group, number, kind) {
        // Order: it is read as what it says it is, before that turns out to be something else.
        typed::normalize(schema, other, left.clone()).map_err(|error| error.to_string())?;
        let room = match body.group.split('.').next() {
            None | Some("") => "core",
            Some(first) => first,
        };
        let wanted = body.kind;
        return Err(format!(
            "converting ({number}.{kind}) to ({room}.{wanted}): unknown conversion"
        ));
    }
    let kind = if kind.is_empty() { body.kind } else { kind };
    Err(format!(
        "no kind {} is registered for version {} in scheme \"pkg/runtime/scheme.go:111\"",
        crate::status::quoted(kind),
        crate::status::quoted(version)
    ))
}

/// The patched object as the real one shows it: metadata in the order of Go's fields.
fn go_json(value: &Value) -> String {
    let mut out = String::from("{");
    for (at, (key, member)) in value.as_object().into_iter().flatten().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let shown = match (key.as_str(), member) {
            ("metadata", Value::Object(metadata)) => go_metadata(metadata),
            _ => member.to_string(),
        };
        out.push_str(&format!("{}:{shown}", Value::from(key.as_str())));
    }
    out.push('}');
    out
}

fn go_metadata(metadata: &Map<String, Value>) -> String {
    let place = |key: &str| METADATA_ORDER.iter().position(|known| *known == key);
    let mut members: Vec<_> = metadata.iter().collect();
    members.sort_by_key(|(key, _)| place(key).unwrap_or(METADATA_ORDER.len()));
    let shown: Vec<String> = members
        .iter()
        .map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())))
        .collect();
    format!("{{{}}}", shown.join(","))
}

const METADATA_ORDER: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

fn apply_is_not_served() -> Status {
    Status::plain(
        415,
        Reason::UnsupportedMediaType,
        "server-side apply is not served yet: send a JSON, merge or strategic merge patch",
    )
}

//! Versions that Kubernetes 1.37 no longer serves and we do.
//!
//! `batch/v1beta1` CronJob, removed in 1.25, is field for field `batch/v1`'s: it shares the types,
//! and conversion is a change of `apiVersion`. Its row stands behind those of `batch/v1`, which
//! discovery prefers. Must not know: how facts are read.

use crate::types::{Deprecation, Gvk, Schema};

const GROUP: &str = "batch";
const VERSION: &str = "v1beta1";

/// Adds them to a schema that has what they are shared with.
pub(super) fn add(schema: &mut Schema) {
    for kind in ["CronJob", "CronJobList"] {
        let Some(id) = schema.kind(GROUP, "v1", kind) else { continue };
        schema.kinds.insert((GROUP, VERSION, kind), id);
        schema.types[id.0 as usize].kinds.push(Gvk {
            group: GROUP.to_owned(),
            version: VERSION.to_owned(),
            kind: kind.to_owned(),
        });
    }
    let rows = &mut schema.resources;
    let Some(served) = rows.iter().find(|row| row.group == GROUP && row.plural == "cronjobs")
    else {
        return;
    };
    let mut row = served.clone();
    row.version = VERSION;
    row.deprecated = Some(Deprecation {
        since: "1.21",
        removed_in: Some("1.25"),
        replacement: Some(("batch/v1", "CronJob")),
    });
    row.subresources.iter_mut().for_each(|subresource| subresource.version = VERSION);
    let behind = rows.iter().rposition(|row| row.group == GROUP).map_or(rows.len(), |at| at + 1);
    rows.insert(behind, row);
}

//! One revision of the source, made again in the target as one transaction.

use proto::mvccpb::Event;
use proto::mvccpb::event::EventType;

use super::{Work, copy, revision_of};
use crate::ToolError;
use crate::catalogue::Id;

/// Applies the changes of one revision, in their order.
///
/// *Errors*: the revision changed more keys than the target takes in one transaction; in an exact
/// copy, the target came to another revision.
pub(super) async fn revision(work: &mut Work, events: &[Event]) -> Result<(), ToolError> {
    let Some(revision) = events.first().map(revision_of) else { return Ok(()) };
    if work.exact && revision <= work.applied {
        return Ok(());
    }
    let mut ops = Vec::with_capacity(events.len());
    for event in events {
        let Some(kv) = &event.kv else { continue };
        match event.r#type == EventType::Delete as i32 {
            true => ops.push(copy::delete(&kv.key)),
            false => {
                work.leases.ensure(kv.lease, &work.from, &work.to).await?;
                ops.push(copy::put(kv));
            }
        }
    }
    let changes = ops.len();
    if !work.exact {
        // Revisions differ anyway: what the target cannot take at once comes in parts.
        for part in ops.chunks(copy::OPS_MAX) {
            work.to.write(part.to_vec()).await?;
        }
        work.applied = work.applied.max(revision);
        return Ok(());
    }
    let written = work.to.write(ops).await.map_err(|error| match error {
        ToolError::Rpc(status) if status.message().contains("too many operations") => {
            let text = format!(
                "revision {revision} of the source changed {changes} keys at once. Start the \
                 target's members with --max-txn-ops {changes} or more, and run this again"
            );
            ToolError::of(Id::TooLarge, text)
        }
        other => other,
    })?;
    if written != revision {
        let text = format!(
            "the target came to revision {written} instead of {revision}: somebody else writes to it"
        );
        return Err(ToolError::of(Id::OtherData, text));
    }
    work.applied = work.applied.max(revision);
    Ok(())
}

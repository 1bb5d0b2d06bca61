//! `util log-dump` and the log's part of `util verify`.
//!
//! Must not know: the bytes of a segment.

use std::path::Path;

use raft::log::{InspectedRecord, LogError, Report, inspect};

use super::line;
use crate::ToolError;

/// One line a record, then the sum.
pub(super) fn dump(directory: &Path) -> Result<(), ToolError> {
    let mut outcome = Ok(());
    let report = inspect(directory, |record| {
        if outcome.is_ok() {
            outcome = show(&record);
        }
    });
    outcome?;
    sum(&report.map_err(damaged)?)
}

/// Reads everything; only the sum is shown.
pub(super) fn verify(directory: &Path) -> Result<(), ToolError> {
    sum(&inspect(directory, |_| ()).map_err(damaged)?)
}

fn damaged(error: LogError) -> ToolError {
    match error {
        LogError::Io(error) => ToolError::Io(error),
        other => ToolError::Damaged(other.to_string()),
    }
}

fn show(record: &InspectedRecord) -> Result<(), ToolError> {
    let position = record.position.map_or(String::new(), |position| {
        format!(" term {} index {}", position.term, position.index)
    });
    line(format_args!(
        "{} {:>10} {:<9}{position} {} bytes",
        record.file,
        record.offset,
        format!("{:?}", record.kind).to_lowercase(),
        record.payload_bytes
    ))
}

fn sum(report: &Report) -> Result<(), ToolError> {
    let Report { records, entries, purged, committed, torn } = report;
    let index = |position: &Option<raft::log::Position>| {
        position.map_or("none".to_owned(), |position| position.index.to_string())
    };
    line(format_args!(
        "log: {records} records sound, entries {}..{}, purged {}, committed {}",
        entries.start,
        entries.end,
        index(purged),
        index(committed)
    ))?;
    if let Some(torn) = torn {
        line(format_args!(
            "log: the last write, in {} at {}, is torn: it was never acknowledged, and will be dropped",
            torn.file, torn.offset
        ))?;
    }
    Ok(())
}

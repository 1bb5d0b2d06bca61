//! Running a command of the person's own, for `watch` and `lock`.
//!
//! Invariant: it gets our standard streams, and its exit code is passed on.

use crate::ToolError;
use crate::catalogue::Id;

/// Runs the words as a command, with more variables.
///
/// *Errors*: `Exec` when it cannot be started or is killed; `Verdict` with its exit code.
pub(crate) async fn run(
    words: &[String],
    variables: &[(&'static str, String)],
) -> Result<(), ToolError> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let status = tokio::process::Command::new(program)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| ToolError::of(Id::Exec, format!("{program}: {error}")))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(ToolError::Verdict(u8::try_from(code).unwrap_or(1))),
        None => Err(ToolError::of(Id::Exec, format!("{program}: {status}"))),
    }
}

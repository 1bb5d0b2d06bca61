//! Writes the fact file of the schema room anew, by its generator.
//!
//! The generator is a Go program that reads Kubernetes' published modules: this command is the
//! only one of the workshop's own that needs Go.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

const GENERATOR: &str = "objects/schema/generator";
const FACTS: &str = "objects/schema/facts/kubernetes-1.37";

/// Runs the generator and writes what it says, when it ended well.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let output = Command::new("go")
        .args(["run", "."])
        .current_dir(root.join(GENERATOR))
        .stderr(Stdio::inherit())
        .output()
        .context("go run; is Go installed?")?;
    ensure!(output.status.success(), "the generator failed");
    std::fs::write(root.join(FACTS), &output.stdout).with_context(|| format!("write {FACTS}"))?;
    println!("wrote {FACTS}, {} bytes", output.stdout.len());
    Ok(true)
}

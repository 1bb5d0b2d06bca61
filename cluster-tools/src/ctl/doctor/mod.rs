//! `doctor`: looks for trouble and says for each finding the verdict, the evidence and the next
//! command.
//!
//! Invariants: it only reads; what could not be looked at is a finding of its own, never silence.
//!
//! Must not know: how to repair anything.

mod certificates;
mod checks;
mod finding;

use std::time::Duration;

use clap::Args;
use futures::future::join_all;

use super::global::Global;
use super::observe::{self, Sample};
use super::show::{Doc, Object};
use super::{endpoint, show};
use crate::ToolError;
use finding::{Finding, Verdict};

/// Options of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Certificates that end within so many days are a warning.
    #[arg(long, default_value_t = 30)]
    certificate_days: u32,
    /// Show only what is not well.
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) async fn run(global: &Global, doctor: Doctor) -> Result<(), ToolError> {
    let mut brisk = global.clone();
    brisk.command_timeout = global.command_timeout.min(Duration::from_secs(3));
    brisk.dialing.request_timeout = Some(brisk.command_timeout);
    let findings = examine(&brisk, &doctor).await;
    let worst = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Well);
    let shown: Vec<_> =
        findings.iter().filter(|found| !doctor.quiet || found.verdict != Verdict::Well).collect();
    global.output.show(
        || {
            Object::new()
                .with("verdict", worst.word())
                .with("findings", Doc::list(shown.iter().copied(), Finding::document))
                .into()
        },
        || shown.iter().map(|finding| finding.line()).collect::<String>().into(),
        || {
            let text: String = shown.iter().map(|finding| finding.text()).collect();
            format!("{text}\n{}\n", summary(&findings, worst))
        },
    )?;
    match worst.exit_code() {
        0 => Ok(()),
        code => Err(ToolError::Verdict(code)),
    }
}

fn summary(findings: &[Finding], worst: Verdict) -> String {
    let count = |verdict| findings.iter().filter(|found| found.verdict == verdict).count();
    let (warnings, bad) = (count(Verdict::Warning), count(Verdict::Bad));
    let all = findings.len();
    match worst {
        Verdict::Well => format!("{all} checks: all is well"),
        _ => format!("{all} checks: {bad} need you now, {warnings} warnings"),
    }
}

/// All findings, in the order in which an operator asks.
async fn examine(global: &Global, doctor: &Doctor) -> Vec<Finding> {
    let (targets, unlisted) = observe::targets(global).await;
    let samples = observe::look(global, &targets).await;
    let mut findings = Vec::new();
    if let Some(why) = unlisted {
        findings.push(
            Finding::bad("members", format!("the member list cannot be read: {why}"))
                .next("engram ctl endpoint health"),
        );
    }
    findings.extend(checks::all(&samples));
    findings.push(alarms(global).await);
    findings.push(hashes(global, &samples).await);
    findings.push(certificates::check(global, &samples, doctor.certificate_days).await);
    findings
}

async fn alarms(global: &Global) -> Finding {
    let raised = match observe::alarms(global).await {
        Ok(raised) => raised,
        Err(error) => return Finding::warning("alarms", format!("could not be asked: {error}")),
    };
    if raised.is_empty() {
        return Finding::well("alarms", "none is raised".to_owned());
    }
    let names = raised
        .iter()
        .map(|alarm| format!("{} of {:x}", endpoint::alarm_name(alarm.alarm), alarm.member_id));
    let names = names.collect::<Vec<_>>().join(", ");
    let is_corrupt = raised.iter().any(|alarm| endpoint::alarm_name(alarm.alarm) == "CORRUPT");
    let next = if is_corrupt {
        "engram ctl endpoint hashkv --cluster, then `member replace` the one that differs"
    } else {
        "engram ctl compaction REVISION, engram ctl defrag --cluster, engram ctl alarm disarm"
    };
    Finding::bad("alarms", names).next(next)
}

/// Equal histories up to one revision have equal hashes.
async fn hashes(global: &Global, samples: &[Sample]) -> Finding {
    let well: Vec<_> = samples.iter().filter(|sample| sample.is_well()).collect();
    let endpoints: Vec<_> =
        well.iter().filter_map(|sample| sample.target.endpoint.clone()).collect();
    let revisions = well.iter().filter_map(|sample| {
        let status = sample.status.as_ref().ok()?;
        status.header.as_ref().map(|header| header.revision)
    });
    let Some(revision) = revisions.min().filter(|_| endpoints.len() > 1) else {
        return Finding::well("hashes", "fewer than two members to compare".to_owned());
    };
    let asked =
        join_all(endpoints.iter().map(|url| endpoint::hash_of(global, url, revision))).await;
    let mut found = Vec::new();
    for (sample, answer) in well.iter().zip(asked) {
        match answer {
            Ok(answer) => found.push((sample.name(), answer.compact_revision, answer.hash)),
            Err(error) => {
                let text = format!("{} could not be asked: {error}", sample.name());
                return Finding::warning("hashes", text)
                    .next("engram ctl endpoint hashkv --cluster");
            }
        }
    }
    checks::hashes(revision, &found)
}

impl Finding {
    /// For `simple`: one line, fields parted by tabs.
    fn line(&self) -> String {
        let next = self.next.as_deref().unwrap_or_default();
        format!("{}\t{}\t{}\t{next}\n", self.verdict.word(), self.check, self.evidence)
    }

    fn text(&self) -> String {
        let next = match &self.next {
            Some(next) => format!("\n          next: {next}"),
            None => String::new(),
        };
        let evidence = show::text::safe_lines(self.evidence.as_bytes());
        format!("{:<8}  {}: {evidence}{next}\n", self.verdict.word().to_uppercase(), self.check)
    }
}

//! `alarm`, `defrag`, `move-leader`, `downgrade` and `snapshot save`.
//!
//! Invariant: a snapshot is either whole at its place or not there; what is unfinished lies beside
//! it and is removed.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Subcommand};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::downgrade_request::DowngradeAction;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use tokio::io::AsyncWriteExt as _;

use super::endpoint::{alarm_name, status_of};
use super::global::Global;
use super::range::parse_member_id;
use super::show::figures::{bytes, go_duration};
use super::show::{self, Format, Object, Output, Table, notice};
use crate::ToolError;

/// The verbs of `alarm`.
#[derive(Debug, Subcommand)]
pub(crate) enum Alarm {
    /// List the alarms that are raised.
    List,
    /// Clear all alarms.
    Disarm,
}

/// Options of `defrag`.
#[derive(Debug, Args)]
pub(crate) struct Defrag {
    /// All members of the cluster, one after the other.
    #[arg(long)]
    cluster: bool,
}

/// Options of `move-leader`.
#[derive(Debug, Args)]
pub(crate) struct MoveLeader {
    /// The id of the member that shall lead, in hexadecimal.
    #[arg(value_parser = parse_member_id)]
    target: u64,
}

/// The verbs of `downgrade`.
#[derive(Debug, Subcommand)]
pub(crate) enum Downgrade {
    /// Say whether the cluster could be downgraded to this version.
    Validate(Target),
    /// Begin a downgrade to this version.
    Enable(Target),
    /// Call a downgrade off.
    Cancel,
}

/// A version to go back to.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// One minor version lower, such as 3.6.
    version: String,
}

/// The verbs of `snapshot`.
#[derive(Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Write a member's database to a file that etcdutl and `engram util` read.
    Save {
        /// The file to write.
        file: PathBuf,
    },
}

pub(crate) async fn alarm(global: &Global, verb: Alarm) -> Result<(), ToolError> {
    use pb::alarm_request::AlarmAction;
    let mut client = MaintenanceClient::new(global.channel().await?);
    let listed = client.alarm(pb::AlarmRequest::default()).await?.into_inner();
    let Alarm::Disarm = verb else { return show_alarms(&global.output, &listed, "no alarms") };
    // Compat: as etcd's client does it, each alarm by itself, and without a header.
    let mut cleared = pb::AlarmResponse::default();
    for alarm in listed.alarms {
        let request = pb::AlarmRequest {
            action: AlarmAction::Deactivate as i32,
            member_id: alarm.member_id,
            alarm: alarm.alarm,
        };
        let answer = client.alarm(request).await?.into_inner();
        cleared.alarms.extend(answer.alarms);
    }
    show_alarms(&global.output, &cleared, "no alarms to disarm")
}

fn show_alarms(output: &Output, answer: &pb::AlarmResponse, none: &str) -> Result<(), ToolError> {
    output.show(
        answer,
        || {
            let lines = answer.alarms.iter().map(|alarm| {
                format!("memberID:{} alarm:{}\n", alarm.member_id, alarm_name(alarm.alarm))
            });
            lines.collect::<String>().into()
        },
        || {
            let mut table = Table::new(&["MEMBER", "ALARM"]);
            for alarm in &answer.alarms {
                table.row(vec![format!("{:x}", alarm.member_id), alarm_name(alarm.alarm).into()]);
            }
            table.text(none)
        },
    )
}

pub(crate) async fn defrag(global: &Global, defrag: Defrag) -> Result<(), ToolError> {
    // A rewrite of a large database takes longer than an answer usually may.
    let mut patient = global.clone();
    patient.dialing.request_timeout = None;
    let mut failed = 0;
    for endpoint in global.targets(defrag.cluster).await? {
        let began = Instant::now();
        let outcome = async {
            let mut client = MaintenanceClient::new(patient.channel_to(&endpoint).await?);
            client.defragment(pb::DefragmentRequest {}).await?;
            Ok::<_, ToolError>(())
        }
        .await;
        let took = go_duration(began.elapsed());
        match outcome {
            Ok(()) => global.output.say(
                || Object::new().with("endpoint", &endpoint).with("took", took.as_str()).into(),
                || format!("Finished defragmenting etcd member[{endpoint}]. took {took}"),
            )?,
            Err(error) => {
                failed += 1;
                notice(format!(
                    "Failed to defragment etcd member[{endpoint}]. took {took}. ({error})"
                ));
            }
        }
    }
    if failed == 0 {
        return Ok(());
    }
    Err(ToolError::Unhealthy(format!("{failed} member(s) could not be defragmented")))
}

pub(crate) async fn move_leader(global: &Global, ask: MoveLeader) -> Result<(), ToolError> {
    for endpoint in &global.endpoints {
        let Ok(status) = status_of(global, endpoint).await else { continue };
        let member = status.header.map_or(0, |header| header.member_id);
        if member != status.leader {
            continue;
        }
        let mut client = MaintenanceClient::new(global.channel_to(endpoint).await?);
        let request = pb::MoveLeaderRequest { target_id: ask.target };
        let answer = client.move_leader(request).await?.into_inner();
        return global.output.say(&answer, || {
            format!("Leadership transferred from {member:x} to {:x}", ask.target)
        });
    }
    let text = format!("no leader endpoint given at [{}]", global.endpoints.join(" "));
    Err(ToolError::Usage(text))
}

pub(crate) async fn downgrade(global: &Global, verb: Downgrade) -> Result<(), ToolError> {
    let (action, version, word) = match verb {
        Downgrade::Validate(target) => (DowngradeAction::Validate, target.version, "validate"),
        Downgrade::Enable(target) => (DowngradeAction::Enable, target.version, "enable"),
        Downgrade::Cancel => (DowngradeAction::Cancel, String::new(), "cancel"),
    };
    let mut client = MaintenanceClient::new(global.channel().await?);
    let request = pb::DowngradeRequest { action: action as i32, version };
    let answer = client.downgrade(request).await?.into_inner();
    global
        .output
        .say(&answer, || format!("Downgrade {word} success, cluster version {}", answer.version))
}

pub(crate) async fn snapshot(global: &Global, verb: Snapshot) -> Result<(), ToolError> {
    let Snapshot::Save { file } = verb;
    if global.endpoints.len() > 1 {
        let text = "a snapshot is of one member: give one endpoint";
        return Err(ToolError::Usage(text.to_owned()));
    }
    let beside = PathBuf::from(format!("{}.part", file.display()));
    let saved = save(global, &beside).await;
    let (size, version) = match saved {
        Ok(saved) => saved,
        Err(error) => {
            // Unfinished is as good as nothing; what the removal says would hide the reason.
            drop(tokio::fs::remove_file(&beside).await);
            return Err(error);
        }
    };
    tokio::fs::rename(&beside, &file).await?;
    let place = file.display().to_string();
    match global.output.format {
        Format::Table => show::line(format!("Snapshot saved at {place}, {}", bytes(size))),
        Format::Simple | Format::Protobuf => {
            show::line(format!("Snapshot saved at {place}"))?;
            if version.is_empty() {
                Ok(())
            } else {
                show::line(format!("Server version {version}"))
            }
        }
        _ => global.output.whole(|| {
            let saved = Object::new().with("file", place).with("size_bytes", size);
            saved.with("version", version).into()
        }),
    }
}

/// Streams the database into a file and syncs it; its size and the server's storage version.
async fn save(global: &Global, beside: &PathBuf) -> Result<(u64, String), ToolError> {
    let mut client =
        MaintenanceClient::new(global.channel().await?).max_decoding_message_size(usize::MAX);
    let mut stream = client.snapshot(pb::SnapshotRequest {}).await?.into_inner();
    let mut options = tokio::fs::OpenOptions::new();
    let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(beside).await?;
    let (mut size, mut version) = (0u64, String::new());
    while let Some(part) = stream.message().await? {
        if !part.version.is_empty() {
            version = part.version;
        }
        size += part.blob.len() as u64;
        out.write_all(&part.blob).await?;
    }
    out.flush().await?;
    out.sync_all().await?;
    // Compat: a database of whole sectors, and a SHA-256 behind it.
    if size % 512 != 32 {
        let text = format!("the snapshot has no checksum behind it ({size} bytes): it was cut off");
        return Err(ToolError::Damaged(text));
    }
    Ok((size, version))
}

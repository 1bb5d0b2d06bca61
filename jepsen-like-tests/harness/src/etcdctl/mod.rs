//! etcdctl transcripts: the same command lines run against the real etcd and against Engram, their
//! output compared.
//!
//! Must not know: how either server works.

mod text;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use programs::transcript::script::{self, Section};
use programs::transcript::{Comparable, Outcome, Side, Transcript};
use proto::etcdserverpb::MemberListRequest;
use services::etcdserverpb::cluster_client::ClusterClient;

use crate::process::{Member, dial};

/// Lines whose difference stands: the command line with `*`, and why.
pub const ACCEPTED: &[(&str, &str)] = &[];

/// The script of this crate.
///
/// *Errors*: a line that stands nowhere.
pub fn script() -> Result<Vec<Section>> {
    script::parse(include_str!("transcript.txt"))
}

/// Runs the sections whose name holds `only` against two fresh members, both ready.
///
/// *Errors*: etcdctl or a member cannot be reached at all.
pub async fn run(
    etcdctl: &Path,
    folder: &Path,
    [etcd, engram]: [&Member; 2],
    only: Option<&str>,
) -> Result<Outcome> {
    let sides =
        [side(etcd, folder.join("etcd")).await?, side(engram, folder.join("engram")).await?];
    let mut transcript = Transcript {
        program: etcdctl.to_owned(),
        name: "etcdctl",
        patience: Duration::from_secs(20),
        watches_print_first: false,
        accepted: ACCEPTED,
        sides,
        outcome: Outcome::default(),
    };
    for section in script()?.iter().filter(|it| only.is_none_or(|only| it.name.contains(only))) {
        transcript.run(section).await?;
    }
    Ok(transcript.outcome)
}

/// A member as etcdctl meets it; its ids are its own.
async fn side(member: &Member, folder: std::path::PathBuf) -> Result<Side> {
    let mut client = ClusterClient::new(dial(member.client_url()).await?);
    let list = client.member_list(MemberListRequest::default()).await?.into_inner();
    let header = list.header.context("a member list without a header")?;
    let own = list.members.into_iter().next().context("a member list without a member")?;
    let own = text::Own {
        cluster_id: header.cluster_id,
        member_id: header.member_id,
        client_url: member.client_url().to_owned(),
        peer_url: own.peer_urls.into_iter().next().context("a member without a peer URL")?,
    };
    let environment = vec![
        ("HOME".to_owned(), folder.display().to_string()),
        ("ETCDCTL_ENDPOINTS".to_owned(), member.client_url().replace("http://", "")),
    ];
    let comparable: Comparable = Box::new(move |line, output| own.comparable(line, output));
    Ok(Side::new(folder, environment, comparable))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_script_is_read_and_long_enough() {
        let sections = super::script().expect("the file is part of this crate");
        let lines: usize = sections.iter().map(|section| section.lines().count()).sum();
        assert!(lines >= 250, "{lines}");
    }
}

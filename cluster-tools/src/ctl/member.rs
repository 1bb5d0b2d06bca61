//! `member list`.
//!
//! Must not know: how members are added or removed.

use clap::Subcommand;
use proto::etcdserverpb::{Member as MemberMessage, MemberListRequest};
use serde_json::json;
use services::etcdserverpb::cluster_client::ClusterClient;

use super::Global;
use super::print::{self, Format};
use crate::ToolError;

/// The verbs of `member`.
#[derive(Debug, Subcommand)]
pub(crate) enum Member {
    /// List the members.
    List,
}

pub(crate) async fn run(global: &Global, member: Member) -> Result<(), ToolError> {
    let Member::List = member;
    let mut client = ClusterClient::new(global.channel().await?);
    let answer = client.member_list(MemberListRequest { linearizable: true }).await?.into_inner();
    if global.write_out == Format::Json {
        return print::json_line(&json!({
            "header": print::header(answer.header.as_ref()),
            "members": answer.members.iter().map(member_json).collect::<Vec<_>>(),
        }));
    }
    answer.members.iter().try_for_each(|member| print::line(member_line(member).as_bytes()))
}

fn member_line(member: &MemberMessage) -> String {
    let status = if member.name.is_empty() { "unstarted" } else { "started" };
    format!(
        "{:x}, {status}, {}, {}, {}, {}",
        member.id,
        member.name,
        member.peer_urls.join(","),
        member.client_urls.join(","),
        member.is_learner
    )
}

fn member_json(member: &MemberMessage) -> serde_json::Value {
    json!({
        "id": format!("{:x}", member.id),
        "name": member.name,
        "peer_urls": member.peer_urls,
        "client_urls": member.client_urls,
        "is_learner": member.is_learner,
    })
}

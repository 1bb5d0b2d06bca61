//! `member list | add | remove | update | promote | replace`.
//!
//! Must not know: how the members agree.

mod replace;

pub(crate) use replace::quorum;

use clap::{Args, Subcommand};
use proto::etcdserverpb as pb;
use services::etcdserverpb::cluster_client::ClusterClient;

use super::global::Global;
use super::kv::Consistency;
use super::range::parse_member_id;
use super::show::table::or_dash;
use super::show::{self, Table};
use crate::ToolError;

/// The verbs of `member`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the members.
    List(List),
    /// Add a member, which is then started with the variables printed.
    Add(Add),
    /// Remove a member.
    Remove(OfMember),
    /// Change a member's peer URLs.
    Update(Update),
    /// Make a learner that is in sync a voting member.
    Promote(OfMember),
    /// Replace a member by a new one without risk to the quorum.
    ///
    /// Adds a learner, says how to start it, waits until it is in sync, promotes it and removes
    /// the old one. Each step is checked first and refused where it could lose the quorum. When it
    /// is interrupted, the same command goes on where it stopped; --rollback takes the learner
    /// away again.
    Replace(replace::Replace),
}

/// Options of `member list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// `l`inearizable or `s`erializable.
    #[arg(long, value_enum, default_value = "l")]
    consistency: Consistency,
}

/// Options of `member add`.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The new member's name.
    name: String,
    /// Its peer URLs, separated by commas.
    #[arg(long, required = true, value_delimiter = ',')]
    peer_urls: Vec<String>,
    /// It does not vote until it is promoted.
    #[arg(long)]
    learner: bool,
}

/// A member by its id.
#[derive(Debug, Args)]
pub(crate) struct OfMember {
    /// The member's id, in hexadecimal.
    #[arg(value_parser = parse_member_id)]
    id: u64,
}

/// Options of `member update`.
#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    member: OfMember,
    /// Its new peer URLs, separated by commas.
    #[arg(long, required = true, value_delimiter = ',')]
    peer_urls: Vec<String>,
}

pub(crate) async fn run(global: &Global, verb: Verb) -> Result<(), ToolError> {
    if let Verb::Replace(replace) = verb {
        return replace::run(global, replace).await;
    }
    let mut client = ClusterClient::new(global.channel().await?);
    let output = &global.output;
    let said = |verb: &str, id: u64, header: Option<&pb::ResponseHeader>, word: &str| {
        let cluster = header.map_or(0, |header| header.cluster_id);
        format!("Member {id:16x} {verb} {word} cluster {cluster:16x}")
    };
    match verb {
        Verb::List(list) => {
            let linearizable = list.consistency == Consistency::L;
            let answer = client.member_list(pb::MemberListRequest { linearizable }).await?;
            let answer = answer.into_inner();
            output.show(
                &answer,
                || {
                    answer
                        .members
                        .iter()
                        .map(|member| line(member) + "\n")
                        .collect::<String>()
                        .into()
                },
                || table(&answer.members),
            )
        }
        Verb::Add(add) => self::add(global, &mut client, add).await,
        Verb::Remove(OfMember { id }) => {
            let answer = client.member_remove(pb::MemberRemoveRequest { id }).await?.into_inner();
            let header = answer.header.as_ref();
            output.say(&answer, || said("removed", id, header, "from"))
        }
        Verb::Update(Update { member: OfMember { id }, peer_urls }) => {
            let request = pb::MemberUpdateRequest { id, peer_urls };
            let answer = client.member_update(request).await?.into_inner();
            let header = answer.header.as_ref();
            output.say(&answer, || said("updated", id, header, "in"))
        }
        Verb::Promote(OfMember { id }) => {
            let request = pb::MemberPromoteRequest { id };
            let answer = client.member_promote(request).await?.into_inner();
            let header = answer.header.as_ref();
            output.say(&answer, || said("promoted", id, header, "in"))
        }
        Verb::Replace(_) => Ok(()),
    }
}

async fn add(
    global: &Global,
    client: &mut ClusterClient<crate::wire::Wire>,
    add: Add,
) -> Result<(), ToolError> {
    let request =
        pb::MemberAddRequest { peer_urls: add.peer_urls.clone(), is_learner: add.learner };
    let answer = client.member_add(request).await?.into_inner();
    let added = answer.member.clone().unwrap_or_default();
    let header = answer.header.unwrap_or_default();
    let output = &global.output;
    output.say(&answer, || {
        let learner = if added.is_learner { " as learner " } else { " " };
        format!("Member {:16x} added{learner}to cluster {:16x}", added.id, header.cluster_id)
    })?;
    if output.format.is_whole() {
        return Ok(());
    }
    show::line(format!(
        "\nETCD_NAME=\"{}\"\nETCD_INITIAL_CLUSTER=\"{}\"\nETCD_INITIAL_ADVERTISE_PEER_URLS=\"{}\"\n\
         ETCD_INITIAL_CLUSTER_STATE=\"existing\"",
        add.name,
        initial_cluster(&answer.members, added.id, &add.name),
        add.peer_urls.join(",")
    ))
}

/// The value of `--initial-cluster` for a member that joins: every member by name and URL.
fn initial_cluster(members: &[pb::Member], joining: u64, name: &str) -> String {
    let pairs = members.iter().flat_map(|member| {
        let name = if member.id == joining { name } else { &member.name };
        member.peer_urls.iter().map(move |url| format!("{name}={url}"))
    });
    pairs.collect::<Vec<_>>().join(",")
}

fn status(member: &pb::Member) -> &'static str {
    if member.name.is_empty() { "unstarted" } else { "started" }
}

fn line(member: &pb::Member) -> String {
    format!(
        "{:x}, {}, {}, {}, {}, {}",
        member.id,
        status(member),
        member.name,
        member.peer_urls.join(","),
        member.client_urls.join(","),
        member.is_learner
    )
}

fn table(members: &[pb::Member]) -> String {
    let mut table = Table::new(&["ID", "NAME", "STATUS", "ROLE", "PEER URLS", "CLIENT URLS"]);
    for member in members {
        table.row(vec![
            format!("{:x}", member.id),
            or_dash(&member.name),
            status(member).to_owned(),
            if member.is_learner { "learner" } else { "voter" }.to_owned(),
            member.peer_urls.join(","),
            or_dash(&member.client_urls.join(",")),
        ]);
    }
    table.text("no members")
}

#[cfg(test)]
mod tests {
    use super::{initial_cluster, line};
    use proto::etcdserverpb::Member;

    #[test]
    fn the_joining_member_is_named_in_the_initial_cluster() {
        let one = Member {
            id: 1,
            name: "a".into(),
            peer_urls: vec!["http://a:1".into()],
            ..Default::default()
        };
        let new = Member {
            id: 2,
            peer_urls: vec!["http://b:1".into(), "http://c:1".into()],
            ..Default::default()
        };
        assert_eq!(line(&new), "2, unstarted, , http://b:1,http://c:1, , false");
        assert_eq!(initial_cluster(&[one, new], 2, "b"), "a=http://a:1,b=http://b:1,b=http://c:1");
    }
}

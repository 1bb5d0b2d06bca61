//! The cluster and its upkeep: members, status, hashes, alarms, the snapshot.
//!
//! Must not know: how many members there were before.

use etcd_client::{AlarmAction, AlarmType, Client, MemberAddOptions};

use crate::keys::put;
use crate::told::{Seen, Told, holds, refused};

/// The steps about the cluster.
pub(crate) async fn tell(told: &mut Told, client: &Client) {
    told.step("status", status(client.clone())).await;
    told.step("upkeep", upkeep(client.clone())).await;
    told.step("alarms", alarms(client.clone())).await;
    told.step("learner", learner(client.clone())).await;
}

async fn status(mut client: Client) -> Seen {
    let status = client.status().await?;
    let members = client.member_list().await?;
    let only = members.members().first().ok_or("no member")?;
    holds(status.leader() == only.id(), "the only member leads")?;
    holds(status.raft_index() > 0 && status.raft_term() > 0, "the log's position")?;
    holds(status.db_size() >= status.raft_used_db_size(), "sizes")?;
    Ok(format!(
        "{} {} {} {} {} {} {:?}",
        status.version(),
        status.storage_version(),
        status.db_size_quota(),
        only.name(),
        only.is_learner(),
        only.client_urls().len(),
        status.errors(),
    ))
}

async fn upkeep(mut client: Client) -> Seen {
    let revision = put(&mut client, "hashed", "1").await?;
    client.defragment().await?;
    let hash = client.hash_kv(0).await?;
    holds(hash.hash() == client.hash_kv(revision).await?.hash(), "the same hash again")?;
    let mut snapshot = client.snapshot().await?;
    let (mut size, mut version) = (0, String::new());
    while let Some(part) = snapshot.message().await? {
        size += part.blob().len();
        version = part.version().to_owned();
    }
    Ok(format!(
        "{} {} {version} {}",
        hash.hash_revision() == revision,
        size % 512,
        refused(client.move_leader(12_345).await)?
    ))
}

async fn alarms(mut client: Client) -> Seen {
    let (get, nospace) = (AlarmAction::Get, AlarmType::Nospace);
    client.alarm(AlarmAction::Activate, nospace, None).await?;
    let raised: Vec<_> = client
        .alarm(get, AlarmType::None, None)
        .await?
        .alarms()
        .iter()
        .map(|it| it.alarm())
        .collect();
    let full = refused(client.put("clients/rust/full", "1", None).await)?;
    client.alarm(AlarmAction::Deactivate, nospace, None).await?;
    let left = client.alarm(get, AlarmType::None, None).await?.alarms().len();
    client.put("clients/rust/full", "1", None).await?;
    Ok(format!("{raised:?} {full} {left}"))
}

async fn learner(mut client: Client) -> Seen {
    let learner = || Some(MemberAddOptions::new().with_is_learner());
    let own = client.member_list().await?.members()[0].peer_urls().to_vec();
    let added = client.member_add(["http://127.0.0.1:1"], learner()).await?;
    let id = added.member().ok_or("no member")?.id();
    let count = client.member_list().await?.members().len();
    let early = refused(client.member_promote(id).await)?;
    let taken = refused(client.member_add(own, learner()).await)?;
    client.member_remove(id).await?;
    Ok([
        count.to_string(),
        early,
        taken,
        refused(client.member_remove(id).await)?,
        refused(client.member_update(12_345, ["http://127.0.0.1:1".to_owned()]).await)?,
    ]
    .join(" | "))
}

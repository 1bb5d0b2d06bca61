//! Leases: granted, looked at, kept, revoked, run out.
//!
//! Must not know: other keys than those under its prefix.

use etcd_client::{
    Client, EventType, LeaseGrantOptions, LeaseTimeToLiveOptions, PutOptions, WatchOptions,
};

use crate::told::{Failure, PREFIX, Seen, Told, holds, refused, text};

/// The steps about leases.
pub(crate) async fn tell(told: &mut Told, client: &Client) {
    told.step("lease", granted(client.clone())).await;
    told.step("lease_kept", kept(client.clone())).await;
    told.step("lease_runs_out", runs_out(client.clone())).await;
    told.step("lease_refusals", refusals(client.clone())).await;
}

/// A key with a lease of its own.
async fn put(client: &mut Client, name: &str, ttl_s: i64) -> Result<i64, Failure> {
    let id = client.lease_grant(ttl_s, None).await?.id();
    let options = PutOptions::new().with_lease(id);
    client.put(format!("{PREFIX}{name}"), "1", Some(options)).await?;
    Ok(id)
}

async fn granted(mut client: Client) -> Seen {
    let id = put(&mut client, "leased", 30).await?;
    let options = LeaseTimeToLiveOptions::new().with_keys();
    let seen = client.lease_time_to_live(id, Some(options)).await?;
    let keys: Vec<_> = seen.keys().iter().map(|key| text(key)).collect();
    holds(seen.id() == id && (1..=30).contains(&seen.ttl()), "the time that is left")?;
    let listed = client.leases().await?.leases().iter().any(|it| it.id() == id);
    client.lease_revoke(id).await?;
    let left = client.get(format!("{PREFIX}leased"), None).await?.count();
    let after = client.lease_time_to_live(id, None).await?.ttl();
    Ok(format!("{} {keys:?} {listed} {left} {after}", seen.granted_ttl()))
}

/// Kept, and then told by a time of 0 that it is gone.
async fn kept(mut client: Client) -> Seen {
    let id = put(&mut client, "kept", 30).await?;
    let (mut keeper, mut beats) = client.lease_keep_alive(id).await?;
    let mut seen = Vec::new();
    for _ in 0..3 {
        keeper.keep_alive().await?;
        seen.push(beats.message().await?.ok_or("the stream ended")?.ttl());
    }
    client.lease_revoke(id).await?;
    keeper.keep_alive().await?;
    seen.push(beats.message().await?.ok_or("the stream ended")?.ttl());
    Ok(format!("{seen:?} | {}", refused(client.lease_keep_alive(id).await)?))
}

async fn runs_out(mut client: Client) -> Seen {
    let mut stream = client.watch(format!("{PREFIX}short"), Some(WatchOptions::new())).await?;
    put(&mut client, "short", 1).await?;
    let mut kinds = Vec::new();
    while kinds.last() != Some(&EventType::Delete) {
        let answer = stream.message().await?.ok_or("the stream ended")?;
        kinds.extend(answer.events().iter().map(|event| event.event_type()));
    }
    Ok(format!("{kinds:?}"))
}

async fn refusals(mut client: Client) -> Seen {
    let own = || Some(LeaseGrantOptions::new().with_id(777));
    client.lease_grant(30, own()).await?;
    let twice = refused(client.lease_grant(30, own()).await)?;
    client.lease_revoke(777).await?;
    Ok([
        twice,
        refused(client.lease_grant(1 << 40, None).await)?,
        refused(client.lease_revoke(99).await)?,
        refused(client.lease_keep_alive(99).await)?,
        client.lease_time_to_live(99, None).await?.ttl().to_string(),
    ]
    .join(" | "))
}

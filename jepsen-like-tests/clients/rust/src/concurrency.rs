//! The server's locks and elections.
//!
//! Must not know: other keys than those under its prefix.

use std::time::Duration;

use etcd_client::{
    Client, Error, GetOptions, LeaderKey, LockOptions, LockResponse, ObserveStream,
    ProclaimOptions, ResignOptions,
};
use tokio::task::JoinHandle;

use crate::told::{Failure, PREFIX, Seen, Told, holds, refused, text};

/// The steps about locks and elections.
pub(crate) async fn tell(told: &mut Told, client: &Client) {
    told.step("lock", handed_on(client.clone())).await;
    told.step("lock_of_a_lease_that_ends", freed(client.clone())).await;
    told.step("lock_refusals", lock_refusals(client.clone())).await;
    told.step("election", election(client.clone())).await;
    told.step("election_refusals", election_refusals(client.clone())).await;
}

fn lock_name() -> String {
    format!("{PREFIX}lock")
}

async fn lease(client: &mut Client) -> Result<i64, Failure> {
    Ok(client.lease_grant(20, None).await?.id())
}

/// Waits for the lock in the background, until its key is there.
async fn waiting(
    client: &mut Client,
    lease: i64,
) -> Result<JoinHandle<Result<LockResponse, Error>>, Failure> {
    let mut own = client.clone();
    let waits = tokio::spawn(async move {
        own.lock(lock_name(), Some(LockOptions::new().with_lease(lease))).await
    });
    let key = format!("{}/{lease:x}", lock_name());
    let mut look = tokio::time::interval(Duration::from_millis(20));
    while client.get(key.as_str(), Some(GetOptions::new().with_count_only())).await?.count() == 0 {
        look.tick().await;
    }
    Ok(waits)
}

async fn handed_on(mut client: Client) -> Seen {
    let (one, two) = (lease(&mut client).await?, lease(&mut client).await?);
    let own = || Some(LockOptions::new().with_lease(one));
    let first = client.lock(lock_name(), own()).await?;
    holds(text(first.key()) == format!("{}/{one:x}", lock_name()), "the key names the lease")?;
    let again = client.lock(lock_name(), own()).await?;
    let next = waiting(&mut client, two).await?;
    let early = next.is_finished();
    client.unlock(first.key()).await?;
    let second = next.await??;
    client.unlock(second.key()).await?;
    client.unlock(second.key()).await?;
    let left = client.get(second.key(), None).await?.count();
    for lease in [one, two] {
        client.lease_revoke(lease).await?;
    }
    Ok(format!("{} {early} {left}", again.key() == first.key()))
}

/// Whose lease ends while it waits is told so when its turn would have come.
async fn freed(mut client: Client) -> Seen {
    let (one, two, three) =
        (lease(&mut client).await?, lease(&mut client).await?, lease(&mut client).await?);
    client.lock(lock_name(), Some(LockOptions::new().with_lease(one))).await?;
    let next = waiting(&mut client, two).await?;
    let gone = waiting(&mut client, three).await?;
    client.lease_revoke(three).await?;
    client.lease_revoke(one).await?;
    holds(text(next.await??.key()).ends_with(&format!("{two:x}")), "the next one has it")?;
    client.lease_revoke(two).await?;
    refused(gone.await?)
}

async fn lock_refusals(mut client: Client) -> Seen {
    let unknown = Some(LockOptions::new().with_lease(99));
    // Without a lease the server grants one.
    let own = client.lock(lock_name(), None).await?;
    client.unlock(own.key()).await?;
    Ok([refused(client.lock(lock_name(), unknown).await)?, refused(client.unlock("").await)?]
        .join(" | "))
}

async fn heard(stream: &mut ObserveStream) -> Seen {
    let answer = stream.message().await?.ok_or("the stream ended")?;
    Ok(text(answer.kv().ok_or("no key")?.value()))
}

async fn election(mut client: Client) -> Seen {
    let name = format!("{PREFIX}election");
    let (one, two) = (lease(&mut client).await?, lease(&mut client).await?);
    let answer = client.campaign(name.as_str(), "one", one).await?;
    let leader = answer.leader().ok_or("no leader")?.clone();
    holds(leader.key_str()? == format!("{name}/{one:x}"), "the key names the lease")?;
    let mut observer = client.observe(name.as_str()).await?;
    let mut seen = vec![heard(&mut observer).await?];
    let proclaim = || Some(ProclaimOptions::new().with_leader(leader.clone()));
    client.proclaim("one again", proclaim()).await?;
    seen.push(heard(&mut observer).await?);
    let (mut own, of) = (client.clone(), name.clone());
    let won = tokio::spawn(async move { own.campaign(of, "two", two).await });
    client.resign(Some(ResignOptions::new().with_leader(leader.clone()))).await?;
    let second = won.await??.leader().ok_or("no leader")?.clone();
    seen.push(heard(&mut observer).await?);
    let now = client.leader(name.as_str()).await?;
    seen.push(text(now.kv().ok_or("no key")?.value()));
    seen.push(refused(client.proclaim("late", proclaim()).await)?);
    client.resign(Some(ResignOptions::new().with_leader(second))).await?;
    for lease in [one, two] {
        client.lease_revoke(lease).await?;
    }
    Ok(seen.join(" | "))
}

async fn election_refusals(mut client: Client) -> Seen {
    let name = format!("{PREFIX}nobody");
    let never = LeaderKey::new()
        .with_name(name.as_str())
        .with_key(format!("{name}/1"))
        .with_rev(1)
        .with_lease(1);
    let proclaim = ProclaimOptions::new().with_leader(never.clone());
    let resign = ResignOptions::new().with_leader(never);
    Ok([
        refused(client.leader(name.as_str()).await)?,
        refused(client.campaign(name.as_str(), "x", 99).await)?,
        refused(client.proclaim("x", Some(proclaim)).await)?,
        refused(client.proclaim("x", None).await)?,
        client.resign(Some(resign)).await.map(|_| "resigned".to_owned())?,
    ]
    .join(" | "))
}

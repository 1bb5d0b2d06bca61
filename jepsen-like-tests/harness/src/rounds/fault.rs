//! The faults and how they are installed and ended.
//!
//! Must not know: what is checked afterwards.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use proto::etcdserverpb::StatusRequest;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use services::etcdserverpb::maintenance_client::MaintenanceClient;

use super::client::Load;
use super::{RECOVERY_DEADLINE, acknowledged};
use crate::process::{self, Member, POLL};

/// What happens to the cluster in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL to the leader; it is started again when the others write.
    KillLeader,
    /// SIGSTOP to the leader; SIGCONT when the others write.
    FreezeLeader,
    /// SIGKILL to all three at once; all are started again.
    KillAll,
    /// SIGKILL to a follower; it is started again after more writes.
    KillFollower,
    /// SIGTERM to the leader, which hands over; it is started again.
    StopLeader,
}

impl Fault {
    /// The fault of a round: the first five rounds have one of each, the rest are drawn.
    #[must_use]
    pub fn draw(seed: u64, round: u64) -> Self {
        const ALL: [Fault; 5] = [
            Fault::KillLeader,
            Fault::FreezeLeader,
            Fault::KillAll,
            Fault::KillFollower,
            Fault::StopLeader,
        ];
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ round.wrapping_mul(0x9E37_79B9));
        let index = usize::try_from(round).unwrap_or(usize::MAX);
        ALL.get(index).copied().unwrap_or_else(|| ALL[random.random_range(0..ALL.len())])
    }

    /// Installs the fault, waits until writes are acknowledged in spite of it where they can be,
    /// and ends it; returns how long no write was acknowledged.
    pub(super) async fn strike(self, members: &mut [Member], load: &Load) -> Result<Duration> {
        let leader = leader(members).await?;
        let follower = (leader + 1) % members.len();
        let gap = match self {
            Self::KillLeader => {
                members[leader].kill()?;
                let gap = writes_again(load).await?;
                members[leader].start()?;
                gap
            }
            Self::KillFollower => {
                members[follower].kill()?;
                let gap = writes_again(load).await?;
                acknowledged(load, load.acknowledged() + 50, "without a follower").await?;
                members[follower].start()?;
                gap
            }
            Self::StopLeader => {
                let before = Instant::now();
                members[leader].terminate().await?;
                let gap = writes_again(load).await?.max(before.elapsed());
                members[leader].start()?;
                gap
            }
            Self::FreezeLeader => {
                members[leader].freeze()?;
                let gap = writes_again(load).await;
                members[leader].thaw()?;
                gap?
            }
            Self::KillAll => {
                for member in members.iter_mut() {
                    member.kill()?;
                }
                for member in members.iter_mut() {
                    member.start()?;
                }
                writes_again(load).await?
            }
        };
        for member in members {
            member.ready().await?;
        }
        Ok(gap)
    }
}

/// The number of the member that leads.
async fn leader(members: &[Member]) -> Result<usize> {
    let deadline = Instant::now() + RECOVERY_DEADLINE;
    loop {
        for (number, member) in members.iter().enumerate() {
            let Ok(channel) = process::dial(member.client_url()).await else { continue };
            let Ok(status) = MaintenanceClient::new(channel).status(StatusRequest {}).await else {
                continue;
            };
            let status = status.into_inner();
            let member_id = status.header.context("a status without a header")?.member_id;
            if status.leader == member_id {
                return Ok(number);
            }
        }
        if Instant::now() > deadline {
            bail!("no member leads");
        }
        crate::pause::pause(POLL).await;
    }
}

/// How long until the next write is acknowledged that was sent after now.
pub(crate) async fn writes_again(load: &Load) -> Result<Duration> {
    let started = Instant::now();
    let epoch = load.next_epoch();
    while load.acknowledged_in(epoch) == 0 {
        if started.elapsed() > RECOVERY_DEADLINE {
            bail!("no write was acknowledged for {RECOVERY_DEADLINE:?}");
        }
        crate::pause::pause(POLL / 10).await;
    }
    Ok(started.elapsed())
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn the_first_rounds_have_each_fault_once() {
        let faults: Vec<_> = (0..5).map(|round| Fault::draw(9, round)).collect();
        for fault in &faults {
            assert_eq!(faults.iter().filter(|other| *other == fault).count(), 1);
        }
        assert_eq!(Fault::draw(9, 17), Fault::draw(9, 17));
    }
}

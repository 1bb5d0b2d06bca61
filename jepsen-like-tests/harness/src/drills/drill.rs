//! The drills and how they are carried out.
//!
//! Invariants: a drill ends with all members voters that serve; a member that is gone has ended by
//! itself.
//!
//! Must not know: what is checked afterwards.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::cluster::Cluster;
use crate::rounds::client::Load;
use crate::rounds::{acknowledged, writes_again};

/// Members there are at least between two drills.
const SIZE_MIN: usize = 3;
/// Members there are at most.
const SIZE_MAX: usize = 5;

/// What is done with a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drill {
    /// The leader hands its office to a named follower.
    MoveLeader,
    /// A fresh member that votes at once.
    AddVoter,
    /// A fresh member that learns, then votes.
    AddLearner,
    /// A follower goes.
    RemoveFollower,
    /// The leader goes.
    RemoveLeader,
    /// A follower is killed and removed, and a fresh member takes its place.
    Replace,
    /// SIGTERM to the leader; it is started again.
    RestartLeader,
    /// SIGTERM to a follower; it is started again.
    RestartFollower,
    /// SIGKILL to the leader; it is started again.
    KillLeader,
    /// SIGKILL to a follower; it is started again.
    KillFollower,
    /// A follower is away until the log does not reach back to it: it gets a snapshot.
    FarBehind,
}

/// In this order first, so that a short run has done what matters most.
const FIRST: [Drill; 8] = [
    Drill::MoveLeader,
    Drill::AddLearner,
    Drill::RemoveLeader,
    Drill::Replace,
    Drill::AddVoter,
    Drill::KillLeader,
    Drill::RemoveFollower,
    Drill::FarBehind,
];

/// What is drawn from later; members that are killed matter more than snapshots, which take long.
const LATER: [Drill; 20] = [
    Drill::MoveLeader,
    Drill::MoveLeader,
    Drill::AddVoter,
    Drill::AddVoter,
    Drill::AddLearner,
    Drill::AddLearner,
    Drill::RemoveFollower,
    Drill::RemoveFollower,
    Drill::RemoveLeader,
    Drill::RemoveLeader,
    Drill::Replace,
    Drill::Replace,
    Drill::Replace,
    Drill::RestartLeader,
    Drill::RestartFollower,
    Drill::KillLeader,
    Drill::KillLeader,
    Drill::KillFollower,
    Drill::KillFollower,
    Drill::FarBehind,
];

impl Drill {
    /// The drill with this number, one that `size` members can do.
    #[must_use]
    pub fn draw(random: &mut ChaCha8Rng, number: u64, size: usize) -> Self {
        let first = usize::try_from(number).ok().and_then(|number| FIRST.get(number).copied());
        let mut drill = first.unwrap_or_else(|| LATER[random.random_range(0..LATER.len())]);
        while !drill.fits(size) {
            drill = LATER[random.random_range(0..LATER.len())];
        }
        drill
    }

    fn fits(self, size: usize) -> bool {
        match self {
            Self::AddVoter | Self::AddLearner => size < SIZE_MAX,
            Self::RemoveFollower | Self::RemoveLeader => size > SIZE_MIN,
            _ => true,
        }
    }

    /// How long no write may be acknowledged. Only a leader that is killed takes an election with
    /// it; all else is planned, and an office that is handed over is held again at once. A busy
    /// machine is allowed for.
    #[must_use]
    pub fn gap_max(self) -> Duration {
        match self {
            Self::KillLeader => Duration::from_secs(5),
            Self::RemoveLeader | Self::RestartLeader | Self::MoveLeader => Duration::from_secs(2),
            _ => Duration::from_millis(1500),
        }
    }

    /// Does it; returns when all members serve again.
    pub(super) async fn carry_out(
        self,
        cluster: &mut Cluster,
        random: &mut ChaCha8Rng,
        load: &Load,
    ) -> Result<()> {
        let leader = cluster.leader().await?;
        let others = cluster.size() - 1;
        let follower = (leader + 1 + random.random_range(0..others)) % cluster.size();
        // Any member may be asked for a change: it goes to the leader in one hop.
        let asked = random.random_range(0..cluster.size());
        match self {
            Self::MoveLeader => cluster.move_leader(leader, follower).await,
            Self::AddVoter => cluster.add(asked, false).await,
            Self::AddLearner => cluster.add(asked, true).await,
            Self::RemoveFollower => cluster.remove(asked, follower).await,
            Self::RemoveLeader => cluster.remove(asked, leader).await,
            Self::Replace => {
                cluster.kill(follower)?;
                writes_again(load).await?;
                cluster.remove_dead(leader, follower).await?;
                let asked = random.random_range(0..cluster.size());
                cluster.add(asked, true).await
            }
            Self::RestartLeader => cluster.restart(leader).await,
            Self::RestartFollower => cluster.restart(follower).await,
            Self::KillLeader => kill(cluster, leader, load).await,
            Self::KillFollower => kill(cluster, follower, load).await,
            Self::FarBehind => {
                let snapshots = cluster.snapshots_received(follower);
                cluster.kill(follower)?;
                writes_again(load).await?;
                cluster.write_much(leader).await?;
                cluster.start_again(follower).await?;
                let received = cluster.snapshots_received(follower);
                ensure!(received > snapshots, "the follower did not get a snapshot");
                Ok(())
            }
        }
    }
}

async fn kill(cluster: &mut Cluster, at: usize, load: &Load) -> Result<()> {
    cluster.kill(at)?;
    writes_again(load).await?;
    acknowledged(load, load.acknowledged() + 50, "while a member is away").await?;
    cluster.start_again(at).await
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn drills_keep_the_cluster_between_three_and_five_members() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut size = SIZE_MIN;
        for number in 0..1000 {
            match Drill::draw(&mut random, number, size) {
                Drill::AddVoter | Drill::AddLearner => size += 1,
                Drill::RemoveFollower | Drill::RemoveLeader => size -= 1,
                _ => {}
            }
            assert!((SIZE_MIN..=SIZE_MAX).contains(&size), "drill {number}");
        }
    }
}

//! What a run consists of: sizes, weather and faults, drawn from its seed.
//!
//! Every seed draws another mix (a swarm): a fault that is always on hides what the others would
//! find alone.

use std::time::Duration;

use raft::Retention;
use raft::log::LogLimits;
use watch::Limits;

use crate::faults::Fault;
use crate::network::Weather;
use crate::random::Dice;

/// See the module's page.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) members: usize,
    pub(crate) clients: usize,
    pub(crate) keys: usize,
    /// How long faults go on.
    pub(crate) chaos: Duration,
    /// Longest pause of a client between two operations, in milliseconds.
    pub(crate) pause_max_ms: u64,
    /// Shortest and longest time between two faults, in milliseconds.
    pub(crate) between_faults_ms: (u64, u64),
    pub(crate) weather: Weather,
    pub(crate) faults: Vec<Fault>,
    pub(crate) retention: Retention,
    pub(crate) log_limits: LogLimits,
    pub(crate) watch_limits: Limits,
    /// How many clients hold leases.
    pub(crate) holders: usize,
    /// How often the remaining time of a lease is written into the log.
    pub(crate) lease_checkpoint_interval: Duration,
    /// How often watchers are told that there is nothing to tell.
    pub(crate) progress_interval: Duration,
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let faults: Vec<Fault> = Fault::ALL.into_iter().filter(|_| dice.chance(600)).collect();
        Self {
            members: 3,
            clients: dice.between(2, 5) as usize,
            keys: dice.between(1, 5) as usize,
            chaos: dice.millis(8_000, 25_000),
            pause_max_ms: *dice.pick(&[5, 30, 100]),
            between_faults_ms: *dice.pick(&[(50, 2_000), (500, 4_000), (2_000, 8_000)]),
            weather: weather(dice),
            faults,
            retention: Retention {
                flush_bytes: *dice.pick(&[2_000, 64 << 20]),
                flush_interval: *dice.pick(&[Duration::from_secs(1), Duration::from_secs(5)]),
                keep_entries: *dice.pick(&[5, 50, 1000]),
                keep_bytes: *dice.pick(&[1_000, 20_000, 1 << 20]),
            },
            log_limits: LogLimits {
                segment_bytes: *dice.pick(&[8 << 10, 32 << 10, 128 << 10]),
                cached_bytes_max: *dice.pick(&[0, 4_000, 1 << 20]),
            },
            watch_limits: watch_limits(dice),
            holders: dice.between(1, 3) as usize,
            lease_checkpoint_interval: *dice.pick(&[
                Duration::from_secs(1),
                Duration::from_secs(3),
                Duration::from_secs(300),
            ]),
            progress_interval: *dice.pick(&[Duration::from_millis(300), Duration::from_secs(60)]),
        }
    }
}

fn weather(dice: &mut Dice) -> Weather {
    let high = *dice.pick(&[1, 10, 60]);
    Weather {
        latency_ms: (0, high),
        lost: *dice.pick(&[0, 0, 10, 50]),
        repeated: *dice.pick(&[0, 20, 100]),
        reset: *dice.pick(&[0, 0, 5, 20]),
    }
}

fn watch_limits(dice: &mut Dice) -> Limits {
    if dice.chance(300) {
        return Limits::default();
    }
    Limits {
        queue_items_max: *dice.pick(&[1, 4, 64]),
        catch_up_revisions_max: *dice.pick(&[1, 3, 50]),
        catch_up_watchers_max: *dice.pick(&[1, 4]),
        response_bytes_max: *dice.pick(&[200, 100_000]),
        fragment_bytes_max: *dice.pick(&[200, 100_000]),
        ..Limits::default()
    }
}

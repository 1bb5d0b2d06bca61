//! The longest time in which no write was acknowledged, measured while a drill runs.
//!
//! Must not know: what was done meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::rounds::client::Load;

/// Time between two looks at the load's counter: how exact the answer is.
const LOOK: Duration = Duration::from_millis(2);

/// A running measurement.
pub(super) struct GapMeter {
    stop: watch::Sender<bool>,
    task: JoinHandle<Duration>,
}

impl GapMeter {
    /// Begins to look at the load's acknowledged writes.
    pub(super) fn start(load: &Arc<Load>) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(measure(Arc::clone(load), stopped)) }
    }

    /// Ends, and says how long the longest gap was.
    pub(super) async fn stop(self) -> Result<Duration> {
        self.stop.send_replace(true);
        Ok(self.task.await?)
    }
}

async fn measure(load: Arc<Load>, stopped: watch::Receiver<bool>) -> Duration {
    let (mut longest, mut last, mut since) = (Duration::ZERO, load.acknowledged(), Instant::now());
    while !*stopped.borrow() {
        crate::pause::pause(LOOK).await;
        let now = load.acknowledged();
        // Before the first write nobody has waited for one.
        if now != last || last == 0 {
            longest = if last == 0 { Duration::ZERO } else { longest.max(since.elapsed()) };
            (last, since) = (now, Instant::now());
        }
    }
    longest.max(since.elapsed())
}

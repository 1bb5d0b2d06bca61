//! The wish of the system or of a person that this process ends.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM.
pub(crate) struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
    seen: u32,
}

impl EndSignals {
    /// Takes the signals over from their default. Must be called on a tokio runtime.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(EndSignals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            seen: 0,
        })
    }

    /// Waits for the next one and names it.
    pub(crate) async fn next(&mut self) -> &'static str {
        let name = tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        };
        self.seen += 1;
        name
    }

    /// Waits for a signal that is not the first one: somebody is impatient.
    pub(crate) async fn again(&mut self) -> &'static str {
        loop {
            let name = self.next().await;
            if self.seen > 1 {
                return name;
            }
        }
    }
}

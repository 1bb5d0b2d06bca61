//! Runs the steps and prints what each saw.
//!
//! Invariants: a step ends within [`PATIENCE`]; its line has no line break.
//!
//! Must not know: what a step does.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use etcd_client::Error;

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the keys of this program begin with.
pub(crate) const PREFIX: &str = "clients/rust/";

/// Why a step failed, in words.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// What a step saw: the text to compare.
pub(crate) type Seen = Result<String, Failure>;

/// The steps so far.
#[derive(Debug, Default)]
pub(crate) struct Told {
    failed: bool,
}

impl Told {
    /// Waits for a step and prints its line.
    pub(crate) async fn step(&mut self, name: &str, step: impl Future<Output = Seen>) {
        let seen = match tokio::time::timeout(PATIENCE, step).await {
            Ok(seen) => seen,
            Err(_) => Err(Failure("no end".into())),
        };
        match seen {
            Ok(seen) => println!("ok {name} {}", seen.replace('\n', " ")),
            Err(Failure(why)) => {
                self.failed = true;
                println!("FAIL {name} {}", why.replace('\n', " "));
            }
        }
    }

    /// How the program ends.
    pub(crate) fn end(&self) -> ExitCode {
        if self.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}

/// The error that a call must end with: its code and text, or the crate's own words.
pub(crate) fn refused<T>(answer: Result<T, Error>) -> Seen {
    match answer {
        Ok(_) => Err("not refused".into()),
        Err(Error::GRpcStatus(status)) => Ok(format!("{:?}: {}", status.code(), status.message())),
        Err(error) => Ok(error.to_string()),
    }
}

/// Fails the step unless it holds.
pub(crate) fn holds(condition: bool, what: &str) -> Result<(), Failure> {
    if condition { Ok(()) } else { Err(format!("it does not hold: {what}").into()) }
}

/// Bytes as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

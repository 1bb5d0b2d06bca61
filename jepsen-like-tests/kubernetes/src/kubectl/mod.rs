//! kubectl transcripts: the same command lines run against both sides, their output compared.
//!
//! Must not know: which API server a side has.

mod text;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use programs::transcript::script::{self, Section};
use programs::transcript::{Comparable, Outcome, Side as Home, Transcript};

use crate::sides::Side;

/// Lines whose difference stands: the command line with `*`, and why.
pub const ACCEPTED: &[(&str, &str)] = &[
    ("version*", "who built the server, from what and with which compiler"),
    ("get --raw /version", "who built the server, from what and with which compiler"),
    ("get --raw /apis/apps/v1", "the order of an object's members"),
    ("api-versions", "`batch/v1beta1` is served beside `batch/v1`"),
    ("create token *", "tokens of service accounts come later"),
    ("patch pod one *", "the real one shows its internal form of the object in the message"),
    ("*events", "the real one tells of the repair of its own IPAddress objects"),
];

/// The script of this crate.
///
/// *Errors*: a line that stands nowhere.
pub fn script() -> Result<Vec<Section>> {
    script::parse(include_str!("transcript.txt"))
}

/// Whether a section needs controllers, a scheduler and nodes.
#[must_use]
pub fn needs_controllers(section: &Section) -> bool {
    section.needs == "controllers"
}

/// kubectl against these two sides; nothing is run yet.
#[must_use]
pub fn transcript(kubectl: &Path, theirs: &Side, ours: &Side) -> Transcript {
    Transcript {
        program: kubectl.to_owned(),
        name: "kubectl",
        patience: Duration::from_secs(100),
        watches_print_first: true,
        accepted: ACCEPTED,
        sides: [home(theirs), home(ours)],
        outcome: Outcome::default(),
    }
}

/// Each side has a home folder of its own: kubectl keeps there what discovery told it.
fn home(side: &Side) -> Home {
    let folder = side.folder.join("kubectl");
    let variable = |name: &str, path: &Path| (name.to_owned(), path.display().to_string());
    let environment = vec![
        variable("HOME", &folder),
        variable("TMPDIR", &folder),
        variable("KUBECONFIG", &side.kubeconfig),
    ];
    let port = side.port;
    let comparable: Comparable = Box::new(move |line, output| {
        let explains = line.words.first().is_some_and(|word| word == "explain");
        text::comparable(output, port, explains)
    });
    Home::new(folder, environment, comparable)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_script_is_read_and_long_enough() {
        let sections = super::script().expect("the file is part of this crate");
        let lines: usize = sections.iter().map(|section| section.lines().count()).sum();
        assert!(lines >= 120, "{lines}");
    }
}

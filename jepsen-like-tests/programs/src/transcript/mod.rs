//! Transcripts: the same command lines of a client program run against two servers, their output
//! compared.
//!
//! Invariants: each side has a folder of its own, so that neither sees what the other's lines left
//! there; a line that does not end within its patience is a difference.
//!
//! Must not know: which program it is, and what is a server's own in its output.

pub mod script;
mod watching;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::process::Command;

use script::{Line, Section, Step};
use watching::{Seen, Watching};

/// A line that takes longer is told.
const SLOW: Duration = Duration::from_secs(3);
/// Lines that are shown of a difference.
const SHOWN: usize = 8;

/// What makes one side's output comparable with the other's.
pub type Comparable = Box<dyn Fn(&Line, &str) -> Vec<String> + Send + Sync>;

/// One server, as the program meets it.
pub struct Side {
    /// Where its lines run.
    pub folder: PathBuf,
    /// The whole environment of its lines, but for `PATH`.
    pub environment: Vec<(String, String)>,
    /// Takes out what is the server's own.
    pub comparable: Comparable,
    /// What its lines have printed, by name.
    kept: Vec<(String, String)>,
}

impl Side {
    /// A side whose lines have printed nothing yet.
    #[must_use]
    pub fn new(
        folder: PathBuf,
        environment: Vec<(String, String)>,
        comparable: Comparable,
    ) -> Self {
        Self { folder, environment, comparable, kept: Vec::new() }
    }
}

/// The lines of one program against two servers: the real one first.
pub struct Transcript {
    /// The program.
    pub program: PathBuf,
    /// Its name in messages.
    pub name: &'static str,
    /// How long a line may take.
    pub patience: Duration,
    /// Whether a line that goes on prints what is there before the next one is run.
    pub watches_print_first: bool,
    /// Lines whose difference stands: the line with `*`, and why.
    pub accepted: &'static [(&'static str, &'static str)],
    /// The two servers.
    pub sides: [Side; 2],
    /// What came of the lines so far.
    pub outcome: Outcome,
}

/// What came of lines.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Lines whose output was the same.
    pub passed: u64,
    /// Lines whose output differed.
    pub failed: u64,
    /// Lines whose difference is accepted.
    pub accepted: u64,
    /// The differences as text.
    pub text: String,
}

/// What a line printed.
#[derive(Debug, PartialEq, Eq)]
struct Printed {
    code: Option<i32>,
    stdout: Vec<String>,
    stderr: Vec<String>,
}

impl Transcript {
    /// Runs a section's lines against both sides.
    ///
    /// *Errors*: the program could not be started at all.
    pub async fn run(&mut self, section: &Section) -> Result<()> {
        for side in &self.sides {
            std::fs::create_dir_all(&side.folder)?;
            for (name, text) in &section.files {
                std::fs::write(side.folder.join(name), text)?;
            }
        }
        let mut watches: Vec<Watching> = Vec::new();
        for step in &section.steps {
            match step {
                Step::Run(line) => self.line(section, line).await?,
                Step::Watch(line) => watches.push(self.watch(line, watches.len()).await?),
                Step::End => {
                    watching::settle(&watches).await;
                    for watch in watches.drain(..) {
                        let line = watch.line.clone();
                        let seen = watch.end().await?;
                        self.compare(section, &line, &seen);
                    }
                }
            }
        }
        Ok(())
    }

    async fn line(&mut self, section: &Section, line: &Line) -> Result<()> {
        let started = Instant::now();
        let [theirs, ours] = &self.sides;
        let (theirs, ours) = tokio::join!(self.run_line(theirs, line), self.run_line(ours, line));
        if started.elapsed() > SLOW {
            println!("{} s: {} {}", started.elapsed().as_secs(), self.name, line.shown());
        }
        let seen = [theirs?, ours?];
        if let Some((name, number)) = &line.keeps {
            for (side, seen) in self.sides.iter_mut().zip(&seen) {
                let text = String::from_utf8_lossy(&seen.stdout);
                let word = text.split_whitespace().nth(number.saturating_sub(1));
                let word = word.unwrap_or_default().trim_end_matches(',');
                side.kept.push((name.clone(), word.to_owned()));
            }
        }
        self.compare(section, line, &seen);
        Ok(())
    }

    async fn watch(&self, line: &Line, number: usize) -> Result<Watching> {
        let [theirs, ours] = &self.sides;
        let commands = [self.command(theirs, line), self.command(ours, line)];
        let folders = [theirs.folder.as_path(), ours.folder.as_path()];
        let watch = Watching::start(line, commands, folders, number)?;
        if self.watches_print_first {
            watch.printed().await;
        }
        Ok(watch)
    }

    /// A line on one side, ready to be started.
    fn command(&self, side: &Side, line: &Line) -> Command {
        let words = line.words.iter().map(|word| {
            side.kept.iter().fold(word.clone(), |word, (name, value)| {
                word.replace(&format!("{{{name}}}"), value)
            })
        });
        let mut command = Command::new(&self.program);
        command.args(words).current_dir(&side.folder).env_clear().kill_on_drop(true);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(side.environment.iter().map(|(name, value)| (name, value)));
        command.envs(line.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    async fn run_line(&self, side: &Side, line: &Line) -> Result<Seen> {
        let mut command = self.command(side, line);
        command.stdin(match &line.input {
            Some(name) => std::fs::File::open(side.folder.join(name))
                .with_context(|| format!("{name}, which a line reads"))?
                .into(),
            None => Stdio::null(),
        });
        let Ok(output) = tokio::time::timeout(self.patience, command.output()).await else {
            let stderr = format!("did not end in {} s", self.patience.as_secs());
            return Ok(Seen { code: None, stdout: Vec::new(), stderr: stderr.into_bytes() });
        };
        let output = output.with_context(|| format!("starting {}", self.program.display()))?;
        let (stdout, stderr) = (output.stdout, output.stderr);
        Ok(Seen { code: output.status.code(), stdout, stderr })
    }

    fn compare(&mut self, section: &Section, line: &Line, seen: &[Seen; 2]) {
        let [theirs, ours] = &self.sides;
        let (theirs, ours) = (printed(theirs, line, &seen[0]), printed(ours, line, &seen[1]));
        let command = line.shown();
        if theirs == ours {
            self.outcome.passed += 1;
        } else if self.accepted.iter().any(|(pattern, _)| crate::glob(pattern, &command)) {
            self.outcome.accepted += 1;
        } else {
            self.outcome.failed += 1;
            let differs = difference(&theirs, &ours);
            let name = self.name;
            self.outcome.text += &format!("[{}] {name} {command}\n{differs}", section.name);
        }
    }
}

/// What a line printed, comparable.
fn printed(side: &Side, line: &Line, seen: &Seen) -> Printed {
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let text = side.kept.iter().fold(text, |text, (name, value)| named(text, name, value));
        (side.comparable)(line, &text)
    };
    Printed { code: seen.code, stdout: text(&seen.stdout), stderr: text(&seen.stderr) }
}

/// A kept value by its name, also where it is a number in hexadecimal digits and stands in decimal
/// ones.
fn named(text: String, name: &str, value: &str) -> String {
    if value.is_empty() {
        return text;
    }
    let text = text.replace(value, &format!("<{name}>"));
    match u64::from_str_radix(value, 16) {
        Ok(number) if value.len() > 8 => text.replace(&number.to_string(), &format!("<{name}>")),
        _ => text,
    }
}

fn difference(theirs: &Printed, ours: &Printed) -> String {
    let mut text = String::new();
    if theirs.code != ours.code {
        text += &format!("   exit {:?} -> {:?}\n", theirs.code, ours.code);
    }
    for (name, a, b) in
        [("", &theirs.stdout, &ours.stdout), ("stderr: ", &theirs.stderr, &ours.stderr)]
    {
        let (missing, extra) = (lacking(a, b), lacking(b, a));
        if missing.is_empty() && extra.is_empty() && a != b {
            text += &format!("   {name}the same lines in another order\n");
        }
        for (sign, lines) in [("real", missing), ("ours", extra)] {
            for line in lines.iter().take(SHOWN) {
                let start = line.chars().take(300).collect::<String>();
                text += &format!("   {sign} {name}{start}\n");
            }
            if lines.len() > SHOWN {
                text += &format!("   {sign} {name}… {} lines more\n", lines.len() - SHOWN);
            }
        }
    }
    text
}

/// Lines that are there once more than in the other.
fn lacking(of: &[String], other: &[String]) -> Vec<String> {
    let mut other = other.to_vec();
    let mut lacking = Vec::new();
    for line in of {
        match other.iter().position(|candidate| candidate == line) {
            Some(at) => drop(other.remove(at)),
            None => lacking.push(line.clone()),
        }
    }
    lacking
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(folder: &std::path::Path) -> Transcript {
        let side = |name: &str| {
            let plain: Comparable = Box::new(|_, text| text.lines().map(str::to_owned).collect());
            let environment = vec![("SIDE".to_owned(), name.to_owned())];
            Side::new(folder.join(name), environment, plain)
        };
        Transcript {
            program: "sh".into(),
            name: "sh",
            patience: Duration::from_secs(10),
            watches_print_first: false,
            accepted: &[("-c echo accepted*", "a test")],
            sides: [side("one"), side("two")],
            outcome: Outcome::default(),
        }
    }

    async fn outcome(script: &str) -> Outcome {
        let folder = tempfile::tempdir().expect("a folder");
        let mut transcript = transcript(folder.path());
        for section in script::parse(script).expect("a script") {
            transcript.run(&section).await.expect("sh starts");
        }
        transcript.outcome
    }

    #[tokio::test]
    async fn lines_that_print_the_same_pass_and_others_do_not() {
        let outcome = outcome(concat!(
            "== a\n$ -c \"echo same\"\n$ -c \"echo $SIDE\"\n",
            "$ -c \"test $SIDE = one\"\n$ -c \"echo accepted; echo $SIDE\"\n",
        ))
        .await;
        assert_eq!((outcome.passed, outcome.failed, outcome.accepted), (1, 2, 1));
        assert!(outcome.text.contains("real one\n   ours two"), "{}", outcome.text);
        assert!(outcome.text.contains("exit Some(0) -> Some(1)"), "{}", outcome.text);
    }

    #[tokio::test]
    async fn what_a_line_printed_is_used_and_is_no_difference() {
        let outcome = outcome(concat!(
            "== a\nfile in\nread\nend\n$ -c \"echo got $SIDE\" => S 2\n",
            "$ -c \"echo {S}; echo $SIDE\"\n$ -c cat <in\n",
        ))
        .await;
        assert_eq!((outcome.passed, outcome.failed), (3, 0), "{}", outcome.text);
    }

    #[tokio::test]
    async fn what_goes_on_is_ended_when_both_have_said_as_much() {
        let outcome = outcome(concat!(
            "== a\n& -c \"echo begun; until test -e go; do :; done; echo gone; exec sleep 1000\"\n",
            "$ -c \"touch go\"\nend watches\n",
        ))
        .await;
        assert_eq!((outcome.passed, outcome.failed), (2, 0), "{}", outcome.text);
    }
}

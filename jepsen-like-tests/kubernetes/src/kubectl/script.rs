//! The script of command lines, as it stands in `transcript.txt`.
//!
//! Must not know: how the lines are run.

use anyhow::{Result, bail};

/// Lines that belong together.
#[derive(Debug, Default, Clone)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Whether it needs controllers, a scheduler and nodes.
    pub controllers: bool,
    /// Files that its lines name, with their text.
    pub files: Vec<(String, String)>,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// One line of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A command line that ends by itself.
    Run(Line),
    /// One that goes on beside those that follow.
    Watch(Line),
    /// Those that go on are ended.
    End,
}

/// A command line, without `kubectl`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Line {
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    /// Its words.
    pub words: Vec<String>,
}

impl Section {
    /// Its command lines.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.steps.iter().filter_map(|step| match step {
            Step::Run(line) | Step::Watch(line) => Some(line),
            Step::End => None,
        })
    }
}

impl Line {
    fn read(text: &str) -> Self {
        let mut line = Self { variables: Vec::new(), words: words(text) };
        while let Some((name, value)) = line.words.first().and_then(|word| word.split_once('='))
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        {
            line.variables.push((name.to_owned(), value.to_owned()));
            line.words.remove(0);
        }
        line
    }

    /// The line as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        let variables = self.variables.iter().map(|(name, value)| format!("{name}={value:?} "));
        variables.collect::<String>() + &self.words.join(" ")
    }
}

/// The script of this crate.
///
/// *Errors*: a line that stands nowhere.
pub fn read() -> Result<Vec<Section>> {
    parse(include_str!("transcript.txt"))
}

fn parse(text: &str) -> Result<Vec<Section>> {
    let mut sections: Vec<Section> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            let (name, needs) =
                name.split_once(", controllers").map_or((name, false), |it| (it.0, true));
            sections.push(Section {
                name: name.to_owned(),
                controllers: needs,
                ..Section::default()
            });
            continue;
        }
        let Some(section) = sections.last_mut() else { bail!("before any section: {line}") };
        if let Some(name) = line.strip_prefix("file ") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "end").collect();
            section.files.push((name.to_owned(), text.join("\n") + "\n"));
        } else if let Some(command) = line.strip_prefix("$ ") {
            section.steps.push(Step::Run(Line::read(command)));
        } else if let Some(command) = line.strip_prefix("& ") {
            section.steps.push(Step::Watch(Line::read(command)));
        } else if line == "end watches" {
            section.steps.push(Step::End);
        } else {
            bail!("neither a section, a file nor a command: {line}");
        }
    }
    Ok(sections)
}

/// Words between spaces; quotes at a word's ends hold spaces together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{Line, Step};

    #[test]
    fn the_script_is_read_and_long_enough() {
        let sections = super::read().expect("the file is part of this crate");
        let lines: usize = sections.iter().map(|section| section.lines().count()).sum();
        assert!(lines >= 120, "{lines}");
    }

    #[test]
    fn every_watch_is_ended_in_its_section() {
        for section in super::read().expect("the file is part of this crate") {
            let last = section.steps.iter().rfind(|step| !matches!(step, Step::Run(_)));
            assert!(!matches!(last, Some(Step::Watch(_))), "{}", section.name);
        }
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(super::words("get -l \"a in (b)\" x"), ["get", "-l", "a in (b)", "x"]);
        assert_eq!(super::words("patch -p {\"a\":1}"), ["patch", "-p", "{\"a\":1}"]);
    }

    #[test]
    fn variables_stand_before_the_words() {
        let line = Line::read("\"EDITOR=sh change.sh\" edit cm a -l x=y");
        assert_eq!(line.variables, [("EDITOR".to_owned(), "sh change.sh".to_owned())]);
        assert_eq!(line.words, ["edit", "cm", "a", "-l", "x=y"]);
        assert_eq!(line.shown(), "EDITOR=\"sh change.sh\" edit cm a -l x=y");
    }

    #[test]
    fn a_line_that_stands_nowhere_is_refused() {
        assert!(super::parse("get pods").is_err());
        assert!(super::parse("== a\nget pods").is_err());
    }
}

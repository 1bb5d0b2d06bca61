//! A script of command lines.
//!
//! ```text
//!   == NAME              a section; after a comma, what it needs
//!   file NAME … end      a file that the lines of its section name
//!   $ …                  a command line, without the program; before its words variables of its
//!                        environment ("NAME=its value"), behind them a file that it reads
//!                        (<NAME), and a name for the n-th word that it prints (=> NAME n)
//!   & …                  one that goes on beside those that follow, until …
//!   end watches          … all of them are ended
//!   {NAME}               what an earlier line printed
//! ```
//!
//! Must not know: how the lines are run.

use anyhow::{Context, Result, bail};

/// Lines that belong together.
#[derive(Debug, Default, Clone)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// What it needs besides a server; may be empty.
    pub needs: String,
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

/// A command line, without the program.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Line {
    /// Variables of its environment.
    pub variables: Vec<(String, String)>,
    /// Its words.
    pub words: Vec<String>,
    /// The file it reads.
    pub input: Option<String>,
    /// A name, and which word of its output is kept under it, counted from one.
    pub keeps: Option<(String, usize)>,
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
    fn read(text: &str) -> Result<Self> {
        let (text, keeps) = match text.split_once(" => ") {
            Some((text, kept)) => (text, Some(kept)),
            None => (text, None),
        };
        let mut line = Self { words: words(text), ..Self::default() };
        if let Some(kept) = keeps {
            let (name, word) = kept.split_once(' ').context("a name and the number of a word")?;
            line.keeps = Some((name.to_owned(), word.parse().context("the number of a word")?));
        }
        if let Some(input) = line.words.last().and_then(|word| word.strip_prefix('<')) {
            line.input = Some(input.to_owned());
            line.words.pop();
        }
        while let Some((name, value)) = line.words.first().and_then(|word| word.split_once('='))
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        {
            line.variables.push((name.to_owned(), value.to_owned()));
            line.words.remove(0);
        }
        Ok(line)
    }

    /// The line as it is shown.
    #[must_use]
    pub fn shown(&self) -> String {
        let variables = self.variables.iter().map(|(name, value)| format!("{name}={value:?} "));
        variables.collect::<String>() + &self.words.join(" ")
    }
}

/// Reads a script.
///
/// *Errors*: a line that stands nowhere, or a watch that its section does not end.
pub fn parse(text: &str) -> Result<Vec<Section>> {
    let mut sections: Vec<Section> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            let (name, needs) = name.split_once(", ").unwrap_or((name, ""));
            let (name, needs) = (name.to_owned(), needs.to_owned());
            sections.push(Section { name, needs, ..Section::default() });
            continue;
        }
        let Some(section) = sections.last_mut() else { bail!("before any section: {line}") };
        if let Some(name) = line.strip_prefix("file ") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "end").collect();
            section.files.push((name.to_owned(), text.join("\n") + "\n"));
        } else if let Some(command) = line.strip_prefix("$ ") {
            section.steps.push(Step::Run(Line::read(command)?));
        } else if let Some(command) = line.strip_prefix("& ") {
            section.steps.push(Step::Watch(Line::read(command)?));
        } else if line == "end watches" {
            section.steps.push(Step::End);
        } else {
            bail!("neither a section, a file nor a command: {line}");
        }
    }
    for section in &sections {
        let last = section.steps.iter().rfind(|step| !matches!(step, Step::Run(_)));
        if matches!(last, Some(Step::Watch(_))) {
            bail!("{}: a watch is not ended", section.name);
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
    use super::{Line, Step, parse, words};

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(words("get -l \"a in (b)\" x"), ["get", "-l", "a in (b)", "x"]);
        assert_eq!(words("patch -p {\"a\":1}"), ["patch", "-p", "{\"a\":1}"]);
        assert_eq!(words("put a \"\" b"), ["put", "a", "", "b"]);
    }

    #[test]
    fn variables_stand_before_the_words() {
        let line = Line::read("\"EDITOR=sh change.sh\" edit cm a -l x=y").expect("a line");
        assert_eq!(line.variables, [("EDITOR".to_owned(), "sh change.sh".to_owned())]);
        assert_eq!(line.words, ["edit", "cm", "a", "-l", "x=y"]);
        assert_eq!(line.shown(), "EDITOR=\"sh change.sh\" edit cm a -l x=y");
    }

    #[test]
    fn input_and_what_is_kept_stand_behind_the_words() {
        let line = Line::read("put a <value.txt").expect("a line");
        assert_eq!((line.words.len(), line.input.as_deref()), (2, Some("value.txt")));
        let line = Line::read("lease grant 60 => L 2").expect("a line");
        assert_eq!(line.words, ["lease", "grant", "60"]);
        assert_eq!(line.keeps, Some(("L".to_owned(), 2)));
        assert!(Line::read("lease grant 60 => L").is_err());
    }

    #[test]
    fn a_line_that_stands_nowhere_is_refused() {
        assert!(parse("get pods").is_err());
        assert!(parse("== a\nget pods").is_err());
    }

    #[test]
    fn watches_that_nobody_ends_are_refused() {
        assert!(parse("== a\n& get -w\n$ put").is_err());
        let read = parse("== a, b\n& get -w\n$ put\nend watches").expect("ended");
        assert_eq!((read[0].name.as_str(), read[0].needs.as_str()), ("a", "b"));
        assert!(matches!(read[0].steps[..], [Step::Watch(_), Step::Run(_), Step::End]));
    }
}

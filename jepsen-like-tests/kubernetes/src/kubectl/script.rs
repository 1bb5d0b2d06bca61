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
    /// The command lines, as words.
    pub lines: Vec<Vec<String>>,
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
            section.lines.push(words(command));
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
    #[test]
    fn the_script_is_read_and_long_enough() {
        let sections = super::read().expect("the file is part of this crate");
        let lines: usize = sections.iter().map(|section| section.lines.len()).sum();
        assert!(lines >= 120, "{lines}");
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(super::words("get -l \"a in (b)\" x"), ["get", "-l", "a in (b)", "x"]);
        assert_eq!(super::words("patch -p {\"a\":1}"), ["patch", "-p", "{\"a\":1}"]);
    }

    #[test]
    fn a_line_that_stands_nowhere_is_refused() {
        assert!(super::parse("get pods").is_err());
        assert!(super::parse("== a\nget pods").is_err());
    }
}

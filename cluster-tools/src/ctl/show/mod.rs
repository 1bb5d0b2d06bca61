//! How answers look: documents (`json`, `yaml`), tables for people, and etcdctl's simple lines.
//!
//! Invariants: `json` and `simple` are etcdctl's own, so that scripts port; what a terminal gets
//! holds no control bytes of the data.
//!
//! Must not know: where the values come from.

pub(crate) mod answers;
pub(crate) mod doc;
pub(crate) mod fields;
pub(crate) mod figures;
mod forms;
pub(crate) mod table;
pub(crate) mod text;

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;

pub(crate) use doc::{Doc, Object};
use fields::Fields;
pub(crate) use forms::Answer;
pub(crate) use table::Table;

use crate::ToolError;
use crate::catalogue::Id;

const NO_MESSAGE: &str = "protobuf is not supported as output format here: the answer is no single \
                          message of etcd; use -o json";

/// How an answer is written to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    Table,
    /// One JSON document a line, as etcdctl prints it.
    Json,
    /// The same as YAML.
    Yaml,
    /// etcdctl's bare lines.
    Simple,
    /// A line for each field, as etcdctl prints them.
    Fields,
    /// The answer's bytes on the wire, as etcdctl prints them.
    Protobuf,
}

impl Format {
    /// Whether it holds the whole answer, for programs.
    pub(crate) fn is_whole(self) -> bool {
        !matches!(self, Self::Table | Self::Simple)
    }
}

/// The chosen format, and `--hex`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) hex: bool,
}

impl Output {
    /// Writes the form that was asked for; the others are not made.
    pub(crate) fn show(
        &self,
        answer: impl Answer,
        simple: impl FnOnce() -> Vec<u8>,
        table: impl FnOnce() -> String,
    ) -> Result<(), ToolError> {
        match self.format {
            Format::Table => write(table().as_bytes()),
            Format::Simple => write(&simple()),
            _ => self.whole(answer),
        }
    }

    /// An answer whose line says the same in a table.
    pub(crate) fn say(
        &self,
        answer: impl Answer,
        line: impl FnOnce() -> String,
    ) -> Result<(), ToolError> {
        match self.format {
            Format::Table | Format::Simple => write(format!("{}\n", line()).as_bytes()),
            // Compat: what is no message of etcd is its line.
            Format::Protobuf => match answer.protobuf() {
                Some(bytes) => write(&bytes),
                None => write(format!("{}\n", line()).as_bytes()),
            },
            _ => self.whole(answer),
        }
    }

    /// Writes an answer in a format that holds all of it.
    ///
    /// *Errors*: `NotOffered` for what is no message of etcd and is wanted as one.
    pub(crate) fn whole(&self, answer: impl Answer) -> Result<(), ToolError> {
        match self.format {
            Format::Fields => {
                let mut fields = Fields::new(self.hex);
                answer.fields(&mut fields, self.hex);
                write(fields.text().as_bytes())
            }
            Format::Protobuf => match answer.protobuf() {
                Some(bytes) => write(&bytes),
                None => Err(ToolError::of(Id::NotOffered, NO_MESSAGE)),
            },
            _ => self.document(&answer.document(self.hex)),
        }
    }

    /// Writes a document; what is no JSON and no YAML format gets JSON.
    pub(crate) fn document(&self, document: &Doc) -> Result<(), ToolError> {
        let text = match self.format {
            Format::Yaml => serde_saphyr::to_string(document)
                .map(|text| format!("---\n{}\n", text.trim_end()))
                .map_err(|error| ToolError::Io(std::io::Error::other(error.to_string())))?,
            _ => {
                let text = serde_json::to_string(document)
                    .map_err(|error| ToolError::Io(std::io::Error::other(error)))?;
                // Compat: Go's encoder keeps these three out of a page's markup.
                let text = text.replace('&', "\\u0026");
                text.replace('<', "\\u003c").replace('>', "\\u003e") + "\n"
            }
        };
        write(text.as_bytes())
    }

    /// Whether a person reads it in columns.
    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// A key or value as `simple` writes it: raw, escaped for a terminal, or `\xNN` for `--hex`.
    pub(crate) fn raw(&self, bytes: &[u8], into: &mut Vec<u8>) {
        if self.hex {
            into.extend_from_slice(text::hex_escaped(bytes).as_bytes());
        } else if std::io::stdout().is_terminal() {
            into.extend_from_slice(text::safe_lines(bytes).as_bytes());
        } else {
            into.extend_from_slice(bytes);
        }
        into.push(b'\n');
    }

    /// A key or value as a table writes it: on one line, without control bytes.
    pub(crate) fn cell(&self, bytes: &[u8]) -> String {
        if self.hex { text::hex_escaped(bytes) } else { text::printable(bytes) }
    }
}

/// Writes and flushes; a closed pipe is an error like any other.
pub(crate) fn write(bytes: &[u8]) -> Result<(), ToolError> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// One line.
pub(crate) fn line(text: impl AsRef<str>) -> Result<(), ToolError> {
    write(format!("{}\n", text.as_ref()).as_bytes())
}

/// One line for the person, not for the pipe.
pub(crate) fn notice(text: impl AsRef<str>) {
    // Nobody is left to tell when standard error is gone.
    drop(writeln!(std::io::stderr().lock(), "{}", text.as_ref()));
}

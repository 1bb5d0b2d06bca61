//! Typed access to values whose form was checked when they were parsed.
//! Must not know: what a value is for.

use std::path::PathBuf;
use std::time::Duration;

use super::text::{go_bool, go_duration};
use super::{ConfigError, Endpoint, Flag, Given};

/// The values of all flags: given, or their defaults.
pub(super) struct Values<'a>(pub(super) &'a Given);

impl Values<'_> {
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.or_default(Flag::find(name).expect("the name is a row of the table"))
    }

    pub(super) fn number(&self, name: &str) -> u64 {
        self.text(name).parse().expect("the form was checked by parse")
    }

    pub(super) fn duration(&self, name: &str) -> Duration {
        go_duration(self.text(name)).expect("the form was checked by parse")
    }

    pub(super) fn switch(&self, name: &str) -> bool {
        go_bool(self.text(name)).expect("the form was checked by parse")
    }

    /// *Shape*: none for an empty text.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    /// The parts of a comma separated list. *Shape*: empty for an empty text.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let parts = self.text(name).split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::to_owned).collect()
    }

    pub(super) fn urls(&self, name: &str) -> Result<Vec<Endpoint>, ConfigError> {
        match self.text(name) {
            "" => Ok(Vec::new()),
            text => Endpoint::read_list(text),
        }
    }
}

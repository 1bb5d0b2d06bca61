//! One generic registry: a kind is a row, never a handler.

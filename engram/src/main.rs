//! The one binary of Engram.

fn main() {}

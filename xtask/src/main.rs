//! The workshop: checks and chores behind the Makefile.

fn main() {}

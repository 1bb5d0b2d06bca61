//! The services and pages of a member, as any client of its port sees them.

mod doors;
mod kv;
mod lease;
mod maintenance;
mod support;
mod watch;

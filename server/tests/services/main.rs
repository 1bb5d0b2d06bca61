//! The services and pages of a member, as any client of its port sees them.

mod auth;
mod auth_advisories;
mod auth_table;
mod coordination;
mod corruption;
mod doors;
mod gateway;
mod kv;
mod lease;
mod maintenance;
mod members;
mod snapshot;
mod support;
mod watch;

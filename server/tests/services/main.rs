//! The services and pages of a member, as any client of its port sees them.

mod auth;
mod auth_advisories;
mod auth_table;
mod coordination;
mod doors;
mod gateway;
mod kv;
mod lease;
mod maintenance;
mod snapshot;
mod support;
mod watch;

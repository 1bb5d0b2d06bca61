//! etcd's rows, read.
//!
//! Invariant: a row that is not what its bucket promises is an error that names bucket and row;
//! buckets and rows of `meta` that are unknown here are passed over, as etcd does.

use proto::authpb::{Role, User};
use proto::etcdserverpb::AlarmMember;
use serde_json::Value;

use super::{Contents, Lease, Member, names};
use crate::error::BboltError;
use crate::reader::{Database, Row};
use crate::source::Source;

/// A change of a key, as the history keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<'a> {
    /// The row's name: 17 bytes, 18 for a tombstone.
    pub name: &'a [u8],
    /// The revision.
    pub main: i64,
    /// The number of the change within it.
    pub sub: i64,
    /// Whether it removes its key.
    pub tombstone: bool,
    /// `mvccpb.KeyValue`; empty for the mark that a restore with a raised revision leaves.
    pub value: &'a [u8],
}

/// Visits the whole history, in the order in which it happened.
///
/// *Errors*: damage, names that are none; and the visitor's.
pub fn each_change<S: Source, E: From<BboltError>>(
    database: &Database<S>,
    visit: &mut dyn FnMut(Change<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let Some(bucket) = database.bucket(names::KEY.as_bytes())? else {
        return Err(BboltError::row(names::KEY, "is missing: this is no etcd database").into());
    };
    database.rows(&bucket, &mut |name, row| {
        let (main, sub, tombstone) = revision(names::KEY, name)?;
        let Row::Value(value) = row else { return Err(not_a_bucket(names::KEY).into()) };
        visit(Change { name, main, sub, tombstone, value })
    })
}

/// Reads everything but the history.
///
/// *Errors*: damage, and rows that are none of etcd's. A missing bucket is an empty one.
pub fn contents<S: Source>(database: &Database<S>) -> Result<Contents, BboltError> {
    let mut contents = Contents::default();
    each(database, names::META, |key, value| contents.meta(key, value))?;
    each(database, names::LEASE, |key, value| {
        let lease: Lease = message(names::LEASE, value)?;
        if key != lease.id.to_be_bytes() {
            return Err(BboltError::row(names::LEASE, format!("{:x} has another key", lease.id)));
        }
        contents.leases.push(lease);
        Ok(())
    })?;
    each(database, names::ALARM, |key, _| {
        contents.alarms.push(message::<AlarmMember>(names::ALARM, key)?);
        Ok(())
    })?;
    each(database, names::AUTH, |key, value| contents.auth(key, value))?;
    each(database, names::AUTH_USERS, |_, value| {
        contents.users.push(message::<User>(names::AUTH_USERS, value)?);
        Ok(())
    })?;
    each(database, names::AUTH_ROLES, |_, value| {
        contents.roles.push(message::<Role>(names::AUTH_ROLES, value)?);
        Ok(())
    })?;
    each(database, names::MEMBERS, |_, value| {
        let read = member(value);
        contents.members.push(read.ok_or_else(|| odd(names::MEMBERS, value))?);
        Ok(())
    })?;
    each(database, names::MEMBERS_REMOVED, |key, _| {
        let id = std::str::from_utf8(key).ok().and_then(|id| u64::from_str_radix(id, 16).ok());
        contents.removed_members.push(id.ok_or_else(|| odd(names::MEMBERS_REMOVED, key))?);
        Ok(())
    })?;
    each(database, names::CLUSTER, |key, value| {
        if key == names::CLUSTER_VERSION {
            contents.cluster_version = text(names::CLUSTER, value)?;
        }
        Ok(())
    })?;
    Ok(contents)
}

impl Contents {
    fn meta(&mut self, key: &[u8], value: &[u8]) -> Result<(), BboltError> {
        match key {
            names::CONSISTENT_INDEX => self.consistent_index = number(names::META, value)?,
            names::TERM => self.term = number(names::META, value)?,
            names::SCHEDULED => {
                self.scheduled_compaction = Some(revision(names::META, value)?.0);
            }
            names::FINISHED => self.finished_compaction = Some(revision(names::META, value)?.0),
            names::STORAGE_VERSION => self.storage_version = text(names::META, value)?,
            _ => {}
        }
        Ok(())
    }

    fn auth(&mut self, key: &[u8], value: &[u8]) -> Result<(), BboltError> {
        match key {
            names::AUTH_ENABLED => self.auth_enabled = value == [1],
            names::AUTH_REVISION => self.auth_revision = number(names::AUTH, value)?,
            _ => {}
        }
        Ok(())
    }
}

/// Visits the plain rows of an outermost bucket.
fn each<S: Source>(
    database: &Database<S>,
    name: &'static str,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), BboltError>,
) -> Result<(), BboltError> {
    let Some(bucket) = database.bucket(name.as_bytes())? else { return Ok(()) };
    database.rows(&bucket, &mut |key, row| match row {
        Row::Value(value) => visit(key, value),
        Row::Bucket(_) => Err(not_a_bucket(name)),
    })
}

fn not_a_bucket(bucket: &'static str) -> BboltError {
    BboltError::row(bucket, "holds a bucket where a value belongs")
}

fn odd(bucket: &'static str, row: &[u8]) -> BboltError {
    let shown: String = row.escape_ascii().to_string().chars().take(80).collect();
    BboltError::row(bucket, format!("cannot be read: {shown}"))
}

/// Main, sub, and whether it is a tombstone.
pub(super) fn revision(bucket: &'static str, name: &[u8]) -> Result<(i64, i64, bool), BboltError> {
    let tombstone = match name.len() {
        17 => false,
        18 if name[17] == b't' => true,
        _ => return Err(odd(bucket, name)),
    };
    let part = |from: usize| {
        i64::from_be_bytes(name[from..from + 8].try_into().expect("the name has 17 bytes"))
    };
    let (main, sub) = (part(0), part(9));
    if name[8] != b'_' || main < 0 || sub < 0 {
        return Err(odd(bucket, name));
    }
    Ok((main, sub, tombstone))
}

fn number(bucket: &'static str, value: &[u8]) -> Result<u64, BboltError> {
    value.try_into().map(u64::from_be_bytes).map_err(|_| odd(bucket, value))
}

fn text(bucket: &'static str, value: &[u8]) -> Result<String, BboltError> {
    String::from_utf8(value.to_vec()).map_err(|_| odd(bucket, value))
}

fn message<M: prost::Message + Default>(
    bucket: &'static str,
    bytes: &[u8],
) -> Result<M, BboltError> {
    M::decode(bytes).map_err(|_| odd(bucket, bytes))
}

fn member(json: &[u8]) -> Option<Member> {
    let value: Value = serde_json::from_slice(json).ok()?;
    let urls = |name: &str| match value.get(name) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(urls)) => {
            urls.iter().map(|url| url.as_str().map(str::to_owned)).collect()
        }
        Some(_) => None,
    };
    Some(Member {
        id: value.get("id")?.as_u64()?,
        name: value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(),
        peer_urls: urls("peerURLs")?,
        client_urls: urls("clientURLs")?,
        is_learner: value.get("isLearner").and_then(Value::as_bool).unwrap_or_default(),
    })
}

//! etcd's rows, written.

use std::collections::BTreeMap;
use std::io::{Seek, Write};

use prost::Message as _;
use serde_json::{Map, Value, json};

use super::{Contents, Member, names};
use crate::error::BboltError;
use crate::writer::{BucketWriter, Writer};

/// Writes a whole database: the history first, as `key_values` gives it, then all else. Returns the
/// file and its length in bytes.
///
/// *Errors*: the writer's and those of `key_values`. *Durability*: none.
pub fn write<W: Write + Seek, E: From<BboltError>>(
    file: W,
    key_values: impl FnOnce(&mut BucketWriter<'_, W>) -> Result<Contents, E>,
) -> Result<(W, u64), E> {
    let mut writer = Writer::new(file)?;
    let mut history = writer.bucket(names::KEY.as_bytes())?;
    let contents = key_values(&mut history)?;
    history.finish()?;
    contents.write(&mut writer)?;
    Ok(writer.finish()?)
}

/// Sorted rows.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

impl Contents {
    fn write<W: Write + Seek>(&self, writer: &mut Writer<W>) -> Result<(), BboltError> {
        let mut bucket = |name: &str, rows: Rows| writer.whole_bucket(name.as_bytes(), rows);
        bucket(names::META, self.meta_rows())?;
        let lease = |lease: &super::Lease| (lease.id.to_be_bytes().to_vec(), lease.encode_to_vec());
        bucket(names::LEASE, self.leases.iter().map(lease).collect())?;
        // Compat: an alarm of no member and no kind would be an empty key, which bbolt refuses.
        let alarms = self.alarms.iter().map(|alarm| (alarm.encode_to_vec(), Vec::new()));
        bucket(names::ALARM, alarms.filter(|(key, _)| !key.is_empty()).collect())?;
        bucket(names::AUTH, self.auth_rows())?;
        let users = self.users.iter().map(|user| (user.name.to_vec(), user.encode_to_vec()));
        bucket(names::AUTH_USERS, users.collect())?;
        let roles = self.roles.iter().map(|role| (role.name.to_vec(), role.encode_to_vec()));
        bucket(names::AUTH_ROLES, roles.collect())?;
        let member = |member: &Member| (id_text(member.id), member_json(member));
        bucket(names::MEMBERS, self.members.iter().map(member).collect())?;
        let removed = self.removed_members.iter().map(|id| (id_text(*id), b"removed".to_vec()));
        bucket(names::MEMBERS_REMOVED, removed.collect())?;
        bucket(names::CLUSTER, self.cluster_rows())
    }

    fn meta_rows(&self) -> Rows {
        let mut rows = Rows::new();
        let mut put = |name: &[u8], value: Vec<u8>| rows.insert(name.to_vec(), value);
        put(names::CONSISTENT_INDEX, self.consistent_index.to_be_bytes().to_vec());
        put(names::TERM, self.term.to_be_bytes().to_vec());
        if !self.members.is_empty() {
            put(names::CONF_STATE, self.conf_state().to_string().into_bytes());
        }
        if let Some(at) = self.scheduled_compaction {
            put(names::SCHEDULED, revision_name(at));
        }
        if let Some(at) = self.finished_compaction {
            put(names::FINISHED, revision_name(at));
        }
        if !self.storage_version.is_empty() {
            put(names::STORAGE_VERSION, self.storage_version.clone().into_bytes());
        }
        rows
    }

    /// Who votes, in the form of etcd's `raftpb.ConfState`.
    fn conf_state(&self) -> Value {
        let ids = |learner: bool| -> Vec<u64> {
            let side = self.members.iter().filter(|member| member.is_learner == learner);
            side.map(|member| member.id).collect()
        };
        let mut state = Map::new();
        state.insert("voters".into(), json!(ids(false)));
        if !ids(true).is_empty() {
            state.insert("learners".into(), json!(ids(true)));
        }
        state.insert("auto_leave".into(), json!(false));
        Value::Object(state)
    }

    fn auth_rows(&self) -> Rows {
        let mut rows = Rows::new();
        // Compat: etcd writes the switch when it is first turned.
        if self.auth_enabled {
            rows.insert(names::AUTH_ENABLED.to_vec(), vec![1]);
        }
        if self.auth_revision > 0 {
            let revision = self.auth_revision.to_be_bytes().to_vec();
            rows.insert(names::AUTH_REVISION.to_vec(), revision);
        }
        rows
    }

    fn cluster_rows(&self) -> Rows {
        let version = self.cluster_version.clone().into_bytes();
        let row = (names::CLUSTER_VERSION.to_vec(), version);
        (!self.cluster_version.is_empty()).then_some(row).into_iter().collect()
    }
}

fn revision_name(main: i64) -> Vec<u8> {
    let mut name = main.to_be_bytes().to_vec();
    name.push(b'_');
    name.extend_from_slice(&[0; 8]);
    name
}

/// Compat: sixteen digits or fewer, as etcd prints ids.
fn id_text(id: u64) -> Vec<u8> {
    format!("{id:x}").into_bytes()
}

fn member_json(member: &Member) -> Vec<u8> {
    let mut json = Map::new();
    json.insert("id".into(), json!(member.id));
    json.insert("peerURLs".into(), json!(member.peer_urls));
    if member.is_learner {
        json.insert("isLearner".into(), json!(true));
    }
    if !member.name.is_empty() {
        json.insert("name".into(), json!(member.name));
    }
    if !member.client_urls.is_empty() {
        json.insert("clientURLs".into(), json!(member.client_urls));
    }
    Value::Object(json).to_string().into_bytes()
}

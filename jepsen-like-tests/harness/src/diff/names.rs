//! What each cluster draws for itself, and the names that stand for it in conversations.
//!
//! Invariant: a request says [`MEMBER`] and a number where a side puts the id of its own member,
//! and an answer says `member 0` where that id stood.
//!
//! Must not know: what is asked.

use anyhow::Result;
use bytes::Bytes;
use prost::Message as _;
use prost_reflect::Value as Field;
use proto::etcdserverpb::{Member, MemberAddResponse};
use serde_json::Value;

use super::call::{ADDED, Call, MEMBER, MEMBER_FIELDS, decoded, method};

/// The names of one side.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// The members' ids by their numbers.
    pub(crate) members: Vec<u64>,
    added: Option<u64>,
    /// Texts of this side alone and what stands for them.
    texts: Vec<(String, String)>,
}

impl Names {
    /// Members are named `m` and their number.
    pub(crate) fn new(members: &[Member]) -> Self {
        let mut sorted: Vec<&Member> = members.iter().collect();
        sorted.sort_by_key(|member| &member.name);
        let mut names = Self::default();
        for (number, member) in sorted.into_iter().enumerate() {
            names.members.push(member.id);
            let urls = member.client_urls.iter().map(|url| ("client", url));
            for (kind, url) in urls.chain(member.peer_urls.iter().map(|url| ("peer", url))) {
                let address = url.trim_start_matches("http://").to_owned();
                names.texts.push((address, format!("{kind} {number}")));
            }
        }
        names
    }

    /// The request with this side's own ids.
    pub(crate) fn own(&self, call: &Call) -> Result<Bytes> {
        let Ok(method) = method(call.rpc) else { return Ok(call.request.clone()) };
        let input = method.input();
        if !MEMBER_FIELDS.iter().any(|field| input.get_field_by_name(field).is_some()) {
            return Ok(call.request.clone());
        }
        let mut message = decoded(input, &call.request)?;
        let mut changed = false;
        for field in MEMBER_FIELDS {
            let Some(Field::U64(id)) =
                message.get_field_by_name(field).map(|field| (*field).clone())
            else {
                continue;
            };
            if let Some(real) = self.real(id) {
                message.set_field_by_name(field, Field::U64(real));
                changed = true;
            }
        }
        Ok(if changed { message.encode_to_vec().into() } else { call.request.clone() })
    }

    fn real(&self, id: u64) -> Option<u64> {
        if id == ADDED {
            return self.added;
        }
        let number = usize::try_from(id.checked_sub(MEMBER)?).ok()?;
        self.members.get(number).copied()
    }

    /// Remembers the member that an answer to MemberAdd says was added.
    pub(crate) fn added(&mut self, answer: &Bytes) {
        let added = MemberAddResponse::decode(answer.clone()).ok();
        self.added = added.and_then(|added| added.member).map(|member| member.id);
    }

    fn name(&self, id: &str) -> Option<String> {
        let id = id.parse().ok()?;
        if self.added == Some(id) {
            return Some("the added member".to_owned());
        }
        let number = self.members.iter().position(|member| *member == id)?;
        Some(format!("member {number}"))
    }

    /// Puts names for ids and addresses, everywhere.
    pub(crate) fn put(&self, value: &mut Value) {
        match value {
            Value::Array(elements) => elements.iter_mut().for_each(|element| self.put(element)),
            Value::Object(fields) => {
                for (name, field) in fields.iter_mut() {
                    let id = field.as_str().filter(|_| MEMBER_FIELDS.contains(&name.as_str()));
                    match id.and_then(|id| self.name(id)) {
                        Some(name) => *field = Value::String(name),
                        None => self.put(field),
                    }
                }
            }
            Value::String(text) => {
                if let Some((_, name)) = self.texts.iter().find(|(own, _)| text.contains(own)) {
                    *text = name.clone();
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::etcdserverpb::{MemberPromoteRequest, MemberRemoveRequest};

    fn names() -> Names {
        let member = |id, name: &str, port| Member {
            id,
            name: name.to_owned(),
            client_urls: vec![format!("http://127.0.0.1:{port}")],
            ..Member::default()
        };
        Names::new(&[member(77, "m1", 2), member(99, "m0", 1)])
    }

    #[test]
    fn a_request_gets_the_ids_of_its_side_and_an_answer_loses_them() {
        let names = names();
        let call =
            Call::new("etcdserverpb.Cluster/MemberRemove", &MemberRemoveRequest { id: MEMBER + 1 });
        let own = MemberRemoveRequest::decode(names.own(&call).expect("it is read"));
        assert_eq!(own.expect("a request").id, 77);
        let mut answer =
            serde_json::json!({"members": [{"ID": "99", "clientURLs": ["http://127.0.0.1:1"]}]});
        names.put(&mut answer);
        let expected =
            serde_json::json!({"members": [{"ID": "member 0", "clientURLs": ["client 0"]}]});
        assert_eq!(answer, expected);
    }

    #[test]
    fn ids_that_are_no_members_stay() {
        let names = names();
        let call =
            Call::new("etcdserverpb.Cluster/MemberPromote", &MemberPromoteRequest { id: 12_345 });
        assert_eq!(names.own(&call).expect("it is read"), call.request);
        let mut answer = serde_json::json!({"ID": "5", "lease": "77"});
        names.put(&mut answer);
        assert_eq!(answer, serde_json::json!({"ID": "5", "lease": "77"}));
    }
}

//! What the gateway needs to know of the messages, taken from the service descriptors once.
//!
//! Invariant: fields stand in the order of their declaration, in which JSON shows them.
//! Must not know: paths, JSON, gRPC.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind as Described, MessageDescriptor};

/// A message's place in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessageIndex(usize);

/// All messages that can be reached from an RPC.
#[derive(Debug, Default)]
pub(super) struct Schema {
    messages: Vec<Message>,
    places: HashMap<String, MessageIndex>,
}

/// One message.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) fields: Vec<Field>,
}

/// One field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    /// As the `.proto` file spells it; this is what answers show.
    pub(super) name: String,
    /// The other name that requests may use, and the one in errors.
    pub(super) json_name: String,
    pub(super) list: bool,
    /// Whether zero is told from absent.
    pub(super) presence: bool,
    /// The full name of the oneof it belongs to.
    pub(super) oneof: Option<String>,
    pub(super) kind: Kind,
}

/// What a field holds: the kinds that etcd's API has.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Text,
    Bytes,
    Enum(Vec<(i32, String)>),
    Message(MessageIndex),
}

impl Kind {
    /// As errors name it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Uint32 => "uint32",
            Kind::Uint64 => "uint64",
            Kind::Text => "string",
            Kind::Bytes => "bytes",
            Kind::Enum(_) => "enum",
            Kind::Message(_) => "message",
        }
    }
}

impl Message {
    /// The field that a request means by a name.
    pub(super) fn named(&self, name: &str) -> Option<&Field> {
        let json = self.fields.iter().find(|field| field.json_name == name);
        json.or_else(|| self.fields.iter().find(|field| field.name == name))
    }
}

impl Schema {
    /// A message.
    pub(super) fn message(&self, index: MessageIndex) -> &Message {
        &self.messages[index.0]
    }

    /// The messages that an RPC takes and gives; `None` when the descriptors do not have it.
    pub(super) fn of_method(
        &mut self,
        pool: &DescriptorPool,
        service: &str,
        method: &str,
    ) -> Option<(MessageIndex, MessageIndex)> {
        let service = pool.get_service_by_name(service)?;
        let method = service.methods().find(|candidate| candidate.name() == method)?;
        Some((self.add(&method.input()), self.add(&method.output())))
    }

    fn add(&mut self, message: &MessageDescriptor) -> MessageIndex {
        if let Some(known) = self.places.get(message.full_name()) {
            return *known;
        }
        let index = MessageIndex(self.messages.len());
        self.places.insert(message.full_name().to_owned(), index);
        self.messages.push(Message::default());
        let fields = message.fields().filter_map(|field| self.field(&field)).collect();
        self.messages[index.0] = Message { fields };
        index
    }

    /// `None` for a kind that etcd's API does not have; a test holds that there is none.
    fn field(&mut self, field: &FieldDescriptor) -> Option<Field> {
        let kind = match field.kind() {
            Described::Bool => Kind::Bool,
            Described::Int32 => Kind::Int32,
            Described::Int64 => Kind::Int64,
            Described::Uint32 => Kind::Uint32,
            Described::Uint64 => Kind::Uint64,
            Described::String => Kind::Text,
            Described::Bytes => Kind::Bytes,
            Described::Enum(values) => {
                let row = |value: prost_reflect::EnumValueDescriptor| {
                    (value.number(), value.name().to_owned())
                };
                Kind::Enum(values.values().map(row).collect())
            }
            Described::Message(message) if !message.is_map_entry() => {
                Kind::Message(self.add(&message))
            }
            _ => return None,
        };
        Some(Field {
            number: field.number(),
            name: published(field),
            json_name: field.json_name().to_owned(),
            list: field.is_list(),
            presence: field.supports_presence(),
            oneof: field.containing_oneof().map(|oneof| oneof.full_name().to_owned()),
            kind,
        })
    }
}

/// The name in etcd's published files. Where ours differs, so that it reads better in Rust, the
/// published one is spelled out as the name in JSON, which then is not the usual one.
fn published(field: &FieldDescriptor) -> String {
    let mut words = field.name().split('_');
    let first = words.next().unwrap_or_default().to_owned();
    let usual = words.fold(first, |name, word| {
        let mut letters = word.chars();
        let capital = letters.next().map(|letter| letter.to_ascii_uppercase());
        name + &capital.into_iter().collect::<String>() + letters.as_str()
    });
    if usual == field.json_name() { field.name() } else { field.json_name() }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_the_names_of_the_published_files() {
        let pool = DescriptorPool::decode(services::DESCRIPTORS).expect("our own descriptors");
        let names = |message: &str| -> Vec<_> {
            let message = pool.get_message_by_name(message).expect("a message of the API");
            message.fields().map(|field| published(&field)).collect()
        };
        let member = ["ID", "name", "peerURLs", "clientURLs", "isLearner"];
        assert_eq!(names("etcdserverpb.Member"), member);
        assert_eq!(names("etcdserverpb.MemberAddRequest"), ["peerURLs", "isLearner"]);
        assert_eq!(names("etcdserverpb.MemberUpdateRequest"), ["ID", "peerURLs"]);
        assert_eq!(names("mvccpb.KeyValue")[1], "create_revision");
    }

    #[test]
    fn no_field_of_any_rpc_is_of_an_unknown_kind() {
        let pool = DescriptorPool::decode(services::DESCRIPTORS).expect("our own descriptors");
        let mut schema = Schema::default();
        let mut fields = 0;
        for service in pool.services() {
            for method in service.methods() {
                for message in [method.input(), method.output()] {
                    let index = schema.add(&message);
                    let known = schema.message(index).fields.len();
                    assert_eq!(known, message.fields().len(), "{}", message.full_name());
                    fields += known;
                }
            }
        }
        assert!(fields > 150, "{fields}");
    }
}

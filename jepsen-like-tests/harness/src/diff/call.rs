//! One call as the name of its RPC and the bytes of its request, with what the descriptors say
//! about both.
//!
//! Must not know: how it is sent.

use std::fmt;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions,
};
use serde_json::Value;

/// Member ids are each cluster's own: a request has this, and a member's number more, instead.
pub(crate) const MEMBER: u64 = 9_000_001;

/// The same for the member that was added last.
pub(crate) const ADDED: u64 = 9_000_100;

/// What has an id of a member in it, in requests and in answers.
pub(crate) const MEMBER_FIELDS: [&str; 4] = ["ID", "memberID", "targetID", "member_id"];

/// One call.
#[derive(Clone, PartialEq)]
pub struct Call {
    /// `package.Service/Method`
    pub rpc: &'static str,
    /// The request's bytes.
    pub request: Bytes,
}

impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = method(self.rpc)
            .and_then(|method| decoded(method.input(), &self.request))
            .and_then(|message| value(&message));
        match shown {
            Ok(value) => write!(formatter, "{} {value}", self.rpc),
            Err(error) => write!(formatter, "{} {error:#}", self.rpc),
        }
    }
}

impl Call {
    pub(crate) fn new(rpc: &'static str, request: &impl Message) -> Self {
        Self { rpc, request: request.encode_to_vec().into() }
    }
}

/// Everything that etcd's services say.
pub(crate) fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        DescriptorPool::decode(services::DESCRIPTORS).expect("our own descriptors are whole")
    })
}

/// The RPC of this name.
pub(crate) fn method(rpc: &str) -> Result<MethodDescriptor> {
    let (service, name) = rpc.split_once('/').context("an RPC's name has a slash")?;
    let service = pool().get_service_by_name(service).with_context(|| rpc.to_owned())?;
    service.methods().find(|method| method.name() == name).with_context(|| rpc.to_owned())
}

/// Every RPC there is.
pub(crate) fn rpcs() -> Vec<String> {
    let services = pool().services();
    let of = |service: prost_reflect::ServiceDescriptor| {
        let name = service.full_name().to_owned();
        service.methods().map(|method| format!("{name}/{}", method.name())).collect::<Vec<_>>()
    };
    services.flat_map(of).collect()
}

pub(crate) fn decoded(descriptor: MessageDescriptor, bytes: &[u8]) -> Result<DynamicMessage> {
    Ok(DynamicMessage::decode(descriptor, bytes)?)
}

/// As JSON with the names and the 64-bit numbers of etcd's gateway; what is zero is left out.
pub(crate) fn value(message: &DynamicMessage) -> Result<Value> {
    let options = SerializeOptions::new().use_proto_field_name(true);
    Ok(message.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// The message that JSON says.
pub(crate) fn read(descriptor: MessageDescriptor, value: &Value) -> Result<DynamicMessage> {
    Ok(DynamicMessage::deserialize(descriptor, value)?)
}

//! The answers of the key-value service, with encoded key-values.
//!
//! Invariant: fields, numbers and presence are those of the plain twins in
//! [`crate::etcdserverpb`]; only `KeyValue` is replaced by [`EncodedKeyValue`].
//!
//! Must not know: how an answer comes about.

use super::EncodedKeyValue;
use crate::etcdserverpb::ResponseHeader;

/// Twin of [`crate::etcdserverpb::RangeResponse`].
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RangeResponse {
    /// Who answered, and at which revision.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The key-values, in the asked order; empty when only the count was asked.
    #[prost(message, repeated, tag = "2")]
    pub kvs: Vec<EncodedKeyValue>,
    /// There were more than the limit.
    #[prost(bool, tag = "3")]
    pub more: bool,
    /// All keys in the range, whatever the limit.
    #[prost(int64, tag = "4")]
    pub count: i64,
}

/// Twin of [`crate::etcdserverpb::RangeStreamResponse`].
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct RangeStreamResponse {
    /// One piece; all pieces merged are the answer of a plain Range.
    #[prost(message, optional, tag = "1")]
    pub range_response: Option<RangeResponse>,
}

/// Twin of [`crate::etcdserverpb::PutResponse`].
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PutResponse {
    /// Who answered, and at which revision.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The key-value before the put, when asked for and present.
    #[prost(message, optional, tag = "2")]
    pub prev_kv: Option<EncodedKeyValue>,
}

/// Twin of [`crate::etcdserverpb::DeleteRangeResponse`].
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct DeleteRangeResponse {
    /// Who answered, and at which revision.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// How many keys were deleted.
    #[prost(int64, tag = "2")]
    pub deleted: i64,
    /// The deleted key-values in key order, when asked for.
    #[prost(message, repeated, tag = "3")]
    pub prev_kvs: Vec<EncodedKeyValue>,
}

/// Twin of [`crate::etcdserverpb::TxnResponse`].
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct TxnResponse {
    /// Who answered, and at which revision.
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
    /// The comparisons held, so the success branch ran.
    #[prost(bool, tag = "2")]
    pub succeeded: bool,
    /// One answer per operation of the branch that ran.
    #[prost(message, repeated, tag = "3")]
    pub responses: Vec<ResponseOp>,
}

/// Twin of [`crate::etcdserverpb::ResponseOp`].
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ResponseOp {
    /// The answer of the operation.
    #[prost(oneof = "response_op::Response", tags = "1, 2, 3, 4")]
    pub response: Option<response_op::Response>,
}

/// The oneof of [`ResponseOp`].
pub mod response_op {
    /// Twin of [`crate::etcdserverpb::response_op::Response`].
    #[derive(Clone, PartialEq, Eq, Hash, prost::Oneof)]
    pub enum Response {
        /// Answer of a range.
        #[prost(message, tag = "1")]
        ResponseRange(super::RangeResponse),
        /// Answer of a put.
        #[prost(message, tag = "2")]
        ResponsePut(super::PutResponse),
        /// Answer of a delete.
        #[prost(message, tag = "3")]
        ResponseDeleteRange(super::DeleteRangeResponse),
        /// Answer of a nested transaction.
        #[prost(message, tag = "4")]
        ResponseTxn(super::TxnResponse),
    }
}

impl From<response_op::Response> for ResponseOp {
    fn from(response: response_op::Response) -> Self {
        Self { response: Some(response) }
    }
}

impl From<RangeResponse> for RangeStreamResponse {
    fn from(range_response: RangeResponse) -> Self {
        Self { range_response: Some(range_response) }
    }
}

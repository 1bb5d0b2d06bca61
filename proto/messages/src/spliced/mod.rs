//! Wire-identical forms of etcd's hot answers whose key-values are already encoded.
//!
//! A stored value is one encoded `mvccpb.KeyValue`. These types carry those bytes through to the
//! socket: encoding an answer copies them, and nothing is decoded on the way.
//!
//! Invariants: every type encodes to the bytes that its plain twin in [`crate::etcdserverpb`] with
//! the same content encodes to (property-tested), and decodes what the twin encodes. Whoever puts
//! bytes in vouches that they are one canonical encoded message: field numbers rising, defaults
//! left out.
//!
//! Must not know: where the bytes come from.

mod key_value;
mod responses;
mod watch_response;

pub use key_value::{EncodedKeyValue, KeyValueView};
pub use responses::{
    DeleteRangeResponse, PutResponse, RangeResponse, RangeStreamResponse, ResponseOp, TxnResponse,
    response_op,
};
pub use watch_response::{EncodedEvents, EncodedEventsBuilder, WatchResponse};

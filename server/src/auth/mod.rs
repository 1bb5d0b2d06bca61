//! Who asks, and whether they may.
//!
//! The way of a call: [`Caller`] is what came with it (a token, a certificate's name, nothing), put
//! into the request's extensions by the dispatch; [`Member::authorize`] finds the user behind it
//! and holds the call against what the user was granted; commands carry the user and the auth
//! revision in their header, and are held against the state once more when they are applied.
//!
//! Invariant: default deny. Whoever proposes or reads hands over a caller, so there is no way to
//! the data that does not ask.
//! Must not know: what the state grants to whom; that is `store::auth`.
//!
//! [`Member::authorize`]: crate::member::Member::authorize

mod authorize;
mod caller;

pub(crate) use authorize::Identity;
pub(crate) use caller::Caller;

//! What the store's tests share, here and in `store/rocks`: a pair of stores driven alike, a plain
//! model, random requests, and the language of the golden scripts.
#![expect(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

pub mod check;
pub mod model;
pub mod requests;
pub mod script;
pub mod script_auth;
pub mod script_show;
pub mod script_words;
pub mod session;

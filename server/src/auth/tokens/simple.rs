//! Simple tokens: sixteen random letters, a dot, and the index of the log entry that gave them.
//!
//! Invariants: every member remembers a token from the moment it applied that entry, and never
//! stores it, so a restarted member forgets and its clients authenticate again (as with etcd); a
//! token ends when it was not used for its time, when its user is deleted or gets another password,
//! and when authentication is switched off.
//! Must not know: who may do what.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use rand::Rng as _;
use store::{AppliedBatch, AuthEffect, Response};

use crate::clock::Clock;

/// *Source*: etcd.
const LETTERS: usize = 16;
const ALPHABET: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Ended tokens are swept when there are more than this, and twice what the last sweep left.
const SWEEP_MIN: usize = 1024;

struct Known {
    username: Arc<str>,
    /// Milliseconds on the member's clock.
    until_ms: AtomicU64,
}

#[derive(Default)]
struct Table {
    by_token: HashMap<String, Known>,
    sweep_above: usize,
}

/// The tokens that this member remembers.
pub(crate) struct SimpleTokens {
    ttl: Duration,
    clock: Arc<dyn Clock>,
    table: RwLock<Table>,
}

impl SimpleTokens {
    /// None yet; each lives for `ttl` after its last use.
    pub(crate) fn new(ttl: Duration, clock: Arc<dyn Clock>) -> Self {
        let table = Table { by_token: HashMap::new(), sweep_above: SWEEP_MIN };
        SimpleTokens { ttl, clock, table: RwLock::new(table) }
    }

    /// The letters of a token to be, drawn from the system's source.
    pub(crate) fn draw_prefix() -> String {
        let mut source = crate::random::secrets();
        (0..LETTERS).map(|_| char::from(ALPHABET[source.random_range(0..ALPHABET.len())])).collect()
    }

    /// The log index in a token; `None` for what is no simple token.
    pub(crate) fn index_of(token: &str) -> Option<u64> {
        let (_, index) = token.split_once('.')?;
        // Compat: Go's ParseUint takes no sign.
        if index.starts_with('+') { None } else { index.parse().ok() }
    }

    /// Whose token this is; using it gives it its full time again.
    pub(crate) fn user_of(&self, token: &str) -> Option<Arc<str>> {
        let now_ms = self.now_ms();
        let table = self.table.read();
        let known = table.by_token.get(token)?;
        if known.until_ms.load(Ordering::Relaxed) < now_ms {
            return None;
        }
        known.until_ms.store(self.until_ms(now_ms), Ordering::Relaxed);
        Some(Arc::clone(&known.username))
    }

    /// Takes over what an applied batch did to tokens; whether users may have changed.
    pub(crate) fn applied(&self, batch: &AppliedBatch) -> bool {
        let mut any = false;
        for outcome in &batch.outcomes {
            if let Ok(Response::Auth(effect)) = &outcome.result {
                self.take_over(effect);
                any |= !matches!(effect, AuthEffect::Token { .. });
            }
        }
        any
    }

    /// Ends all tokens; clients authenticate again.
    pub(crate) fn forget_all(&self) {
        self.table.write().by_token.clear();
    }

    fn take_over(&self, effect: &AuthEffect) {
        match effect {
            AuthEffect::Other => {}
            AuthEffect::Token { username, token } => self.add(username, token),
            AuthEffect::UserEnded(name) => {
                self.table.write().by_token.retain(|_, known| *known.username != **name);
            }
            AuthEffect::Disabled => self.forget_all(),
        }
    }

    fn add(&self, username: &str, token: &str) {
        let now_ms = self.now_ms();
        let until_ms = AtomicU64::new(self.until_ms(now_ms));
        let mut table = self.table.write();
        if table.by_token.len() >= table.sweep_above {
            table.by_token.retain(|_, known| *known.until_ms.get_mut() >= now_ms);
            table.sweep_above = SWEEP_MIN.max(2 * table.by_token.len());
        }
        table.by_token.insert(token.to_owned(), Known { username: username.into(), until_ms });
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.now().0.as_millis()).unwrap_or(u64::MAX)
    }

    fn until_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_add(u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;

    #[derive(Default)]
    struct Stepped(AtomicU64);

    impl Clock for Stepped {
        fn now(&self) -> Moment {
            Moment(Duration::from_millis(self.0.load(Ordering::Relaxed)))
        }
    }

    fn tokens() -> (SimpleTokens, Arc<Stepped>) {
        let clock = Arc::new(Stepped::default());
        (SimpleTokens::new(Duration::from_secs(2), clock.clone()), clock)
    }

    fn given(username: &str, token: &str) -> AuthEffect {
        AuthEffect::Token { username: username.to_owned(), token: token.to_owned() }
    }

    #[test]
    fn a_token_lives_while_it_is_used() {
        let (tokens, clock) = tokens();
        tokens.take_over(&given("ann", "a.1"));
        for _ in 0..3 {
            clock.0.fetch_add(1_500, Ordering::Relaxed);
            assert_eq!(tokens.user_of("a.1").as_deref(), Some("ann"));
        }
        clock.0.fetch_add(2_001, Ordering::Relaxed);
        assert_eq!(tokens.user_of("a.1"), None);
        assert_eq!(tokens.user_of("b.1"), None);
    }

    #[test]
    fn tokens_end_with_their_user_and_with_the_switch() {
        let (tokens, _) = tokens();
        for (name, token) in [("ann", "a.1"), ("bob", "b.2"), ("ann", "c.3")] {
            tokens.take_over(&given(name, token));
        }
        tokens.take_over(&AuthEffect::UserEnded("ann".to_owned()));
        assert_eq!((tokens.user_of("a.1"), tokens.user_of("c.3")), (None, None));
        assert_eq!(tokens.user_of("b.2").as_deref(), Some("bob"));
        tokens.take_over(&AuthEffect::Disabled);
        assert_eq!(tokens.user_of("b.2"), None);
    }

    #[test]
    fn ended_tokens_do_not_pile_up() {
        let (tokens, clock) = tokens();
        for number in 0..10 * SWEEP_MIN {
            clock.0.fetch_add(10, Ordering::Relaxed);
            tokens.take_over(&given("ann", &format!("a.{number}")));
        }
        let kept = tokens.table.read().by_token.len();
        assert!(kept <= 2 * SWEEP_MIN, "{kept} are kept, about 200 live");
    }

    #[test]
    fn prefixes_are_letters_and_differ() {
        let drawn: std::collections::BTreeSet<String> =
            (0..100).map(|_| SimpleTokens::draw_prefix()).collect();
        assert_eq!(drawn.len(), 100);
        assert!(
            drawn.iter().all(|one| one.len() == 16 && one.bytes().all(|b| b.is_ascii_alphabetic()))
        );
    }

    #[test]
    fn only_a_word_a_dot_and_a_number_is_a_token() {
        assert_eq!(SimpleTokens::index_of("abc.17"), Some(17));
        for wrong in ["abc", "abc.", "abc.x", "abc.1.2", "abc.-1", "abc.+1", ""] {
            assert_eq!(SimpleTokens::index_of(wrong), None, "{wrong}");
        }
    }
}

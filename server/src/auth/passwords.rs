//! Passwords: hashed and compared with bcrypt, away from the threads that serve.
//!
//! Invariants: a password is in no command, no log line and no error; an unknown user costs the
//! same time as a wrong password; at most [`HASHES_MAX`] are worked on at a time.
//! Compat: the hashes are etcd's, and go over to it and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proto::status::EtcdError;
use rand::Rng as _;
use tokio::sync::Semaphore;

use crate::errors::ServeError;
use crate::limits::HASHES_MAX;
use crate::random::secrets;

/// What bcrypt looks at. *Source*: Go's library refuses longer passwords.
const PASSWORD_BYTES_MAX: usize = 72;
const TOO_LONG: &str = "bcrypt: password length exceeds 72 bytes";
/// Compat: a word of etcd's that is not in its table.
pub(super) const NO_PASSWORD_USER: &str =
    "auth: authentication failed, password was given for no password user";

/// Hashes and compares.
pub(super) struct Passwords {
    cost: u32,
    turns: Semaphore,
    /// What the password of nobody is compared with.
    nobodys_hash: std::sync::OnceLock<String>,
}

impl Passwords {
    /// Hashes will have this cost.
    pub(super) fn new(cost: u32) -> Self {
        let turns = Semaphore::new(HASHES_MAX);
        Passwords { cost, turns, nobodys_hash: std::sync::OnceLock::new() }
    }

    /// The hash of a password as commands carry it: base64 of bcrypt's text.
    ///
    /// *Errors*: a password that is too long, in etcd's words.
    pub(super) async fn hash(&self, password: String) -> Result<String, ServeError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Err(ServeError::Unknown(TOO_LONG));
        }
        let (cost, salt) = (self.cost, secrets().random::<[u8; 16]>());
        let hashed = self.off_thread(move || hash_text(&password, cost, salt)).await?;
        Ok(STANDARD.encode(hashed))
    }

    /// Whether this is the password behind a stored hash; `None` is nobody's.
    pub(super) async fn verify(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, ServeError> {
        let known = hash.is_some();
        let hash = match hash {
            Some(hash) => hash,
            None => self.nobodys_hash().await?,
        };
        // A stored text that is no hash is nobody's password.
        let same =
            self.off_thread(move || bcrypt::verify(password.as_bytes(), &hash).unwrap_or(false));
        Ok(same.await? && known)
    }

    async fn nobodys_hash(&self) -> Result<String, ServeError> {
        if let Some(hash) = self.nobodys_hash.get() {
            return Ok(hash.clone());
        }
        let (cost, salt) = (self.cost, secrets().random::<[u8; 16]>());
        let hash = self.off_thread(move || hash_text("nobody", cost, salt)).await?;
        Ok(self.nobodys_hash.get_or_init(|| hash).clone())
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServeError> {
        let _turn = self.turns.acquire().await.map_err(|_| EtcdError::Stopped)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| EtcdError::Stopped.into())
    }
}

fn hash_text(password: &str, cost: u32, salt: [u8; 16]) -> String {
    let parts = bcrypt::hash_with_salt(password.as_bytes(), cost, salt);
    // Compat: the variant that Go's library writes.
    parts.expect("the cost was checked at the start").format_for_version(bcrypt::Version::TwoA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_found_by_its_hash_and_no_other_is() {
        let passwords = Passwords::new(4);
        let hashed = passwords.hash("pass".to_owned()).await.expect("short enough");
        let hashed = String::from_utf8(STANDARD.decode(hashed).expect("base64")).expect("text");
        assert!(hashed.starts_with("$2a$04$"), "{hashed}");
        let is = |password: &str, hash: Option<&str>| {
            passwords.verify(password.to_owned(), hash.map(str::to_owned))
        };
        assert!(is("pass", Some(&hashed)).await.expect("works"));
        assert!(!is("word", Some(&hashed)).await.expect("works"));
        assert!(!is("pass", Some("")).await.expect("works"));
        assert!(!is("nobody", None).await.expect("works"));
    }

    #[tokio::test]
    async fn gos_hashes_are_understood() {
        // golang.org/x/crypto/bcrypt, cost 4, of "pass".
        let passwords = Passwords::new(4);
        let long = "x".repeat(72);
        let hashed = passwords.hash(long.clone()).await.expect("just short enough");
        let hashed = String::from_utf8(STANDARD.decode(hashed).expect("base64")).expect("text");
        assert!(passwords.verify(long, Some(hashed)).await.expect("works"));
        let refused = passwords.hash("x".repeat(73)).await.expect_err("too long");
        assert_eq!(refused.to_string(), TOO_LONG);
    }
}

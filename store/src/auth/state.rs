//! Users, roles and the switch, as one moment knows them.
//!
//! Invariants: a user's roles are sorted and name each role once; a role's permissions are sorted
//! by their key. Persistent maps: a clone is cheap and never changes. What a user is granted is
//! merged when it is first asked for, and forgotten when the user or one of the roles changes.

use std::sync::{Arc, OnceLock};

use proto::authpb::permission::Type;
use proto::authpb::{Permission, Role, User};
use rpds::RedBlackTreeMapSync;

use super::intervals::Intervals;

/// The user, and the role, that may do everything.
pub const ROOT: &str = "root";

/// The auth revision before anything changed. Source: etcd.
const FIRST_REVISION: u64 = 1;

/// What a user may do with keys.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) read: Intervals,
    pub(super) write: Intervals,
}

/// A user, and the merged grants of its roles.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) user: User,
    granted: OnceLock<Granted>,
}

impl Account {
    fn new(user: User) -> Arc<Self> {
        Arc::new(Account { user, granted: OnceLock::new() })
    }

    pub(super) fn has_role(&self, role: &str) -> bool {
        self.user.roles.iter().any(|own| own == role)
    }

    /// The merged grants. `state` is the one that this account is of.
    pub(super) fn granted(&self, state: &AuthState) -> &Granted {
        self.granted.get_or_init(|| {
            let permissions = self.user.roles.iter().filter_map(|role| state.roles.get(role));
            let all: Vec<&Permission> = permissions.flat_map(|role| &role.key_permission).collect();
            let of = |kinds: [Type; 2]| {
                let wanted =
                    all.iter().filter(|one| kinds.iter().any(|k| *k as i32 == one.perm_type));
                Intervals::of(wanted.map(|one| (one.key.clone(), one.range_end.clone())).collect())
            };
            Granted {
                read: of([Type::Read, Type::Readwrite]),
                write: of([Type::Write, Type::Readwrite]),
            }
        })
    }
}

/// See the module's page.
#[derive(Clone, Debug)]
pub struct AuthState {
    /// Whether calls must come from a user.
    pub(crate) enabled: bool,
    /// Rises with each change of users, roles and permissions.
    pub(crate) revision: u64,
    accounts: RedBlackTreeMapSync<String, Arc<Account>>,
    roles: RedBlackTreeMapSync<String, Arc<Role>>,
}

impl Default for AuthState {
    fn default() -> Self {
        Self {
            enabled: false,
            revision: FIRST_REVISION,
            accounts: RedBlackTreeMapSync::new_sync(),
            roles: RedBlackTreeMapSync::new_sync(),
        }
    }
}

impl AuthState {
    /// Whether calls must come from a user.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// The revision of users, roles and permissions; 1 before any change.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// A user by name, with the hash of its password.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.accounts.get(name).map(|account| &account.user)
    }

    /// All users, by rising name.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.accounts.values().map(|account| &account.user)
    }

    /// A role by name.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.get(name).map(|role| role.as_ref())
    }

    /// All roles, by rising name.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values().map(|role| role.as_ref())
    }

    pub(super) fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name).map(|account| account.as_ref())
    }

    /// Adds or replaces a user.
    pub(crate) fn set_user(&mut self, name: &str, user: User) {
        self.accounts.insert_mut(name.to_owned(), Account::new(user));
    }

    pub(crate) fn remove_user(&mut self, name: &str) {
        self.accounts.remove_mut(name);
    }

    /// Adds or replaces a role.
    pub(crate) fn set_role(&mut self, name: &str, role: Role) {
        self.roles.insert_mut(name.to_owned(), Arc::new(role));
        self.forget_grants(name);
    }

    pub(crate) fn remove_role(&mut self, name: &str) {
        self.roles.remove_mut(name);
        self.forget_grants(name);
    }

    /// The users that have a role, by rising name.
    pub(crate) fn users_with(&self, role: &str) -> Vec<User> {
        let with = self.accounts.values().filter(|account| account.has_role(role));
        with.map(|account| account.user.clone()).collect()
    }

    fn forget_grants(&mut self, role: &str) {
        for user in self.users_with(role) {
            let name = String::from_utf8_lossy(&user.name).into_owned();
            self.set_user(&name, user);
        }
    }
}

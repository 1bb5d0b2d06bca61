//! Users, roles, permissions and the switch: etcd's rules, from the commands of the log.
//!
//! Invariants: each change raises the auth revision by one, and what changes nothing does not; the
//! root user and role cannot be taken away while authentication is on. Passwords come hashed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use prost::Message as _;
use proto::authpb::{Permission, Role, User, UserAddOptions};
use proto::etcdserverpb as pb;
use proto::log::{CommandHeader, command};
use proto::status::EtcdError;

use super::{Applying, Refusal};
use crate::auth::{Asker, Call, ROOT, permit};
use crate::engine::Space;
use crate::layout::{role_name, user_name};
use crate::outcome::{AuthEffect, Response};

type Changed = Result<AuthEffect, EtcdError>;

impl Applying {
    /// Holds a command against the state once more: users may have changed since it was proposed.
    ///
    /// Compat: as etcd, what was checked for a role alone (compaction, alarms, a new lease) is not
    /// checked again. A fenced command is the leader's own.
    pub(super) fn permit(
        &self,
        header: Option<&CommandHeader>,
        request: &command::Request,
    ) -> Result<(), EtcdError> {
        use command::Request;
        match request {
            Request::Compaction(_)
            | Request::LeaseGrant(_)
            | Request::LeaseCheckpoint(_)
            | Request::Alarm(_)
            | Request::MemberAttributes(_)
            | Request::Downgrade(_)
            | Request::StateMachineVersion(_) => return Ok(()),
            _ => {}
        }
        let asker = header.map_or(Asker::default(), |header| Asker {
            username: &header.username,
            auth_revision: header.auth_revision,
        });
        if header.is_some_and(|header| header.fence_term != 0) {
            return Ok(());
        }
        permit(&self.root.auth, &self.root.leases, asker, &Call::of(request))
    }

    pub(super) fn auth_change(&mut self, request: &command::Request) -> Result<Response, Refusal> {
        use command::Request;
        let effect = match request {
            Request::AuthEnable(_) => self.auth_enable(),
            Request::AuthDisable(_) => Ok(self.auth_disable()),
            Request::Authenticate(request) => self.authenticate(request),
            Request::AuthUserAdd(request) => self.user_add(request),
            Request::AuthUserDelete(request) => self.user_delete(request),
            Request::AuthUserChangePassword(request) => self.user_change_password(request),
            Request::AuthUserGrantRole(request) => self.user_grant_role(request),
            Request::AuthUserRevokeRole(request) => self.user_revoke_role(request),
            Request::AuthRoleAdd(request) => self.role_add(request),
            Request::AuthRoleDelete(request) => self.role_delete(request),
            Request::AuthRoleGrantPermission(request) => self.role_grant_permission(request),
            Request::AuthRoleRevokePermission(request) => self.role_revoke_permission(request),
            _ => unreachable!("callers hand over commands of authentication only"),
        };
        Ok(Response::Auth(effect?))
    }

    /// Compat: switching on what is on changes nothing, and switching on is no new revision.
    fn auth_enable(&mut self) -> Changed {
        if self.root.auth.enabled {
            return Ok(AuthEffect::Other);
        }
        let root = self.root.auth.user(ROOT).ok_or(EtcdError::RootUserNotExist)?;
        if !root.roles.iter().any(|role| role == ROOT) {
            return Err(EtcdError::RootRoleNotExist);
        }
        self.root.auth.enabled = true;
        Ok(AuthEffect::Other)
    }

    fn auth_disable(&mut self) -> AuthEffect {
        if self.root.auth.enabled {
            self.root.auth.enabled = false;
            self.root.auth.revision += 1;
        }
        AuthEffect::Disabled
    }

    /// A token is not part of the state: every member hears of it when it applies this.
    fn authenticate(&self, request: &pb::InternalAuthenticateRequest) -> Changed {
        if !self.root.auth.enabled {
            return Err(EtcdError::AuthNotEnabled);
        }
        let user = self.root.auth.user(&request.name).ok_or(EtcdError::AuthFailed)?;
        if has_no_password(user) {
            return Err(EtcdError::AuthFailed);
        }
        let token = format!("{}.{}", request.simple_token, self.log_id.index);
        Ok(AuthEffect::Token { username: request.name.clone(), token })
    }

    fn user_add(&mut self, request: &pb::AuthUserAddRequest) -> Changed {
        if request.name.is_empty() {
            return Err(EtcdError::UserEmpty);
        }
        if self.root.auth.user(&request.name).is_some() {
            return Err(EtcdError::UserAlreadyExists);
        }
        let options = request.options.unwrap_or(UserAddOptions { no_password: false });
        let password = match options.no_password {
            true => Bytes::new(),
            false => hash(&request.hashed_password)?,
        };
        let name = Bytes::copy_from_slice(request.name.as_bytes());
        self.put_user(User { name, password, roles: Vec::new(), options: Some(options) });
        Ok(self.auth_changed(AuthEffect::Other))
    }

    fn user_delete(&mut self, request: &pb::AuthUserDeleteRequest) -> Changed {
        if self.root.auth.enabled && request.name == ROOT {
            return Err(EtcdError::InvalidAuthMgmt);
        }
        if self.root.auth.user(&request.name).is_none() {
            return Err(EtcdError::UserNotFound);
        }
        self.root.auth.remove_user(&request.name);
        self.delete_row(Space::Auth, &user_name(request.name.as_bytes()));
        Ok(self.auth_changed(AuthEffect::UserEnded(request.name.clone())))
    }

    fn user_change_password(&mut self, request: &pb::AuthUserChangePasswordRequest) -> Changed {
        let user = self.root.auth.user(&request.name).ok_or(EtcdError::UserNotFound)?;
        let password = match has_no_password(user) {
            true => Bytes::new(),
            false => hash(&request.hashed_password)?,
        };
        let user = User { password, ..user.clone() };
        self.put_user(user);
        Ok(self.auth_changed(AuthEffect::UserEnded(request.name.clone())))
    }

    /// Compat: the role root may be granted before it exists; one that is granted already changes
    /// nothing.
    fn user_grant_role(&mut self, request: &pb::AuthUserGrantRoleRequest) -> Changed {
        let user = self.root.auth.user(&request.user).ok_or(EtcdError::UserNotFound)?;
        if request.role != ROOT && self.root.auth.role(&request.role).is_none() {
            return Err(EtcdError::RoleNotFound);
        }
        let Err(at) = user.roles.binary_search(&request.role) else {
            return Ok(AuthEffect::Other);
        };
        let mut user = user.clone();
        user.roles.insert(at, request.role.clone());
        self.put_user(user);
        Ok(self.auth_changed(AuthEffect::Other))
    }

    fn user_revoke_role(&mut self, request: &pb::AuthUserRevokeRoleRequest) -> Changed {
        if self.root.auth.enabled && request.name == ROOT && request.role == ROOT {
            return Err(EtcdError::InvalidAuthMgmt);
        }
        let user = self.root.auth.user(&request.name).ok_or(EtcdError::UserNotFound)?;
        if !user.roles.contains(&request.role) {
            return Err(EtcdError::RoleNotGranted);
        }
        let user = without_role(user.clone(), &request.role);
        self.put_user(user);
        Ok(self.auth_changed(AuthEffect::Other))
    }

    fn role_add(&mut self, request: &pb::AuthRoleAddRequest) -> Changed {
        if request.name.is_empty() {
            return Err(EtcdError::RoleEmpty);
        }
        if self.root.auth.role(&request.name).is_some() {
            return Err(EtcdError::RoleAlreadyExists);
        }
        let name = Bytes::copy_from_slice(request.name.as_bytes());
        self.put_role(&request.name, Role { name, key_permission: Vec::new() });
        Ok(self.auth_changed(AuthEffect::Other))
    }

    fn role_delete(&mut self, request: &pb::AuthRoleDeleteRequest) -> Changed {
        if self.root.auth.enabled && request.role == ROOT {
            return Err(EtcdError::InvalidAuthMgmt);
        }
        if self.root.auth.role(&request.role).is_none() {
            return Err(EtcdError::RoleNotFound);
        }
        self.root.auth.remove_role(&request.role);
        self.delete_row(Space::Auth, &role_name(request.role.as_bytes()));
        for user in self.root.auth.users_with(&request.role) {
            self.put_user(without_role(user, &request.role));
        }
        Ok(self.auth_changed(AuthEffect::Other))
    }

    /// Compat: of several permissions for a key, only the first is replaced by one with its range;
    /// another one is added once more.
    fn role_grant_permission(&mut self, request: &pb::AuthRoleGrantPermissionRequest) -> Changed {
        let new = request.perm.as_ref().ok_or(EtcdError::PermissionNotGiven)?;
        if !is_valid_range(new) {
            return Err(EtcdError::InvalidAuthMgmt);
        }
        let role = self.root.auth.role(&request.name).ok_or(EtcdError::RoleNotFound)?;
        let mut role = role.clone();
        let all = &mut role.key_permission;
        let first = all.partition_point(|own| own.key < new.key);
        match all.get_mut(first) {
            Some(own) if (&own.key, &own.range_end) == (&new.key, &new.range_end) => {
                own.perm_type = new.perm_type;
            }
            _ => {
                all.insert(first + all[first..].partition_point(|own| own.key == new.key), own(new))
            }
        }
        self.put_role(&request.name, role);
        Ok(self.auth_changed(AuthEffect::Other))
    }

    fn role_revoke_permission(&mut self, request: &pb::AuthRoleRevokePermissionRequest) -> Changed {
        let role = self.root.auth.role(&request.role).ok_or(EtcdError::RoleNotFound)?;
        let mut role = role.clone();
        let before = role.key_permission.len();
        role.key_permission
            .retain(|own| (&own.key, &own.range_end) != (&request.key, &request.range_end));
        if role.key_permission.len() == before {
            return Err(EtcdError::PermissionNotGranted);
        }
        self.put_role(&request.role, role);
        Ok(self.auth_changed(AuthEffect::Other))
    }

    fn auth_changed(&mut self, effect: AuthEffect) -> AuthEffect {
        self.root.auth.revision += 1;
        effect
    }

    fn put_user(&mut self, user: User) {
        let name = String::from_utf8_lossy(&user.name).into_owned();
        self.write_row(Space::Auth, &user_name(name.as_bytes()), user.encode_to_vec().into());
        self.root.auth.set_user(&name, user);
    }

    fn put_role(&mut self, name: &str, role: Role) {
        self.write_row(Space::Auth, &role_name(name.as_bytes()), role.encode_to_vec().into());
        self.root.auth.set_role(name, role);
    }
}

fn has_no_password(user: &User) -> bool {
    user.options.is_some_and(|options| options.no_password)
}

fn without_role(mut user: User, role: &str) -> User {
    user.roles.retain(|own| own != role);
    user
}

/// A copy of its own: a slice of the request would keep the whole request alive.
fn own(permission: &Permission) -> Permission {
    Permission {
        perm_type: permission.perm_type,
        key: Bytes::copy_from_slice(&permission.key),
        range_end: Bytes::copy_from_slice(&permission.range_end),
    }
}

/// The hash that the door put into the command. Compat: the text is base64, as in etcd's log.
fn hash(text: &str) -> Result<Bytes, EtcdError> {
    STANDARD.decode(text).map(Bytes::from).map_err(|_| EtcdError::InvalidAuthMgmt)
}

fn is_valid_range(permission: &Permission) -> bool {
    let Permission { key, range_end, .. } = permission;
    !key.is_empty() && (range_end.is_empty() || key < range_end || range_end.as_ref() == b"\0")
}

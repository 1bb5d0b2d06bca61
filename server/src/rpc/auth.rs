//! etcd's Auth service: users, roles, permissions, the switch, and tokens for passwords.
//!
//! Invariants: what changes something goes through the log and what reads is linearizable, as with
//! etcd; passwords leave this door as hashes only.

use std::sync::Arc;

use proto::etcdserverpb as pb;
use proto::log::command::Request as Command;
use proto::status::EtcdError;
use services::etcdserverpb::auth_server::Auth;
use store::auth::{AuthState, Call, ROOT};
use tonic::{Request, Response as Answer, Status};

use crate::auth::Caller;
use crate::errors::ServeError;
use crate::member::Member;

/// The Auth service of one member.
pub(crate) struct AuthDoor(pub(crate) Arc<Member>);

impl AuthDoor {
    async fn change(&self, caller: &Caller, command: Command) -> Result<Header, Status> {
        self.0.propose(caller, command).await?;
        Ok(Some(self.0.header()))
    }

    /// Users and roles as they are now, for who may see what the call names.
    async fn read(&self, caller: &Caller, call: Call<'_>) -> Result<AuthState, Status> {
        self.0.read_index().await.map_err(ServeError::from)?;
        self.0.authorize(caller, call).await?;
        Ok(self.0.reader().auth())
    }
}

type Header = Option<pb::ResponseHeader>;

/// The RPCs that are one command and answer with a header alone.
macro_rules! auth_service {
    ($($method:ident, $request:ident, $response:ident, $command:ident;)+ => $($rest:tt)+) => {
        #[tonic::async_trait]
        impl Auth for AuthDoor {
            $(async fn $method(
                &self,
                request: Request<pb::$request>,
            ) -> Result<Answer<pb::$response>, Status> {
                let (caller, request) = (Caller::of(&request), request.into_inner());
                let header = self.change(&caller, Command::$command(request)).await?;
                Ok(Answer::new(pb::$response { header }))
            })+

            $($rest)+
        }
    };
}

auth_service! {
    auth_enable, AuthEnableRequest, AuthEnableResponse, AuthEnable;
    auth_disable, AuthDisableRequest, AuthDisableResponse, AuthDisable;
    user_delete, AuthUserDeleteRequest, AuthUserDeleteResponse, AuthUserDelete;
    user_grant_role, AuthUserGrantRoleRequest, AuthUserGrantRoleResponse, AuthUserGrantRole;
    user_revoke_role, AuthUserRevokeRoleRequest, AuthUserRevokeRoleResponse, AuthUserRevokeRole;
    role_add, AuthRoleAddRequest, AuthRoleAddResponse, AuthRoleAdd;
    role_delete, AuthRoleDeleteRequest, AuthRoleDeleteResponse, AuthRoleDelete;
    role_grant_permission, AuthRoleGrantPermissionRequest, AuthRoleGrantPermissionResponse,
        AuthRoleGrantPermission;
    role_revoke_permission, AuthRoleRevokePermissionRequest, AuthRoleRevokePermissionResponse,
        AuthRoleRevokePermission;
    =>
    async fn user_add(
        &self,
        request: Request<pb::AuthUserAddRequest>,
    ) -> Result<Answer<pb::AuthUserAddResponse>, Status> {
        let (caller, mut request) = (Caller::of(&request), request.into_inner());
        // Order: hashing is work that only root may ask for.
        self.0.authorize_proposal(&caller, Call::Administration).await?;
        self.0.hash_new_user(&mut request).await?;
        let header = self.change(&caller, Command::AuthUserAdd(request)).await?;
        Ok(Answer::new(pb::AuthUserAddResponse { header }))
    }

    async fn user_change_password(
        &self,
        request: Request<pb::AuthUserChangePasswordRequest>,
    ) -> Result<Answer<pb::AuthUserChangePasswordResponse>, Status> {
        let (caller, mut request) = (Caller::of(&request), request.into_inner());
        self.0.authorize_proposal(&caller, Call::Administration).await?;
        self.0.hash_new_password(&mut request).await?;
        let header = self.change(&caller, Command::AuthUserChangePassword(request)).await?;
        Ok(Answer::new(pb::AuthUserChangePasswordResponse { header }))
    }

    async fn auth_status(
        &self,
        request: Request<pb::AuthStatusRequest>,
    ) -> Result<Answer<pb::AuthStatusResponse>, Status> {
        let state = self.read(&Caller::of(&request), Call::AuthStatus).await?;
        Ok(Answer::new(pb::AuthStatusResponse {
            header: Some(self.0.header()),
            enabled: state.enabled(),
            auth_revision: state.revision(),
        }))
    }

    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Result<Answer<pb::AuthenticateResponse>, Status> {
        let pb::AuthenticateRequest { name, password } = request.into_inner();
        let token = self.0.authenticate(name, password).await?;
        Ok(Answer::new(pb::AuthenticateResponse { header: Some(self.0.header()), token }))
    }

    async fn user_get(
        &self,
        request: Request<pb::AuthUserGetRequest>,
    ) -> Result<Answer<pb::AuthUserGetResponse>, Status> {
        let (caller, request) = (Caller::of(&request), request.into_inner());
        let state = self.read(&caller, Call::UserGet(&request.name)).await?;
        let user = state.user(&request.name).ok_or(ServeError::Etcd(EtcdError::UserNotFound))?;
        let roles = user.roles.clone();
        Ok(Answer::new(pb::AuthUserGetResponse { header: Some(self.0.header()), roles }))
    }

    async fn user_list(
        &self,
        request: Request<pb::AuthUserListRequest>,
    ) -> Result<Answer<pb::AuthUserListResponse>, Status> {
        let state = self.read(&Caller::of(&request), Call::Administration).await?;
        let users = state.users().map(|user| lossless(&user.name)).collect();
        Ok(Answer::new(pb::AuthUserListResponse { header: Some(self.0.header()), users }))
    }

    async fn role_get(
        &self,
        request: Request<pb::AuthRoleGetRequest>,
    ) -> Result<Answer<pb::AuthRoleGetResponse>, Status> {
        let (caller, request) = (Caller::of(&request), request.into_inner());
        let state = self.read(&caller, Call::RoleGet(&request.role)).await?;
        let role = state.role(&request.role).ok_or(ServeError::Etcd(EtcdError::RoleNotFound))?;
        // Compat: what was granted to the root role does not count: it may do everything.
        let perm = match request.role == ROOT {
            true => vec![everything()],
            false => role.key_permission.clone(),
        };
        Ok(Answer::new(pb::AuthRoleGetResponse { header: Some(self.0.header()), perm }))
    }

    async fn role_list(
        &self,
        request: Request<pb::AuthRoleListRequest>,
    ) -> Result<Answer<pb::AuthRoleListResponse>, Status> {
        let state = self.read(&Caller::of(&request), Call::Administration).await?;
        let roles = state.roles().map(|role| lossless(&role.name)).collect();
        Ok(Answer::new(pb::AuthRoleListResponse { header: Some(self.0.header()), roles }))
    }
}

fn everything() -> proto::authpb::Permission {
    proto::authpb::Permission {
        perm_type: proto::authpb::permission::Type::Readwrite as i32,
        key: bytes::Bytes::new(),
        range_end: bytes::Bytes::from_static(b"\0"),
    }
}

/// Names came as text.
fn lossless(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

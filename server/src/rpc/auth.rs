//! etcd's Auth service. Authentication is not there yet: its state is told honestly, everything
//! else is refused.

use std::sync::Arc;

use proto::etcdserverpb as pb;
use proto::status::EtcdError;
use services::etcdserverpb::auth_server::Auth;
use tonic::{Request, Response as Answer, Status};

use super::not_yet;
use crate::errors::status;
use crate::member::Member;

/// The Auth service of one member.
pub(crate) struct AuthDoor(pub(crate) Arc<Member>);

/// A fresh etcd is at revision 1 of its auth store.
const AUTH_REVISION: u64 = 1;

macro_rules! refused {
    ($($method:ident, $name:literal, $request:ident, $response:ident;)+) => {
        #[tonic::async_trait]
        impl Auth for AuthDoor {
            async fn auth_status(
                &self,
                _: Request<pb::AuthStatusRequest>,
            ) -> Result<Answer<pb::AuthStatusResponse>, Status> {
                Ok(Answer::new(pb::AuthStatusResponse {
                    header: Some(self.0.header()),
                    enabled: false,
                    auth_revision: AUTH_REVISION,
                }))
            }

            async fn authenticate(
                &self,
                _: Request<pb::AuthenticateRequest>,
            ) -> Result<Answer<pb::AuthenticateResponse>, Status> {
                Err(status(EtcdError::AuthNotEnabled))
            }

            $(async fn $method(
                &self,
                _: Request<pb::$request>,
            ) -> Result<Answer<pb::$response>, Status> {
                not_yet($name)
            })+
        }
    };
}

refused! {
    auth_enable, "AuthEnable", AuthEnableRequest, AuthEnableResponse;
    auth_disable, "AuthDisable", AuthDisableRequest, AuthDisableResponse;
    user_add, "UserAdd", AuthUserAddRequest, AuthUserAddResponse;
    user_get, "UserGet", AuthUserGetRequest, AuthUserGetResponse;
    user_list, "UserList", AuthUserListRequest, AuthUserListResponse;
    user_delete, "UserDelete", AuthUserDeleteRequest, AuthUserDeleteResponse;
    user_change_password, "UserChangePassword", AuthUserChangePasswordRequest,
        AuthUserChangePasswordResponse;
    user_grant_role, "UserGrantRole", AuthUserGrantRoleRequest, AuthUserGrantRoleResponse;
    user_revoke_role, "UserRevokeRole", AuthUserRevokeRoleRequest, AuthUserRevokeRoleResponse;
    role_add, "RoleAdd", AuthRoleAddRequest, AuthRoleAddResponse;
    role_get, "RoleGet", AuthRoleGetRequest, AuthRoleGetResponse;
    role_list, "RoleList", AuthRoleListRequest, AuthRoleListResponse;
    role_delete, "RoleDelete", AuthRoleDeleteRequest, AuthRoleDeleteResponse;
    role_grant_permission, "RoleGrantPermission", AuthRoleGrantPermissionRequest,
        AuthRoleGrantPermissionResponse;
    role_revoke_permission, "RoleRevokePermission", AuthRoleRevokePermissionRequest,
        AuthRoleRevokePermissionResponse;
}

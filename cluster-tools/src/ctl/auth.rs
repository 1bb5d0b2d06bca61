//! `auth`, `user` and `role`.
//!
//! Invariant: a password is asked for or read from standard input unless it was given in the
//! argument, as etcdctl allows; it is in no answer and no error.

use clap::{Args, Subcommand, ValueEnum};
use proto::authpb::permission::Type;
use proto::authpb::{Permission, UserAddOptions};
use proto::etcdserverpb as pb;
use services::etcdserverpb::auth_client::AuthClient;

use super::global::Global;
use super::prompt;
use super::range::{ends, prefix_end};
use super::show::{self, Answer, Output, Table, text};
use crate::ToolError;
use crate::wire::Wire;

/// The verbs of `auth`.
#[derive(Debug, Subcommand)]
pub(crate) enum Auth {
    /// Switch authentication on; the user root must exist. The role root is made and granted.
    Enable,
    /// Switch authentication off.
    Disable,
    /// Say whether it is on.
    Status,
}

/// The verbs of `user`.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Add a user; the password is asked for.
    Add(UserAdd),
    /// Delete a user.
    Delete(UserName),
    /// Show a user's roles.
    Get(UserGet),
    /// List the users.
    List,
    /// Set a user's password; it is asked for.
    Passwd(Passwd),
    /// Grant a role to a user.
    GrantRole(UserRole),
    /// Revoke a role from a user.
    RevokeRole(UserRole),
}

/// The verbs of `role`.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Add a role.
    Add(RoleName),
    /// Delete a role.
    Delete(RoleName),
    /// Show a role's permissions.
    Get(RoleName),
    /// List the roles.
    List,
    /// Grant keys to a role.
    GrantPermission(Grant),
    /// Revoke keys from a role; the range must be the one that was granted.
    RevokePermission(Revoke),
}

/// A user by name.
#[derive(Debug, Args)]
pub(crate) struct UserName {
    /// The user's name.
    user: String,
}

/// How a new password is come by.
#[derive(Debug, Args)]
struct Asked {
    /// `false` reads the password from standard input without asking.
    #[arg(
        long,
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true"
    )]
    interactive: bool,
}

impl Asked {
    fn password(&self, user: &str) -> Result<String, ToolError> {
        if self.interactive { prompt::new_password(user) } else { prompt::first_line() }
    }
}

/// Options of `user add`.
#[derive(Debug, Args)]
pub(crate) struct UserAdd {
    /// The user's name; `name:password` is understood, but others can see it.
    user: String,
    #[command(flatten)]
    asked: Asked,
    /// The password; others can see it.
    #[arg(long, hide = true, conflicts_with = "no_password")]
    new_user_password: Option<String>,
    /// A user without a password, who comes with a client certificate of that common name.
    #[arg(long)]
    no_password: bool,
}

/// Options of `user get`.
#[derive(Debug, Args)]
pub(crate) struct UserGet {
    /// The user's name.
    user: String,
    /// Show the permissions of the roles too.
    #[arg(long)]
    detail: bool,
}

/// Options of `user passwd`.
#[derive(Debug, Args)]
pub(crate) struct Passwd {
    /// The user's name.
    user: String,
    #[command(flatten)]
    asked: Asked,
}

/// A user and a role.
#[derive(Debug, Args)]
pub(crate) struct UserRole {
    /// The user's name.
    user: String,
    /// The role's name.
    role: String,
}

/// A role by name.
#[derive(Debug, Args)]
pub(crate) struct RoleName {
    /// The role's name.
    role: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Read,
    Write,
    Readwrite,
}

/// Options of `role grant-permission`.
#[derive(Debug, Args)]
pub(crate) struct Grant {
    /// The role's name.
    role: String,
    /// What may be done.
    #[arg(ignore_case = true)]
    permission: Kind,
    #[command(flatten)]
    keys: Keys,
}

/// Options of `role revoke-permission`.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The role's name.
    role: String,
    #[command(flatten)]
    keys: Keys,
}

/// The keys of a permission.
#[derive(Debug, Args)]
struct Keys {
    /// The key, or the first key of the range.
    key: String,
    /// The first key beyond the range.
    #[arg(conflicts_with_all = ["prefix", "from_key"])]
    end_key: Option<String>,
    /// Every key that starts with KEY.
    #[arg(long, conflicts_with = "from_key")]
    prefix: bool,
    /// Every key at or after KEY.
    #[arg(long)]
    from_key: bool,
}

impl Keys {
    fn ends(&self) -> Result<(Vec<u8>, Vec<u8>), ToolError> {
        let (key, end) = ends(&self.key, self.end_key.as_deref(), self.prefix, self.from_key)?;
        // Compat: a permission on the empty key is one on the smallest key.
        Ok((if key.is_empty() { vec![0] } else { key }, end))
    }
}

async fn client(global: &Global) -> Result<AuthClient<Wire>, ToolError> {
    Ok(AuthClient::new(global.channel().await?))
}

pub(crate) async fn auth(global: &Global, verb: Auth) -> Result<(), ToolError> {
    let mut client = client(global).await?;
    let output = &global.output;
    match verb {
        Auth::Enable => {
            let answer = enable(&mut client).await?;
            output.say(&answer, || "Authentication Enabled".to_owned())
        }
        Auth::Disable => {
            let answer = client.auth_disable(pb::AuthDisableRequest {}).await?.into_inner();
            output.say(&answer, || "Authentication Disabled".to_owned())
        }
        Auth::Status => {
            let answer = client.auth_status(pb::AuthStatusRequest {}).await?.into_inner();
            output.say(&answer, || {
                let revision = answer.auth_revision;
                format!("Authentication Status: {}\nAuthRevision: {revision}", answer.enabled)
            })
        }
    }
}

/// Compat: etcdctl makes the role root and grants it when that is all that is missing.
async fn enable(client: &mut AuthClient<Wire>) -> Result<pb::AuthEnableResponse, ToolError> {
    match client.auth_enable(pb::AuthEnableRequest {}).await {
        Ok(answer) => return Ok(answer.into_inner()),
        Err(status) if status.message().contains("root user does not have root role") => {}
        Err(status) => return Err(status.into()),
    }
    let root = || "root".to_owned();
    match client.role_add(pb::AuthRoleAddRequest { name: root() }).await {
        Ok(_) => {}
        Err(status) if status.message().contains("role name already exists") => {}
        Err(status) => return Err(status.into()),
    }
    client.user_grant_role(pb::AuthUserGrantRoleRequest { user: root(), role: root() }).await?;
    Ok(client.auth_enable(pb::AuthEnableRequest {}).await?.into_inner())
}

pub(crate) async fn user(global: &Global, verb: User) -> Result<(), ToolError> {
    let output = &global.output;
    match verb {
        User::Add(add) => {
            let request = add.request()?;
            let name = request.name.clone();
            let answer = client(global).await?.user_add(request).await?.into_inner();
            output.say(&answer, || format!("User {name} created"))
        }
        User::Delete(UserName { user }) => {
            let request = pb::AuthUserDeleteRequest { name: user.clone() };
            let answer = client(global).await?.user_delete(request).await?.into_inner();
            output.say(&answer, || format!("User {user} deleted"))
        }
        User::Get(get) => user_get(global, get).await,
        User::List => {
            let answer = client(global).await?.user_list(pb::AuthUserListRequest {}).await?;
            let answer = answer.into_inner();
            names(output, &answer, "users", "USER", &answer.users)
        }
        User::Passwd(Passwd { user, asked }) => {
            let password = asked.password(&user)?;
            let request = pb::AuthUserChangePasswordRequest {
                name: user,
                password,
                ..pb::AuthUserChangePasswordRequest::default()
            };
            let answer = client(global).await?.user_change_password(request).await?;
            output.say(&answer.into_inner(), || "Password updated".to_owned())
        }
        User::GrantRole(UserRole { user, role }) => {
            let request = pb::AuthUserGrantRoleRequest { user: user.clone(), role: role.clone() };
            let answer = client(global).await?.user_grant_role(request).await?.into_inner();
            output.say(&answer, || format!("Role {role} is granted to user {user}"))
        }
        User::RevokeRole(UserRole { user, role }) => {
            let request = pb::AuthUserRevokeRoleRequest { name: user.clone(), role: role.clone() };
            let answer = client(global).await?.user_revoke_role(request).await?.into_inner();
            output.say(&answer, || format!("Role {role} is revoked from user {user}"))
        }
    }
}

impl UserAdd {
    fn request(self) -> Result<pb::AuthUserAddRequest, ToolError> {
        let (name, password) = match (self.no_password, self.new_user_password) {
            (true, _) => (self.user, String::new()),
            (false, Some(password)) if !password.is_empty() => (self.user, password),
            _ => match self.user.split_once(':') {
                Some(("", _)) => {
                    return Err(ToolError::Usage("empty user name is not allowed".to_owned()));
                }
                Some((name, password)) => (name.to_owned(), password.to_owned()),
                None => {
                    let password = self.asked.password(&self.user)?;
                    (self.user, password)
                }
            },
        };
        let options = Some(UserAddOptions { no_password: self.no_password });
        Ok(pb::AuthUserAddRequest { name, password, options, hashed_password: String::new() })
    }
}

async fn user_get(global: &Global, get: UserGet) -> Result<(), ToolError> {
    let output = &global.output;
    let mut client = client(global).await?;
    let request = pb::AuthUserGetRequest { name: get.user.clone() };
    let answer = client.user_get(request).await?.into_inner();
    if get.detail {
        show::line(format!("User: {}", get.user))?;
        for role in &answer.roles {
            let request = pb::AuthRoleGetRequest { role: role.clone() };
            let more = client.role_get(request).await?.into_inner();
            show::write(format!("\n{}", permissions_text(role, &more.perm)).as_bytes())?;
        }
        return Ok(());
    }
    output.show(
        &answer,
        || {
            let roles: String = answer.roles.iter().map(|role| format!(" {role}")).collect();
            format!("User: {}\nRoles:{roles}\n", get.user).into()
        },
        || {
            let roles = answer.roles.join(", ");
            format!("user   {}\nroles  {}\n", get.user, show::table::or_dash(&roles))
        },
    )
}

fn names(
    output: &Output,
    answer: impl Answer,
    field: &'static str,
    column: &'static str,
    names: &[String],
) -> Result<(), ToolError> {
    output.show(
        answer,
        || names.iter().map(|name| format!("{name}\n")).collect::<String>().into(),
        || {
            let mut table = Table::new(&[column]);
            names.iter().for_each(|name| table.row(vec![name.clone()]));
            table.text(&format!("no {field}"))
        },
    )
}

pub(crate) async fn role(global: &Global, verb: Role) -> Result<(), ToolError> {
    let mut client = client(global).await?;
    let output = &global.output;
    match verb {
        Role::Add(RoleName { role }) => {
            let request = pb::AuthRoleAddRequest { name: role.clone() };
            let answer = client.role_add(request).await?.into_inner();
            output.say(&answer, || format!("Role {role} created"))
        }
        Role::Delete(RoleName { role }) => {
            let request = pb::AuthRoleDeleteRequest { role: role.clone() };
            let answer = client.role_delete(request).await?.into_inner();
            output.say(&answer, || format!("Role {role} deleted"))
        }
        Role::Get(RoleName { role }) => {
            let request = pb::AuthRoleGetRequest { role: role.clone() };
            let answer = client.role_get(request).await?.into_inner();
            output.show(
                &answer,
                || permissions_text(&role, &answer.perm).into(),
                || permissions_table(&role, &answer.perm),
            )
        }
        Role::List => {
            let answer = client.role_list(pb::AuthRoleListRequest {}).await?.into_inner();
            names(output, &answer, "roles", "ROLE", &answer.roles)
        }
        Role::GrantPermission(Grant { role, permission, keys }) => {
            let (key, range_end) = keys.ends()?;
            let perm_type = match permission {
                Kind::Read => Type::Read,
                Kind::Write => Type::Write,
                Kind::Readwrite => Type::Readwrite,
            } as i32;
            let perm = Permission { perm_type, key: key.into(), range_end: range_end.into() };
            let request =
                pb::AuthRoleGrantPermissionRequest { name: role.clone(), perm: Some(perm) };
            let answer = client.role_grant_permission(request).await?.into_inner();
            output.say(&answer, || format!("Role {role} updated"))
        }
        Role::RevokePermission(Revoke { role, keys }) => {
            let (key, end) = keys.ends()?;
            let request = pb::AuthRoleRevokePermissionRequest {
                role: role.clone(),
                key: key.clone().into(),
                range_end: end.clone().into(),
            };
            let answer = client.role_revoke_permission(request).await?.into_inner();
            output.say(&answer, || revoked_text(&role, &keys.key, &end))
        }
    }
}

fn revoked_text(role: &str, key: &str, end: &[u8]) -> String {
    let end_text = text::printable(end);
    match end {
        [] => format!("Permission of key {key} is revoked from role {role}"),
        [0] => format!("Permission of range [{key}, <open ended> is revoked from role {role}"),
        _ => format!("Permission of range [{key}, {end_text}) is revoked from role {role}"),
    }
}

fn grants(permission: &Permission, wanted: Type) -> bool {
    permission.perm_type == wanted as i32 || permission.perm_type == Type::Readwrite as i32
}

/// What etcdctl prints of a role.
fn permissions_text(role: &str, all: &[Permission]) -> String {
    let everything = role == "root" && all.is_empty();
    let mut lines = format!("Role {role}\n");
    for (title, wanted) in [("KV Read:\n", Type::Read), ("KV Write:\n", Type::Write)] {
        lines.push_str(title);
        if everything {
            lines.push_str("\t[, <open ended>\n");
        }
        for permission in all.iter().filter(|permission| grants(permission, wanted)) {
            lines.push_str(&format!(
                "\t{}\n",
                range_text(permission, |bytes| { String::from_utf8_lossy(bytes).into_owned() })
            ));
        }
    }
    lines
}

fn range_text(permission: &Permission, text: impl Fn(&[u8]) -> String) -> String {
    let (key, end) = (&permission.key, &permission.range_end);
    if end.is_empty() {
        return text(key);
    }
    let mut range = match &end[..] {
        [0] => format!("[{}, <open ended>", text(key)),
        end => format!("[{}, {})", text(key), text(end)),
    };
    if !key.is_empty() && prefix_end(key) == end[..] {
        range.push_str(&format!(" (prefix {})", text(key)));
    }
    range
}

fn permissions_table(role: &str, all: &[Permission]) -> String {
    if role == "root" && all.is_empty() {
        return "root may do everything\n".to_owned();
    }
    let mut table = Table::new(&["MAY", "KEYS"]);
    for permission in all {
        let may = match Type::try_from(permission.perm_type) {
            Ok(Type::Read) => "read",
            Ok(Type::Write) => "write",
            Ok(Type::Readwrite) => "read, write",
            Err(_) => "?",
        };
        table.row(vec![may.to_owned(), range_text(permission, text::printable)]);
    }
    table.text("no permissions")
}

#[cfg(test)]
mod tests {
    use super::{permissions_text, revoked_text};
    use proto::authpb::Permission;

    fn permission(perm_type: i32, key: &str, end: &str) -> Permission {
        let (key, range_end) = (key.to_owned().into(), end.to_owned().into());
        Permission { perm_type, key, range_end }
    }

    #[test]
    fn a_role_is_shown_as_etcdctl_shows_it() {
        let all =
            [permission(1, "\0", "\0"), permission(2, "foo", ""), permission(0, "foo", "fop")];
        let expected = "Role r1\nKV Read:\n\tfoo\n\t[foo, fop) (prefix foo)\nKV Write:\n\
                        \t[\0, <open ended>\n\tfoo\n";
        assert_eq!(permissions_text("r1", &all), expected);
        assert!(permissions_text("root", &[]).contains("[, <open ended>"));
    }

    #[test]
    fn a_revoked_range_is_named() {
        assert!(revoked_text("r", "a", b"b").contains("[a, b)"));
        assert!(revoked_text("r", "a", b"\0").contains("[a, <open ended>"));
    }
}

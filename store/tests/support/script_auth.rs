//! The words of golden scripts about users: requests, and how users and roles look.

use std::error::Error;
use std::fmt::Write as _;

use goldenscript::ArgumentConsumer;
use proto::authpb::permission::Type;
use proto::authpb::{Permission, UserAddOptions};
use proto::etcdserverpb as pb;
use proto::log::command::Request;
use store::Reader;

/// base64 of "hash": no hash, but none is compared here.
const HASH: &str = "aGFzaA==";

type Args<'a, 'b> = &'a mut ArgumentConsumer<'b>;

fn text(args: Args<'_, '_>, what: &str) -> Result<String, Box<dyn Error>> {
    Ok(args.next_pos().ok_or_else(|| format!("no {what}"))?.to_owned())
}

/// The request of a word about users; `None` for another word.
pub fn request(name: &str, args: Args<'_, '_>) -> Result<Option<Request>, Box<dyn Error>> {
    Ok(Some(match name {
        "auth-on" => Request::AuthEnable(pb::AuthEnableRequest {}),
        "auth-off" => Request::AuthDisable(pb::AuthDisableRequest {}),
        "token" => Request::Authenticate(pb::InternalAuthenticateRequest {
            name: text(args, "NAME")?,
            password: String::new(),
            simple_token: "letters".to_owned(),
        }),
        "user-add" => user_add(args)?,
        "user-delete" => {
            Request::AuthUserDelete(pb::AuthUserDeleteRequest { name: text(args, "NAME")? })
        }
        "user-password" => Request::AuthUserChangePassword(pb::AuthUserChangePasswordRequest {
            name: text(args, "NAME")?,
            hashed_password: args.next_pos().unwrap_or(HASH).to_owned(),
            ..Default::default()
        }),
        "user-grant" => {
            let (user, role) = (text(args, "NAME")?, text(args, "ROLE")?);
            Request::AuthUserGrantRole(pb::AuthUserGrantRoleRequest { user, role })
        }
        "user-revoke" => {
            let (name, role) = (text(args, "NAME")?, text(args, "ROLE")?);
            Request::AuthUserRevokeRole(pb::AuthUserRevokeRoleRequest { name, role })
        }
        "role-add" => Request::AuthRoleAdd(pb::AuthRoleAddRequest { name: text(args, "ROLE")? }),
        "role-delete" => {
            Request::AuthRoleDelete(pb::AuthRoleDeleteRequest { role: text(args, "ROLE")? })
        }
        "role-grant" => role_grant(args)?,
        "role-revoke" => {
            let (role, key) = (text(args, "ROLE")?, text(args, "KEY")?.into());
            let range_end = args.next_pos().unwrap_or_default().to_owned().into();
            let request = pb::AuthRoleRevokePermissionRequest { role, key, range_end };
            Request::AuthRoleRevokePermission(request)
        }
        _ => return Ok(None),
    }))
}

fn user_add(args: Args<'_, '_>) -> Result<Request, Box<dyn Error>> {
    let name = text(args, "NAME")?;
    let no_password = args.next_pos() == Some("nopassword");
    let hashed_password = if no_password { String::new() } else { HASH.to_owned() };
    let options = Some(UserAddOptions { no_password });
    let request =
        pb::AuthUserAddRequest { name, password: String::new(), options, hashed_password };
    Ok(Request::AuthUserAdd(request))
}

fn role_grant(args: Args<'_, '_>) -> Result<Request, Box<dyn Error>> {
    let name = text(args, "ROLE")?;
    let kind = match text(args, "KIND")?.as_str() {
        "read" => Type::Read,
        "write" => Type::Write,
        "readwrite" => Type::Readwrite,
        other => return Err(format!("no kind of permission: {other}").into()),
    };
    let key = text(args, "KEY")?.into();
    let range_end = args.next_pos().unwrap_or_default().to_owned().into();
    let perm = Some(Permission { perm_type: kind as i32, key, range_end });
    let request = pb::AuthRoleGrantPermissionRequest { name, perm };
    Ok(Request::AuthRoleGrantPermission(request))
}

/// Users and roles, one a line; nothing in a store that never had any.
pub fn users(reader: &Reader) -> String {
    let auth = reader.auth();
    let mut out = String::new();
    if auth.enabled() || auth.revision() > 1 {
        let switch = if auth.enabled() { "on" } else { "off" };
        writeln!(out, "auth {switch} at {}", auth.revision()).expect("to a string");
    }
    for user in auth.users() {
        let (name, hash) = (show(&user.name), show(&user.password));
        let line = format!("user {name} ({hash}): {}", user.roles.join(" "));
        writeln!(out, "{}", line.trim_end()).expect("to a string");
    }
    for role in auth.roles() {
        writeln!(out, "role {}:", show(&role.name)).expect("to a string");
        for one in &role.key_permission {
            let kind = one.perm_type().as_str_name().to_lowercase();
            let (key, range_end) = (show(&one.key), show(&one.range_end));
            let line = format!("  {kind} {key} {range_end}");
            writeln!(out, "{}", line.trim_end()).expect("to a string");
        }
    }
    out
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).escape_debug().to_string()
}

//! Users and roles, logins, tokens that became invalid, and authentication off again.
//!
//! Must not know: other users than its own.

use etcd_client::{Client, ConnectOptions, Error, GetOptions, Permission};

use crate::told::{PREFIX, Seen, Told, holds, refused, text};

/// The steps about users.
pub(crate) async fn tell(told: &mut Told, client: &Client, endpoint: &str) {
    told.step("users", users(client.clone())).await;
    told.step("auth_refusals", refusals(client.clone())).await;
    told.step("auth_enable", enable(client.clone())).await;
    told.step("login", login(endpoint)).await;
    told.step("login_refused", login_refused(client.clone(), endpoint)).await;
    told.step("permission_denied", denied(endpoint)).await;
    told.step("token_invalid", invalid(endpoint)).await;
    told.step("token_renewed", renewed(endpoint)).await;
    told.step("user_changed", changed(endpoint)).await;
    told.step("auth_disable", disable(client.clone(), endpoint)).await;
}

fn key() -> String {
    format!("{PREFIX}auth/k")
}

async fn client_of(endpoint: &str, name: &str, password: &str) -> Result<Client, Error> {
    Client::connect([endpoint], Some(ConnectOptions::new().with_user(name, password))).await
}

async fn users(mut client: Client) -> Seen {
    for role in ["root", "some"] {
        client.role_add(role).await?;
    }
    client.user_add("root", "secret", None).await?;
    client.user_grant_role("root", "root").await?;
    client.user_add("anna", "word", None).await?;
    client.user_grant_role("anna", "some").await?;
    let own = Permission::read_write(format!("{PREFIX}auth/")).with_prefix();
    client.role_grant_permission("some", own.clone()).await?;
    let seen = client.role_get("some").await?.permissions();
    Ok(format!(
        "{:?} {:?} {:?} {}",
        client.user_list().await?.users(),
        client.role_list().await?.roles(),
        client.user_get("anna").await?.roles(),
        seen == [own],
    ))
}

async fn refusals(mut client: Client) -> Seen {
    Ok([
        refused(client.user_add("anna", "word", None).await)?,
        refused(client.role_add("some").await)?,
        refused(client.user_get("nobody").await)?,
        refused(client.role_get("nobody").await)?,
        refused(client.user_grant_role("anna", "nobody").await)?,
        refused(client.user_revoke_role("anna", "root").await)?,
        refused(client.role_revoke_permission("some", "z", None).await)?,
        refused(client.auth_client().authenticate("anna".into(), "word".into()).await)?,
    ]
    .join(" | "))
}

async fn enable(mut client: Client) -> Seen {
    client.auth_enable().await?;
    let nobody = refused(client.get(key(), None).await)?;
    Ok(format!("{nobody} | {}", refused(client.auth_enable().await)?))
}

async fn login(endpoint: &str) -> Seen {
    let mut anna = client_of(endpoint, "anna", "word").await?;
    let mut stream = anna.watch(key(), None).await?;
    stream.message().await?;
    anna.put(key(), "1", None).await?;
    let answer = stream.message().await?.ok_or("the stream ended")?;
    let kv = answer.events().first().and_then(|event| event.kv()).ok_or("no event")?;
    Ok(text(kv.value()))
}

async fn login_refused(mut client: Client, endpoint: &str) -> Seen {
    Ok([
        refused(client_of(endpoint, "anna", "not it").await.map(|_| ()))?,
        refused(client_of(endpoint, "nobody", "word").await.map(|_| ()))?,
        refused(client.put(key(), "x", None).await)?,
    ]
    .join(" | "))
}

async fn denied(endpoint: &str) -> Seen {
    let mut anna = client_of(endpoint, "anna", "word").await?;
    let mut stream = anna.watch("zzz", None).await?;
    let told = stream.message().await?.ok_or("the stream ended")?;
    holds(told.created() && told.canceled(), "made and ended at once")?;
    Ok([
        refused(anna.put(format!("{PREFIX}other"), "x", None).await)?,
        refused(anna.get(PREFIX, Some(GetOptions::new().with_prefix())).await)?,
        refused(anna.user_list().await)?,
        told.cancel_reason().to_owned(),
    ]
    .join(" | "))
}

/// The change of a password ends the user's tokens; a client that does not renew by itself is told.
async fn invalid(endpoint: &str) -> Seen {
    let mut root = client_of(endpoint, "root", "secret").await?;
    let mut anna = client_of(endpoint, "anna", "word").await?;
    anna.put(key(), "before", None).await?;
    root.user_change_password("anna", "word").await?;
    let told = refused(anna.put(key(), "refused", None).await)?;
    anna.refresh_token().await?;
    anna.put(key(), "after", None).await?;
    Ok(format!("{told} | {}", text(anna.get(key(), None).await?.kvs()[0].value())))
}

async fn renewed(endpoint: &str) -> Seen {
    let mut root = client_of(endpoint, "root", "secret").await?;
    let renews = ConnectOptions::new().with_user("anna", "word").with_auto_token_refresh(true);
    let mut anna = Client::connect([endpoint], Some(renews)).await?;
    root.user_change_password("anna", "word").await?;
    anna.put(key(), "renewed", None).await?;
    let seen = text(anna.get(key(), None).await?.kvs()[0].value());
    root.user_change_password("anna", "other word").await?;
    Ok(format!("{seen} | {}", refused(anna.put(key(), "refused", None).await)?))
}

/// A client takes the login of another user, or none.
async fn changed(endpoint: &str) -> Seen {
    let mut own = client_of(endpoint, "anna", "other word").await?;
    let before = refused(own.user_list().await)?;
    own.update_user(Some(("root".into(), "secret".into()))).await?;
    let count = own.user_list().await?.users().len();
    let wrong = refused(own.update_user(Some(("root".into(), "not it".into()))).await)?;
    own.update_user(None).await?;
    Ok(format!("{before} | {count} | {wrong} | {}", refused(own.user_list().await)?))
}

async fn disable(mut client: Client, endpoint: &str) -> Seen {
    client_of(endpoint, "root", "secret").await?.auth_disable().await?;
    for user in ["anna", "root"] {
        client.user_delete(user).await?;
    }
    for role in ["some", "root"] {
        client.role_delete(role).await?;
    }
    let left = client.get(key(), None).await?.count();
    Ok(format!("{} {left}", client.user_list().await?.users().len()))
}

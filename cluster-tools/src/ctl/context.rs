//! Contexts: named sets of endpoints, TLS files and a user, in a file of the user's own.
//!
//! Invariants: the file is written whole or not at all, with mode 0600 in a folder of mode 0700;
//! no password is ever in it.
//!
//! Must not know: how a context is used.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::show::{self, Doc, Object, Output, Table, notice};
use crate::ToolError;
use crate::catalogue::Id;

/// The verbs of `context`.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// List the contexts; the current one has a star.
    List,
    /// Make a context the current one.
    Use(Name),
    /// Make or change a context.
    Set(Set),
    /// Delete a context.
    Delete(Name),
}

/// A context by its name.
#[derive(Debug, Args)]
pub(crate) struct Name {
    /// The context's name.
    name: String,
}

/// Options of `context set`; the global flags say what is kept.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The context's name.
    name: String,
    /// Make it the current one too.
    #[arg(long)]
    current: bool,
}

/// One context.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Context {
    pub(crate) endpoints: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cacert: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cert: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) insecure_skip_tls_verify: bool,
}

/// The file.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Contexts {
    current: Option<String>,
    contexts: BTreeMap<String, Context>,
}

/// Where the file is: `ENGRAM_CONTEXTS`, else in the user's config folder.
fn place() -> Result<PathBuf, ToolError> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("ENGRAM_CONTEXTS")
        .or_else(|| set("XDG_CONFIG_HOME").map(|folder| folder.join("engram/contexts.json")))
        .or_else(|| set("HOME").map(|folder| folder.join(".config/engram/contexts.json")))
        .ok_or_else(|| ToolError::of(Id::Context, "neither ENGRAM_CONTEXTS nor HOME is set"))
}

impl Contexts {
    /// A missing file is an empty one.
    fn load(path: &Path) -> Result<Self, ToolError> {
        let bad = |why: String| ToolError::of(Id::Context, format!("{}: {why}", path.display()));
        match fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| bad(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(bad(error.to_string())),
        }
    }

    fn save(&self, path: &Path) -> Result<(), ToolError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::other)?;
        // Written beside and moved over, so that a crash leaves the old file.
        let beside = path.with_extension(format!("json.{}", std::process::id()));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(format!("{text}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        Ok(())
    }

    fn named(&self, name: &str, path: &Path) -> Result<&Context, ToolError> {
        self.contexts.get(name).ok_or_else(|| {
            let known: Vec<_> = self.contexts.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "no context".to_owned() } else { known.join(", ") };
            let text = format!("no context {name:?} in {}, which has {known}", path.display());
            ToolError::of(Id::Context, text)
        })
    }
}

/// The context asked for, or the current one; none when there is none.
///
/// *Errors*: `Context` when the one asked for does not exist or the file cannot be read.
pub(crate) fn chosen(name: Option<&str>) -> Result<Option<Context>, ToolError> {
    let Ok(path) = place() else { return Ok(None) };
    let contexts = Contexts::load(&path)?;
    match name.or(contexts.current.as_deref()) {
        Some(name) => contexts.named(name, &path).cloned().map(Some),
        None => Ok(None),
    }
}

/// Runs a verb; `given` is what the global flags and variables say.
pub(crate) fn run(output: &Output, verb: Verb, given: Context) -> Result<(), ToolError> {
    let path = place()?;
    let mut contexts = Contexts::load(&path)?;
    match verb {
        Verb::List => list(output, &contexts, &path),
        Verb::Use(Name { name }) => {
            contexts.named(&name, &path)?;
            contexts.current = Some(name.clone());
            contexts.save(&path)?;
            output.say(|| named("current", &name), || format!("context {name} is used now"))
        }
        Verb::Set(Set { name, current }) => {
            if name.is_empty() {
                return Err(ToolError::Usage("a context needs a name".to_owned()));
            }
            let mut context = contexts.contexts.remove(&name).unwrap_or_default();
            context.change(given)?;
            contexts.contexts.insert(name.clone(), context);
            if current || contexts.contexts.len() == 1 {
                contexts.current = Some(name.clone());
            }
            contexts.save(&path)?;
            output
                .say(|| named("set", &name), || format!("context {name} set in {}", path.display()))
        }
        Verb::Delete(Name { name }) => {
            contexts.named(&name, &path)?;
            contexts.contexts.remove(&name);
            if contexts.current.as_deref() == Some(&name) {
                contexts.current = None;
                notice("it was the current one; none is now");
            }
            contexts.save(&path)?;
            output.say(|| named("deleted", &name), || format!("context {name} deleted"))
        }
    }
}

impl Context {
    fn change(&mut self, given: Context) -> Result<(), ToolError> {
        if !given.endpoints.is_empty() {
            self.endpoints = given.endpoints;
        }
        if self.endpoints.is_empty() {
            return Err(ToolError::Usage("a context needs --endpoints".to_owned()));
        }
        if given.user.as_ref().is_some_and(|user| user.contains(':')) {
            let text = "give the user's name alone: a context never holds a password";
            return Err(ToolError::Usage(text.to_owned()));
        }
        let absolute = |path: Option<PathBuf>| path.map(std::path::absolute).transpose();
        self.cacert = absolute(given.cacert)?.or(self.cacert.take());
        self.cert = absolute(given.cert)?.or(self.cert.take());
        self.key = absolute(given.key)?.or(self.key.take());
        self.user = given.user.or(self.user.take());
        self.insecure_skip_tls_verify |= given.insecure_skip_tls_verify;
        Ok(())
    }
}

fn named(what: &'static str, name: &str) -> Doc {
    Object::new().with(what, name).into()
}

fn list(output: &Output, contexts: &Contexts, path: &Path) -> Result<(), ToolError> {
    let is_current = |name: &String| contexts.current.as_ref() == Some(name);
    output.show(
        || {
            let one = |(name, context): (&String, &Context)| {
                Object::new()
                    .with("name", name)
                    .with("current", is_current(name))
                    .with("endpoints", context.endpoints.as_slice())
                    .some("user", context.user.clone())
                    .into()
            };
            Doc::list(&contexts.contexts, one)
        },
        || contexts.contexts.keys().map(|name| format!("{name}\n")).collect::<String>().into(),
        || {
            let mut table = Table::new(&["", "NAME", "ENDPOINTS", "USER", "TLS"]);
            for (name, context) in &contexts.contexts {
                let star = if is_current(name) { "*" } else { "" };
                let tls =
                    if context.cacert.is_some() || context.cert.is_some() { "yes" } else { "-" };
                table.row(vec![
                    star.to_owned(),
                    name.clone(),
                    context.endpoints.join(","),
                    show::table::or_dash(context.user.as_deref().unwrap_or_default()),
                    tls.to_owned(),
                ]);
            }
            table.text(&format!("no contexts in {}", path.display()))
        },
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Context, Contexts};

    #[test]
    fn the_file_is_the_users_own_and_comes_back_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("engram/contexts.json");
        let mut contexts = Contexts::default();
        let context = Context { endpoints: vec!["a:1".into()], ..Context::default() };
        contexts.contexts.insert("prod".into(), context);
        contexts.save(&path).expect("written");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(Contexts::load(&path).expect("read"), contexts);
        assert_eq!(
            Contexts::load(&path.with_extension("other")).expect("empty"),
            Contexts::default()
        );
    }

    #[test]
    fn a_damaged_file_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("contexts.json");
        std::fs::write(&path, "{\"contexts\": 7").expect("written");
        let error = Contexts::load(&path).expect_err("damaged");
        assert_eq!(error.entry().id, "E-CTL-004");
        assert!(error.to_string().contains("contexts.json"), "{error}");
    }

    #[test]
    fn a_password_does_not_get_into_a_context() {
        let mut context = Context { endpoints: vec!["a:1".into()], ..Context::default() };
        let given = Context { user: Some("root:secret".into()), ..Context::default() };
        let error = context.change(given).expect_err("refused");
        assert!(!error.to_string().contains("secret"));
    }
}

//! `/healthz`, `/livez`, `/readyz`: what works, check by check.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::watch;

use super::answer::{self, Answer};
use super::query::Query;

/// One thing that can be in order or not.
pub trait Check: Send + Sync {
    /// Its name in paths: `etcd`.
    fn name(&self) -> &'static str;
    /// What is wrong, if something is.
    fn fault(&self) -> Option<String>;
    /// Whether a process that fails it should be ended.
    fn is_vital(&self) -> bool;
}

/// A step of the start, or something that is asked now and then: in order once it is done.
#[derive(Debug)]
pub struct Step {
    name: &'static str,
    vital: bool,
    open: watch::Sender<Option<String>>,
}

impl Step {
    /// A step that is not done yet, and why.
    pub fn new(name: &'static str, why: &str) -> Arc<Self> {
        Arc::new(Step { name, vital: false, open: watch::Sender::new(Some(why.to_owned())) })
    }

    /// The same for something without which the process is of no use.
    pub fn vital(name: &'static str, why: &str) -> Arc<Self> {
        let open = watch::Sender::new(Some(why.to_owned()));
        Arc::new(Step { name, vital: true, open })
    }

    /// Done.
    pub fn done(&self) {
        self.open.send_replace(None);
    }

    /// Not done, and why.
    pub fn undone(&self, why: &str) {
        self.open.send_replace(Some(why.to_owned()));
    }

    /// Waits until it is done.
    pub async fn wait_done(&self) {
        // The sender is here, so that the channel cannot end.
        drop(self.open.subscribe().wait_for(Option::is_none).await);
    }
}

impl Check for Step {
    fn name(&self) -> &'static str {
        self.name
    }

    fn fault(&self) -> Option<String> {
        self.open.borrow().clone()
    }

    fn is_vital(&self) -> bool {
        self.vital
    }
}

/// Answers as long as requests are answered at all.
#[derive(Debug)]
pub struct Ping;

impl Check for Ping {
    fn name(&self) -> &'static str {
        "ping"
    }

    fn fault(&self) -> Option<String> {
        None
    }

    fn is_vital(&self) -> bool {
        true
    }
}

/// All checks.
#[derive(Clone, Default)]
pub struct Health(Vec<Arc<dyn Check>>);

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|check| check.name())).finish()
    }
}

impl Health {
    /// These checks, in the order in which they are shown.
    pub fn new(checks: Vec<Arc<dyn Check>>) -> Self {
        Health(checks)
    }

    /// What is wrong with one check, if there is such a check and something is.
    pub(crate) fn fault(&self, name: &str) -> Option<String> {
        self.0.iter().find(|check| check.name() == name)?.fault()
    }

    /// What keeps the server from being ready.
    pub fn faults(&self) -> Vec<String> {
        let fault = |check: &Arc<dyn Check>| Some(format!("{}: {}", check.name(), check.fault()?));
        self.0.iter().filter_map(fault).collect()
    }

    /// `/livez` asks the vital checks alone.
    pub(crate) fn answer(&self, page: &str, one: Option<&str>, query: &Query) -> Answer {
        let vital = page == "livez";
        let checks: Vec<_> = self.0.iter().filter(|check| !vital || check.is_vital()).collect();
        match one {
            None => report(page, &checks, query),
            Some(name) => match checks.iter().find(|check| check.name() == name) {
                Some(check) => single(check.as_ref()),
                None => answer::no_such_page(),
            },
        }
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = vec!["/healthz".to_owned(), "/livez".to_owned(), "/readyz".to_owned()];
        for check in &self.0 {
            paths.push(format!("/healthz/{}", check.name()));
            paths.push(format!("/readyz/{}", check.name()));
            if check.is_vital() {
                paths.push(format!("/livez/{}", check.name()));
            }
        }
        paths
    }
}

fn single(check: &dyn Check) -> Answer {
    match check.fault() {
        // Compat: without the header that other plain texts have.
        None => answer::typed(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from("ok")),
        Some(fault) => answer::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("internal server error: {fault}\n"),
        ),
    }
}

/// Compat: failing checks are told without their reasons, which the log has.
fn report(page: &str, checks: &[&Arc<dyn Check>], query: &Query) -> Answer {
    let excluded: Vec<&str> = query.all("exclude").collect();
    let mut text = String::new();
    let mut failed = false;
    for check in checks {
        let name = check.name();
        if excluded.contains(&name) {
            text.push_str(&format!("[+]{name} excluded: ok\n"));
        } else if check.fault().is_none() {
            text.push_str(&format!("[+]{name} ok\n"));
        } else {
            failed = true;
            text.push_str(&format!("[-]{name} failed: reason withheld\n"));
        }
    }
    if failed {
        text.push_str(&format!("{page} check failed\n"));
        return answer::text(StatusCode::INTERNAL_SERVER_ERROR, text);
    }
    match query.first("verbose") {
        None => answer::text(StatusCode::OK, "ok"),
        Some(_) => answer::text(StatusCode::OK, format!("{text}{page} check passed\n")),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn get(health: &Health, page: &str, one: Option<&str>, query: &str) -> (u16, String) {
        let answer = health.answer(page, one, &Query::parse(Some(query)));
        let code = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("infallible").to_bytes();
        (code, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn a_step_that_is_open_makes_it_unready_but_not_dead() {
        let step = Step::new("informer-sync", "caches are being filled");
        let health = Health::new(vec![Arc::new(Ping), step.clone()]);
        let (code, text) = get(&health, "readyz", None, "").await;
        assert_eq!(code, 500);
        assert!(text.contains("[-]informer-sync failed: reason withheld"), "{text}");
        assert_eq!(get(&health, "livez", None, "").await, (200, "ok".to_owned()));
        assert_eq!(get(&health, "readyz", None, "exclude=informer-sync").await.0, 200);
        step.done();
        assert_eq!(get(&health, "readyz", None, "").await, (200, "ok".to_owned()));
        let (_, text) = get(&health, "readyz", None, "verbose").await;
        assert_eq!(text, "[+]ping ok\n[+]informer-sync ok\nreadyz check passed\n");
        assert_eq!(get(&health, "readyz", Some("ping"), "").await, (200, "ok".to_owned()));
        assert_eq!(get(&health, "readyz", Some("nope"), "").await.0, 404);
    }
}

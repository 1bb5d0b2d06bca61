//! Deletion: preconditions, grace, finalizers, propagation; and of collections.
//!
//! Invariants: an object with finalizers is only marked; a grace period can only become shorter;
//! what the client is answered is the object while it lives on, else a report with its uid.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use schema::Value;
use serde_json::json;

use super::names::{parse_time, time_text};
use super::object;
use super::options::{DeleteOptions, ListOptions, Propagation};
use super::request::{Answer, RequestContext, Target};
use super::row::Resource;
use super::rules::{DefaultPropagation, Grace};
use super::serving::Registry;
use super::state::{Attempt, Current};
use crate::cache::Listed;
use crate::status::{Details, Reason, Status, success};
use crate::storage::Revision;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What a deletion does to an object.
enum Step {
    /// It is marked or marked anew.
    Mark(Box<Value>),
    /// It is marked, and goes at once.
    End(Box<Value>),
    /// It goes; its last state, as it is answered.
    Remove(Box<Value>),
    /// A deletion is under way and this one changes nothing.
    Pending,
}

impl Registry {
    pub(super) async fn delete_object(
        &self,
        context: &RequestContext,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Answer, Status> {
        target.check_namespace()?;
        if target.resource.rule.is_namespace {
            return self.delete_namespace(context, target, options).await;
        }
        self.delete_plain(context, target, options).await
    }

    /// What whoever deletes is told of a default that they may not expect, also when it is refused.
    #[must_use]
    pub fn said_of_delete(&self, target: &Target, options: &DeleteOptions) -> Option<&'static str> {
        let said = options.orphan_dependents.is_some() || options.propagation.is_some();
        target.resource.rule.delete_warning.filter(|_| !said)
    }

    pub(super) async fn delete_plain(
        &self,
        _context: &RequestContext,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<Answer, Status> {
        let row = &*target.resource;
        let options = &mut options.clone();
        let mut writing = self.writing(row, "delete", &target.namespace, &target.name).await?;
        loop {
            let step = match &writing.current {
                None => Err(Status::not_found(row.group(), row.plural(), &target.name)),
                Some(current) => step(row, options, current, self.seams().clock.now()),
            };
            let step = match step {
                Ok(step) => step,
                Err(refusal) => {
                    if writing.was_stale().await? {
                        continue;
                    }
                    return Err(refusal);
                }
            };
            let current = writing.current.clone().expect("a step was found for it");
            match step {
                Step::Pending => {
                    if writing.was_stale().await? {
                        continue;
                    }
                    return self.deleted(row, current.value, current.revision, false, options);
                }
                Step::Mark(marked) => {
                    let done = writing.write(&marked, options.dry_run, row.rule.ttl).await?;
                    if let Attempt::Done(revision) = done {
                        let bytes = self.answer_bytes(row, *marked, revision)?;
                        let code = if options.orphan_dependents == Some(false) { 202 } else { 200 };
                        return Ok(Answer::object(bytes).with_code(code));
                    }
                }
                // Order: watchers see the mark before the end, as they would of a longer grace.
                Step::End(marked) => {
                    if options.dry_run {
                        let bytes = self.answer_bytes(row, *marked, current.revision)?;
                        return Ok(Answer::object(bytes));
                    }
                    let done = writing.write(&marked, false, row.rule.ttl).await?;
                    if let (Attempt::Done(revision), Some(asked)) =
                        (done, &mut options.preconditions.resource_version)
                    {
                        *asked = revision.to_string();
                    }
                }
                Step::Remove(last) => {
                    if let Attempt::Done(revision) = writing.delete(options.dry_run).await? {
                        self.release_addresses(row, &last, None, options.dry_run).await;
                        return self.deleted(row, *last, revision, true, options);
                    }
                }
            }
        }
    }

    /// The answer about an object that is gone, or whose deletion is under way.
    fn deleted(
        &self,
        row: &Resource,
        last: Value,
        revision: Revision,
        gone: bool,
        options: &DeleteOptions,
    ) -> Result<Answer, Status> {
        let code = if !gone && options.orphan_dependents == Some(false) { 202 } else { 200 };
        if row.rule.returns_deleted {
            return Ok(Answer::object(self.answer_bytes(row, last, revision)?).with_code(code));
        }
        let details = Details {
            name: object::text(&last, "name").to_owned(),
            group: row.group().to_owned(),
            kind: row.plural().to_owned(),
            uid: object::text(&last, "uid").to_owned(),
            ..Details::default()
        };
        Ok(Answer::status(code, success(None, Some(&details))))
    }

    pub(super) async fn delete_all(
        &self,
        context: &RequestContext,
        target: &Target,
        options: &DeleteOptions,
        list: &ListOptions,
    ) -> Result<Answer, Status> {
        let row = &*target.resource;
        let listed = self.list(context, target, list).await?;
        let answer = if row.is_stored_version() {
            listed.json(&format!("{}List", row.kind()), &row.facts.api_version())
        } else {
            presented_list(row, &listed)?
        };
        let mut each = Vec::with_capacity(listed.items.len());
        for item in &listed.items {
            each.push(Target {
                resource: target.resource.clone(),
                namespace: item.namespace().unwrap_or_default().to_owned(),
                name: item.name().to_owned(),
                subresource: None,
            });
        }
        // Compat: those of an empty namespace are looked for there.
        let nowhere = target.lacks_namespace();
        each.iter_mut().filter(|_| nowhere).for_each(|one| one.namespace.clear());
        // Compat: one after the other, in the order of the list.
        for one in &each {
            self.delete_one(context, one, options).await?;
        }
        Ok(Answer::object(answer))
    }
}

/// The list in the version that was asked for, where it is not the stored one.
fn presented_list(row: &Resource, listed: &Listed) -> Result<Bytes, Status> {
    let items = listed.items.iter().map(|item| {
        let mut object: Value =
            serde_json::from_slice(&row.presented(item)).map_err(Status::internal)?;
        if let Some(members) = object.as_object_mut() {
            members.remove("kind");
            members.remove("apiVersion");
        }
        Ok(object)
    });
    let list = json!({
        "kind": format!("{}List", row.kind()),
        "apiVersion": row.facts.api_version(),
        "metadata": {"resourceVersion": listed.revision.to_string()},
        "items": items.collect::<Result<Vec<Value>, Status>>()?,
    });
    serde_json::to_vec(&list).map(Bytes::from).map_err(Status::internal)
}

impl Registry {
    /// Deletes an object of a collection; one that is gone already is no error.
    async fn delete_one(
        &self,
        context: &RequestContext,
        target: &Target,
        options: &DeleteOptions,
    ) -> Result<(), Status> {
        match self.delete_object(context, target, options).await {
            Err(status) if status.reason != Reason::NotFound => Err(status),
            _ => Ok(()),
        }
    }
}

fn step(
    row: &Resource,
    options: &DeleteOptions,
    current: &Current,
    now: Timestamp,
) -> Result<Step, Status> {
    check_preconditions(row, options, current)?;
    let mut marked = current.value.clone();
    let graceful = match row.rule.grace {
        Grace::None => None,
        Grace::Pod => match grace(&mut marked, options, now) {
            GraceStep::Pending => return Ok(Step::Pending),
            GraceStep::None => None,
            GraceStep::Seconds(seconds) => Some(seconds),
        },
    };
    if let Some(finalizers) = collector_finalizers(row, &marked, options) {
        object::set_finalizers(&mut marked, finalizers);
    }
    let held = !object::finalizers(&marked).is_empty();
    match graceful {
        Some(seconds) if seconds > 0 || held => Ok(Step::Mark(Box::new(marked))),
        None if held => {
            mark_now(&mut marked, now);
            Ok(Step::Mark(Box::new(marked)))
        }
        Some(_) => Ok(Step::End(Box::new(marked))),
        _ => Ok(Step::Remove(Box::new(marked))),
    }
}

/// Compat: the words name the kind where others name the resource.
pub(super) fn check_preconditions(
    row: &Resource,
    options: &DeleteOptions,
    current: &Current,
) -> Result<(), Status> {
    let name = object::text(&current.value, "name");
    let uid = object::text(&current.value, "uid");
    if let Some(wanted) = options.preconditions.uid.as_deref().filter(|wanted| *wanted != uid) {
        let why = format!(
            "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). The \
             object might have been deleted and then recreated"
        );
        return Err(Status::conflict(row.group(), row.kind(), name, &why));
    }
    let version = current.revision.to_string();
    let wanted = options.preconditions.resource_version.as_deref();
    if let Some(wanted) = wanted.filter(|wanted| *wanted != version) {
        let why = format!(
            "the ResourceVersion in the precondition ({wanted}) does not match the \
             ResourceVersion in record ({version}). The object might have been modified"
        );
        return Err(Status::conflict(row.group(), row.kind(), name, &why));
    }
    Ok(())
}

/// Marks an object that has no grace period but finalizers.
fn mark_now(object: &mut Value, now: Timestamp) {
    let begun = parse_time(object::text(object, "deletionTimestamp"));
    if begun.is_none() {
        bump_generation(object);
    }
    if begun.is_none_or(|begun| begun > now) {
        object::set(object, "deletionTimestamp", Value::from(time_text(now)));
    }
    object::set(object, "deletionGracePeriodSeconds", Value::from(0));
}

fn bump_generation(object: &mut Value) {
    let generation = object::integer(object, "generation").unwrap_or(0);
    if generation > 0 {
        object::set(object, "generation", Value::from(generation + 1));
    }
}

enum GraceStep {
    /// Grace does not come into it.
    None,
    /// The object is marked with this many seconds.
    Seconds(i64),
    /// A deletion with no more grace than this is under way.
    Pending,
}

/// The grace of an object that is ended by the node it is on.
fn grace(object: &mut Value, options: &DeleteOptions, now: Timestamp) -> GraceStep {
    let asked = options.grace_period_seconds.map(|seconds| if seconds < 0 { 1 } else { seconds });
    if object::is_deleting(object) {
        return shorten(object, asked, now);
    }
    let own = object["spec"]["terminationGracePeriodSeconds"].as_i64();
    let mut seconds = asked.or(own).unwrap_or(0);
    let scheduled = object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let phase = object["status"]["phase"].as_str().unwrap_or_default();
    if !scheduled || phase == "Failed" || phase == "Succeeded" {
        seconds = 0;
    }
    let seconds = if seconds < 0 { 1 } else { seconds };
    let end = now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
    object::set(object, "deletionTimestamp", Value::from(time_text(end)));
    object::set(object, "deletionGracePeriodSeconds", Value::from(seconds));
    bump_generation(object);
    GraceStep::Seconds(seconds)
}

/// A deletion that is under way can only be made shorter.
fn shorten(object: &mut Value, asked: Option<i64>, now: Timestamp) -> GraceStep {
    let left = object::integer(object, "deletionGracePeriodSeconds").unwrap_or(0);
    if left == 0 {
        return GraceStep::None;
    }
    let Some(mut seconds) = asked.filter(|asked| *asked < left) else { return GraceStep::Pending };
    let end = parse_time(object::text(object, "deletionTimestamp")).unwrap_or(now);
    let mut end = end.saturating_add(SignedDuration::from_secs(seconds - left)).unwrap_or(now);
    if end < now {
        end = now;
        // Compat: whoever ends the object still has to do it, unless none was asked for.
        if seconds != 0 {
            seconds = 1;
        }
    }
    object::set(object, "deletionTimestamp", Value::from(time_text(end)));
    object::set(object, "deletionGracePeriodSeconds", Value::from(seconds));
    GraceStep::Seconds(seconds)
}

/// The finalizers with those of the garbage collector as this deletion wants them; none if they
/// are so already.
pub(super) fn collector_finalizers(
    row: &Resource,
    object: &Value,
    options: &DeleteOptions,
) -> Option<Vec<String>> {
    let present = object::finalizers(object);
    let wanted = wanted(row, &present, options);
    let mut finalizers: Vec<&str> =
        present.iter().copied().filter(|f| *f != ORPHAN && *f != FOREGROUND).collect();
    match wanted {
        Propagation::Orphan => finalizers.push(ORPHAN),
        Propagation::Foreground => finalizers.push(FOREGROUND),
        Propagation::Background => {}
    }
    let same = finalizers.len() == present.len() && finalizers.iter().all(|f| present.contains(f));
    (!same).then(|| finalizers.into_iter().map(str::to_owned).collect())
}

/// What this deletion does with dependents: as the client says, else as a finalizer says, else as
/// the row says.
fn wanted(row: &Resource, present: &[&str], options: &DeleteOptions) -> Propagation {
    if row.rule.propagation == DefaultPropagation::Unsupported {
        return Propagation::Background;
    }
    match (options.orphan_dependents, options.propagation) {
        (Some(true), _) => return Propagation::Orphan,
        (Some(false), _) => return Propagation::Background,
        (None, Some(said)) => return said,
        (None, None) => {}
    }
    for finalizer in present {
        match *finalizer {
            ORPHAN => return Propagation::Orphan,
            FOREGROUND => return Propagation::Foreground,
            _ => {}
        }
    }
    let orphans = row.rule.propagation == DefaultPropagation::Orphan
        || row.rule.orphan_versions.contains(&row.facts.version);
    if orphans { Propagation::Orphan } else { Propagation::Background }
}

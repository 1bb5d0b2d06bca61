//! The options of each verb: read from the query, or from a body for deletions, and checked.
//!
//! Invariant: unknown parameters are ignored; of repeated ones the first counts, as the real one
//! reads them, but for `dryRun`, which is a list.
//!
//! *Source*: apimachinery `pkg/apis/meta/v1/validation`, and what kube-apiserver 1.37.0 answered.

use schema::Value;

use crate::status::{BadValue, FieldErrors, FieldPath, Status};

const META_GROUP: &str = "meta.k8s.io";
const FIELD_MANAGER_BYTES_MAX: usize = 128;

/// The parameters of a query, decoded.
pub type Query = [(String, String)];

/// What happens about unknown and duplicate fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Nothing.
    Ignore,
    /// The client is warned.
    #[default]
    Warn,
    /// The request is refused.
    Strict,
}

/// What every write may be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Whether nothing shall be stored.
    pub dry_run: bool,
    /// Who manages the fields; empty if not given.
    pub field_manager: String,
    /// See [`FieldValidation`].
    pub field_validation: FieldValidation,
}

/// Options of a creation.
pub type CreateOptions = WriteOptions;
/// Options of an update.
pub type UpdateOptions = WriteOptions;

/// Options of a patch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatchOptions {
    /// What every write may be asked.
    pub write: WriteOptions,
    /// Whether an apply takes fields of others.
    pub force: bool,
}

/// Options of a get.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GetOptions {
    /// How old the answer may be; empty for the newest state.
    pub resource_version: String,
}

/// What a deletion does with dependents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// The object waits until they are gone.
    Foreground,
    /// They go afterwards.
    Background,
    /// They are set free.
    Orphan,
}

/// What must hold of an object for it to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// Its uid.
    pub uid: Option<String>,
    /// Its resourceVersion.
    pub resource_version: Option<String>,
}

/// Options of a deletion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Seconds of grace; none for the object's own.
    pub grace_period_seconds: Option<i64>,
    /// What must hold.
    pub preconditions: Preconditions,
    /// The old word for the propagation.
    pub orphan_dependents: Option<bool>,
    /// What happens to dependents.
    pub propagation: Option<Propagation>,
    /// Whether nothing shall be stored.
    pub dry_run: bool,
}

/// Options of a list or watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// As given.
    pub label_selector: String,
    /// As given.
    pub field_selector: String,
    /// Whether changes shall be streamed.
    pub watch: bool,
    /// Whether bookmarks are wanted in a watch.
    pub allow_watch_bookmarks: bool,
    /// As given.
    pub resource_version: String,
    /// As given; one of the known words or empty.
    pub resource_version_match: String,
    /// Seconds until a watch ends.
    pub timeout_seconds: Option<i64>,
    /// The most items of a page; 0 for all.
    pub limit: i64,
    /// The token of the page before.
    pub continue_token: String,
    /// Whether a watch begins with the state.
    pub send_initial_events: Option<bool>,
}

fn first<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn text(query: &Query, name: &str) -> String {
    first(query, name).unwrap_or_default().to_owned()
}

fn flag(query: &Query, name: &str) -> Option<bool> {
    first(query, name).map(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
}

fn integer(query: &Query, name: &str) -> Result<Option<i64>, Status> {
    let Some(value) = first(query, name) else { return Ok(None) };
    value.parse::<i64>().map(Some).map_err(|error| {
        let why = match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
                "value out of range"
            }
            _ => "invalid syntax",
        };
        let quoted = crate::status::quoted(value);
        Status::bad_request(format!("strconv.ParseInt: parsing {quoted}: {why}"))
    })
}

fn refuse(kind: &str, errors: FieldErrors) -> Result<(), Status> {
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(META_GROUP, kind, "", errors)) }
}

fn check_dry_run(values: &[&str], errors: &mut FieldErrors) -> bool {
    if values.iter().any(|value| *value != "All") {
        let shown: Vec<Value> = values.iter().map(|value| Value::from(*value)).collect();
        errors.not_supported(&FieldPath::new("dryRun"), Value::from(shown), &["All"]);
    }
    !values.is_empty()
}

fn check_field_manager(manager: &str, errors: &mut FieldErrors) {
    let path = FieldPath::new("fieldManager");
    if manager.len() > FIELD_MANAGER_BYTES_MAX {
        errors.too_long(&path, FIELD_MANAGER_BYTES_MAX);
    }
    for (at, c) in manager.char_indices().filter(|(_, c)| c.is_control()) {
        let detail = format!("invalid character U+{:04X} (at position {at})", c as u32);
        errors.invalid(&path, manager, detail);
    }
}

impl WriteOptions {
    fn read(query: &Query, errors: &mut FieldErrors) -> Self {
        let field_manager = text(query, "fieldManager");
        check_field_manager(&field_manager, errors);
        let dry_run: Vec<&str> =
            query.iter().filter(|(key, _)| key == "dryRun").map(|(_, v)| v.as_str()).collect();
        let dry_run = check_dry_run(&dry_run, errors);
        let field_validation = match first(query, "fieldValidation").unwrap_or_default() {
            "Ignore" => FieldValidation::Ignore,
            "" | "Warn" => FieldValidation::Warn,
            "Strict" => FieldValidation::Strict,
            other => {
                let known = ["", "Ignore", "Strict", "Warn"];
                errors.not_supported(&FieldPath::new("fieldValidation"), other, &known);
                FieldValidation::Warn
            }
        };
        Self { dry_run, field_manager, field_validation }
    }

    /// Of a creation.
    pub fn for_create(query: &Query) -> Result<Self, Status> {
        let mut errors = FieldErrors::new();
        let options = Self::read(query, &mut errors);
        refuse("CreateOptions", errors).map(|()| options)
    }

    /// Of an update.
    pub fn for_update(query: &Query) -> Result<Self, Status> {
        let mut errors = FieldErrors::new();
        let options = Self::read(query, &mut errors);
        refuse("UpdateOptions", errors).map(|()| options)
    }
}

impl PatchOptions {
    /// Of a patch; `apply` for the media types of server-side apply.
    pub fn from_query(query: &Query, apply: bool) -> Result<Self, Status> {
        let mut errors = FieldErrors::new();
        let force = flag(query, "force");
        if apply && first(query, "fieldManager").is_none_or(str::is_empty) {
            errors.required(&FieldPath::new("fieldManager"), "is required for apply patch");
        }
        if !apply && force.is_some() {
            errors.forbidden(&FieldPath::new("force"), "may not be specified for non-apply patch");
        }
        let write = WriteOptions::read(query, &mut errors);
        refuse("PatchOptions", errors)?;
        Ok(Self { write, force: force.unwrap_or(false) })
    }
}

impl GetOptions {
    /// Of a get.
    pub fn from_query(query: &Query) -> Result<Self, Status> {
        Ok(Self { resource_version: text(query, "resourceVersion") })
    }
}

fn propagation(word: &str, errors: &mut FieldErrors) -> Option<Propagation> {
    match word {
        "Foreground" => Some(Propagation::Foreground),
        "Background" => Some(Propagation::Background),
        "Orphan" => Some(Propagation::Orphan),
        other => {
            let known = ["Foreground", "Background", "Orphan", "nil"];
            errors.not_supported(&FieldPath::new("propagationPolicy"), other, &known);
            None
        }
    }
}

fn both_set(orphan: bool, word: Option<&str>, errors: &mut FieldErrors) {
    if let (true, Some(word)) = (orphan, word) {
        let detail = "orphanDependents and deletionPropagation cannot be both set";
        errors.invalid(&FieldPath::new("propagationPolicy"), BadValue::from(word), detail);
    }
}

impl DeleteOptions {
    /// From the query, as it counts when there is no body.
    pub fn from_query(query: &Query) -> Result<Self, Status> {
        let mut errors = FieldErrors::new();
        let grace_period_seconds = integer(query, "gracePeriodSeconds")?;
        let orphan_dependents = flag(query, "orphanDependents");
        let word = first(query, "propagationPolicy");
        both_set(orphan_dependents.is_some(), word, &mut errors);
        let propagation = word.and_then(|word| propagation(word, &mut errors));
        let dry_run: Vec<&str> =
            query.iter().filter(|(key, _)| key == "dryRun").map(|(_, v)| v.as_str()).collect();
        let dry_run = check_dry_run(&dry_run, &mut errors);
        refuse("DeleteOptions", errors)?;
        Ok(Self {
            grace_period_seconds,
            preconditions: Preconditions::default(),
            orphan_dependents,
            propagation,
            dry_run,
        })
    }

    /// From a body: a `DeleteOptions` that is decoded and normalised.
    pub fn from_body(body: &Value) -> Result<Self, Status> {
        let mut errors = FieldErrors::new();
        let orphan_dependents = body["orphanDependents"].as_bool();
        let word = body["propagationPolicy"].as_str();
        both_set(orphan_dependents.is_some(), word, &mut errors);
        let propagation = word.and_then(|word| propagation(word, &mut errors));
        let dry_run: Vec<&str> =
            body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let dry_run = check_dry_run(&dry_run, &mut errors);
        refuse("DeleteOptions", errors)?;
        let of = |name: &str| body["preconditions"][name].as_str().map(str::to_owned);
        Ok(Self {
            grace_period_seconds: body["gracePeriodSeconds"].as_i64(),
            preconditions: Preconditions {
                uid: of("uid"),
                resource_version: of("resourceVersion"),
            },
            orphan_dependents,
            propagation,
            dry_run,
        })
    }
}

impl ListOptions {
    /// Of a list, a watch or a deletion of a collection. The selectors are parsed by the verb.
    pub fn from_query(query: &Query) -> Result<Self, Status> {
        let mut options = Self {
            label_selector: text(query, "labelSelector"),
            field_selector: text(query, "fieldSelector"),
            watch: flag(query, "watch").unwrap_or(false),
            allow_watch_bookmarks: flag(query, "allowWatchBookmarks").unwrap_or(false),
            resource_version: text(query, "resourceVersion"),
            resource_version_match: text(query, "resourceVersionMatch"),
            timeout_seconds: integer(query, "timeoutSeconds")?,
            limit: integer(query, "limit")?.unwrap_or(0),
            continue_token: text(query, "continue"),
            send_initial_events: flag(query, "sendInitialEvents"),
        };
        let mut errors = FieldErrors::new();
        if options.watch {
            options.default_watch();
            options.check_watch(&mut errors);
        } else {
            options.check_list(&mut errors);
        }
        refuse("ListOptions", errors).map(|()| options)
    }

    fn check_list(&self, errors: &mut FieldErrors) {
        let path = FieldPath::new("resourceVersionMatch");
        if self.send_initial_events.is_some() {
            let detail = "sendInitialEvents is forbidden for list";
            errors.forbidden(&FieldPath::new("sendInitialEvents"), detail);
        }
        let word = self.resource_version_match.as_str();
        if word.is_empty() {
            return;
        }
        if self.resource_version.is_empty() {
            let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            errors.forbidden(&path, detail);
        }
        if !self.continue_token.is_empty() {
            errors.forbidden(&path, "resourceVersionMatch is forbidden when continue is provided");
        }
        if word != "Exact" && word != "NotOlderThan" {
            errors.not_supported(&path, word, &["Exact", "NotOlderThan", ""]);
        }
        if word == "Exact" && self.resource_version == "0" {
            let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            errors.forbidden(&path, detail);
        }
    }

    /// Compat: a watch that does not say from where begins with the state, and is then one that
    /// asked for it: also in what it is refused for.
    fn default_watch(&mut self) {
        let from_anywhere = matches!(self.resource_version.as_str(), "" | "0");
        let unsaid = self.send_initial_events.is_none() && self.resource_version_match.is_empty();
        if unsaid && from_anywhere {
            self.send_initial_events = Some(true);
            "NotOlderThan".clone_into(&mut self.resource_version_match);
        }
    }

    fn check_watch(&self, errors: &mut FieldErrors) {
        let path = FieldPath::new("resourceVersionMatch");
        let word = self.resource_version_match.as_str();
        if self.send_initial_events.is_some() {
            if word != "NotOlderThan" {
                let detail = "sendInitialEvents requires setting resourceVersionMatch to \
                              NotOlderThan";
                errors.forbidden(&path, detail);
            }
        } else if !word.is_empty() {
            let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
                          provided";
            errors.forbidden(&path, detail);
        }
        if word.is_empty() {
            return;
        }
        if word != "NotOlderThan" {
            errors.not_supported(&path, word, &["NotOlderThan"]);
        }
        if !self.continue_token.is_empty() {
            errors.forbidden(&path, "resourceVersionMatch is forbidden when continue is provided");
        }
    }
}

//! The v1 `Status` as JSON, fields in the order kube-apiserver writes them.

use serde::Serialize;

use super::{Cause, Details, Status};

#[derive(Serialize)]
struct WireMeta<'a> {
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    continue_token: Option<&'a str>,
}

#[derive(Serialize)]
struct WireCause<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    field: &'a str,
}

#[derive(Serialize)]
struct WireDetails<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uid: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<WireCause<'a>>,
    #[serde(rename = "retryAfterSeconds", skip_serializing_if = "is_zero")]
    retry_after_seconds: u32,
}

#[derive(Serialize)]
struct WireStatus<'a> {
    kind: &'a str,
    #[serde(rename = "apiVersion")]
    api_version: &'a str,
    metadata: WireMeta<'a>,
    status: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<WireDetails<'a>>,
    #[serde(skip_serializing_if = "is_zero")]
    code: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn wire_details(details: &Details) -> WireDetails<'_> {
    WireDetails {
        name: &details.name,
        group: &details.group,
        kind: &details.kind,
        uid: &details.uid,
        causes: details.causes.iter().map(wire_cause).collect(),
        retry_after_seconds: details.retry_after_seconds,
    }
}

fn wire_cause(cause: &Cause) -> WireCause<'_> {
    WireCause { reason: &cause.reason, message: &cause.message, field: &cause.field }
}

fn write(status: &WireStatus<'_>) -> Vec<u8> {
    serde_json::to_vec(status).expect("strings and numbers always serialise")
}

impl Status {
    /// The JSON of the answer's body.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        write(&WireStatus {
            kind: "Status",
            api_version: "v1",
            metadata: WireMeta { continue_token: self.continue_token.as_deref() },
            status: "Failure",
            message: &self.message,
            reason: self.reason.word(),
            details: self.details.as_deref().map(wire_details),
            code: u32::from(self.code),
        })
    }
}

/// The JSON of a `Status` that reports success: of a delete (details, no code) or of a binding
/// (code, no details).
#[must_use]
pub fn success(code: Option<u16>, details: Option<&Details>) -> Vec<u8> {
    write(&WireStatus {
        kind: "Status",
        api_version: "v1",
        metadata: WireMeta { continue_token: None },
        status: "Success",
        message: "",
        reason: "",
        details: details.map(wire_details),
        code: code.map_or(0, u32::from),
    })
}

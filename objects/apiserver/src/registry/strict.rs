//! What strict decoding found, as the request wants it told.

use super::options::FieldValidation;
use super::row::BodyType;
use crate::status::Status;

/// Warnings for the findings, or the refusal of a strict request.
pub(super) fn judge(
    findings: Vec<String>,
    mode: FieldValidation,
    body: &BodyType,
) -> Result<Vec<String>, Status> {
    match mode {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(findings),
        FieldValidation::Strict if findings.is_empty() => Ok(findings),
        FieldValidation::Strict => Err(Status::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {}",
            sentence(&findings),
            kind = body.kind,
            version = body.version,
        ))),
    }
}

/// The findings as one sentence.
pub(super) fn sentence(findings: &[String]) -> String {
    format!("strict decoding error: {}", findings.join(", "))
}

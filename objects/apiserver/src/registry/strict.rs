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

/// The findings as one sentence. Compat: those that name lines are YAML's, which are told as one.
pub(super) fn sentence(findings: &[String]) -> String {
    let (lines, others): (Vec<_>, Vec<_>) =
        findings.iter().map(String::as_str).partition(|finding| finding.starts_with("line "));
    let mut parts = Vec::new();
    if !lines.is_empty() {
        parts.push(format!("yaml: unmarshal errors:\n  {}", lines.join("\n  ")));
    }
    parts.extend(others.into_iter().map(str::to_owned));
    format!("strict decoding error: {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_yaml_are_told_as_one_finding_before_the_others() {
        let findings = ["line 6: a", "line 7: b", "unknown field \"x\""].map(str::to_owned);
        assert_eq!(
            sentence(&findings),
            "strict decoding error: yaml: unmarshal errors:\n  line 6: a\n  line 7: b, unknown \
             field \"x\""
        );
        assert_eq!(sentence(&findings[2..]), "strict decoding error: unknown field \"x\"");
    }
}

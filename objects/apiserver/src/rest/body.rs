//! A request's body: read within bounds, then decoded by what its media type says it is.
//!
//! Invariants: no more than the limit is ever held; what is refused is refused in kube-apiserver's
//! words, and nothing panics on any bytes. Must not know: what is done with the object.

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use schema::decode::{self, Limits, TypeMeta};
use schema::protobuf;
use schema::types::Schema;
use schema::{Value, typed};

use super::limits::BODY_BYTES_MAX;
use crate::registry::{BodyType, Input};
use crate::status::{Reason, Status};

/// The media types of objects in bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Yaml,
    Protobuf,
}

/// What the media types are called when another one comes.
const ACCEPTED: [&str; 3] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
/// How the real one names its table of kinds.
const SCHEME: &str = "pkg/runtime/scheme.go:111";

impl Media {
    /// By the header; JSON when there is none. *Errors*: a type that no object comes in.
    pub(crate) fn of(content_type: Option<&str>) -> Result<Self, Status> {
        match media_type(content_type).as_deref() {
            Some("" | "application/json") => Ok(Media::Json),
            Some("application/yaml") => Ok(Media::Yaml),
            Some("application/vnd.kubernetes.protobuf") => Ok(Media::Protobuf),
            _ => Err(Status::unsupported_media_type(&ACCEPTED)),
        }
    }
}

/// The media type without its parameters, in lower case; empty when there is no header, and none
/// when the header is no media type.
pub(crate) fn media_type(content_type: Option<&str>) -> Option<String> {
    let Some(text) = content_type else { return Some(String::new()) };
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let parameters = parts.all(|part| part.is_empty() || part.contains('='));
    (parameters && (media.is_empty() || media.contains('/'))).then_some(media)
}

/// Reads all of a body. *Errors*: it is too large, or the client went away.
pub(crate) async fn read<B>(body: B) -> Result<Bytes, Status>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Status::too_large(&format!("limit is {BODY_BYTES_MAX}")))
        }
        Err(error) => Err(Status::bad_request(format!("unable to read the body: {error}"))),
    }
}

/// Decodes an object of the wanted kind.
///
/// *Errors*: bytes that are no object, another kind or version, values of wrong types.
pub(crate) fn object(
    schema: &Schema,
    wanted: &BodyType,
    media: Media,
    bytes: &[u8],
) -> Result<Input, Status> {
    let refused = |kind: &str, version: &str, why: &dyn std::fmt::Display| {
        Status::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: {why}",
            wanted.kind
        ))
    };
    let unrecognized = |why: String| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): {why} ({})",
            wanted.kind,
            summary(bytes)
        ))
    };
    let (value, mut findings) = match media {
        Media::Protobuf => return from_protobuf(schema, wanted, bytes, &unrecognized),
        Media::Json => decode::json(bytes, Limits::default()),
        Media::Yaml => decode::yaml(bytes, Limits::default()),
    }
    .map(|decoded| (decoded.value, decoded.duplicates))
    .map_err(|error| unrecognized(error.in_body()))?;
    let meta = decode::type_meta(&value).map_err(|error| unrecognized(error.in_body()))?;
    check_kind(schema, wanted, &meta, &refused, &unrecognized).map_err(|status| {
        // Compat: a body is first read as the kind that it says it is.
        let (group, version) = meta.api_version.split_once('/').unwrap_or(("", &meta.api_version));
        let itself = schema.kind(group, version, &meta.kind);
        let read = itself.map(|id| typed::normalize(schema, id, value.clone()));
        match read {
            Some(Err(error)) => refused(&meta.kind, version, &error),
            _ => status,
        }
    })?;
    if media == Media::Json {
        findings = typed::strict_findings(schema, wanted.type_id, bytes, &value, findings);
    } else {
        findings.extend(typed::unknown_fields(schema, wanted.type_id, &value));
    }
    let value = if value.is_null() { Value::Object(Default::default()) } else { value };
    let mut value = typed::normalize(schema, wanted.type_id, value)
        .map_err(|error| refused(wanted.kind, wanted.version, &error))?;
    name_kind(&mut value, wanted);
    Ok(Input { value, findings })
}

fn from_protobuf(
    schema: &Schema,
    wanted: &BodyType,
    bytes: &[u8],
    unrecognized: &dyn Fn(String) -> Status,
) -> Result<Input, Status> {
    let envelope = protobuf::envelope(bytes).map_err(|error| unrecognized(error.to_string()))?;
    let meta = TypeMeta { api_version: envelope.api_version, kind: envelope.kind };
    let refused = |kind: &str, version: &str, why: &dyn std::fmt::Display| {
        Status::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: {why}",
            wanted.kind
        ))
    };
    // What the envelope does not say is what is wanted.
    check_kind(schema, wanted, &meta, &refused, unrecognized)?;
    let mut value = protobuf::decode_as(schema, wanted.type_id, bytes)
        .map_err(|error| refused(wanted.kind, wanted.version, &error))?;
    name_kind(&mut value, wanted);
    Ok(Input { value, findings: Vec::new() })
}

/// Whether what a body says of itself is what is wanted here.
fn check_kind(
    schema: &Schema,
    wanted: &BodyType,
    meta: &TypeMeta,
    refused: &dyn Fn(&str, &str, &dyn std::fmt::Display) -> Status,
    unrecognized: &dyn Fn(String) -> Status,
) -> Result<(), Status> {
    let kind = if meta.kind.is_empty() { wanted.kind } else { &meta.kind };
    let (group, version) = match meta.api_version.split('/').collect::<Vec<_>>()[..] {
        [""] => (wanted.group, wanted.version),
        [version] => ("", version),
        [group, version] => (group, version),
        _ => {
            let text = &meta.api_version;
            return Err(unrecognized(format!("unexpected GroupVersion string: {text}")));
        }
    };
    if (group, version, kind) == (wanted.group, wanted.version, wanted.kind) {
        return Ok(());
    }
    if schema.kind(group, version, kind).is_none() {
        let api_version = api_version(group, version);
        let why = format!(
            "no kind {kind:?} is registered for version {api_version:?} in scheme {SCHEME:?}"
        );
        return Err(refused(kind, version, &why));
    }
    if (group, kind) != (wanted.group, wanted.kind) {
        let internal = wanted.group.split('.').next().filter(|group| !group.is_empty());
        let internal = internal.unwrap_or("core");
        let why = format!(
            "converting ({version}.{kind}) to ({internal}.{}): unknown conversion",
            wanted.kind
        );
        return Err(refused(kind, version, &why));
    }
    Err(Status::bad_request(format!(
        "the API version in the data ({}) does not match the expected API version ({})",
        api_version(group, version),
        api_version(wanted.group, wanted.version),
    )))
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn name_kind(value: &mut Value, wanted: &BodyType) {
    if let Value::Object(map) = value {
        map.insert("kind".to_owned(), wanted.kind.into());
        map.insert("apiVersion".to_owned(), api_version(wanted.group, wanted.version).into());
    }
}

/// The beginning of a body, to be recognised by whoever sent it.
fn summary(bytes: &[u8]) -> String {
    const SHOWN: usize = 30;
    let shown = &bytes[..bytes.len().min(SHOWN)];
    let more = if bytes.len() > SHOWN { " ..." } else { "" };
    match shown.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(shown)),
        Some(_) => {
            let hex: String = shown.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{hex}{more}")
        }
    }
}

/// Decodes `DeleteOptions`; none when there is no body.
pub(crate) fn delete_options(
    schema: &Schema,
    content_type: Option<&str>,
    bytes: &[u8],
) -> Result<Option<Value>, Status> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let media = Media::of(content_type)?;
    let bad = |why: &dyn std::fmt::Display| Status::bad_request(why.to_string());
    let id = schema.kind("", "v1", "DeleteOptions").ok_or_else(|| {
        Status::plain(500, Reason::InternalError, "the schema has no DeleteOptions")
    })?;
    let value = match media {
        Media::Protobuf => {
            return protobuf::decode_as(schema, id, bytes).map(Some).map_err(|error| bad(&error));
        }
        Media::Json => decode::json(bytes, Limits::default()),
        Media::Yaml => decode::yaml(bytes, Limits::default()),
    }
    .map_err(|error| bad(&error.in_body()))?
    .value;
    let meta = decode::type_meta(&value).map_err(|error| bad(&error.in_body()))?;
    if !meta.kind.is_empty() && meta.kind != "DeleteOptions" {
        let version = match meta.api_version.as_str() {
            "" => "meta.k8s.io/v1",
            text => text,
        };
        let kind = &meta.kind;
        return Err(bad(&format!(
            "no kind {kind:?} is registered for version {version:?} in scheme {SCHEME:?}"
        )));
    }
    if value.is_null() {
        return Ok(None);
    }
    typed::normalize(schema, id, value).map(Some).map_err(|error| bad(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(body: &str) -> Result<Input, String> {
        let schema = Schema::builtin();
        let type_id = schema.kind("", "v1", "Namespace").expect("built in");
        let wanted = BodyType { group: "", version: "v1", kind: "Namespace", type_id };
        object(schema, &wanted, Media::Json, body.as_bytes()).map_err(|status| status.message)
    }

    #[test]
    fn another_kind_or_version_is_refused_in_the_real_words() {
        let table = [
            (
                r#"{"kind":"Pod","apiVersion":"v1"}"#,
                "Pod in version \"v1\" cannot be handled as a Namespace: converting (v1.Pod) to \
                 (core.Namespace): unknown conversion",
            ),
            (
                r#"{"kind":"Secret","apiVersion":"v1","data":{"k":"v"}}"#,
                "Secret in version \"v1\" cannot be handled as a Namespace: illegal base64 data \
                 at input byte 0",
            ),
            (
                r#"{"kind":"Namespace","apiVersion":"v2"}"#,
                "Namespace in version \"v2\" cannot be handled as a Namespace: no kind \
                 \"Namespace\" is registered for version \"v2\" in scheme \
                 \"pkg/runtime/scheme.go:111\"",
            ),
            (
                r#"{"kind":"Foo","apiVersion":"a/b/c"}"#,
                "the object provided is unrecognized (must be of type Namespace): unexpected \
                 GroupVersion string: a/b/c ({\"kind\":\"Foo\",\"apiVersion\":\"a/ ...)",
            ),
            (
                "x=y",
                "the object provided is unrecognized (must be of type Namespace): couldn't get \
                 version/kind; json parse error: invalid character 'x' looking for beginning of \
                 value (783d79)",
            ),
            (
                "",
                "the object provided is unrecognized (must be of type Namespace): couldn't get \
                 version/kind; json parse error: unexpected end of JSON input (<empty>)",
            ),
        ];
        for (body, wanted) in table {
            assert_eq!(decoded(body).map(|input| input.value), Err(wanted.to_owned()), "{body}");
        }
    }

    #[test]
    fn a_duplicate_in_an_unknown_field_is_not_told() {
        let input = decoded(r#"{"metadata":{"name":"a"},"bar":2,"bar":3}"#).expect("valid");
        assert_eq!(input.findings, ["unknown field \"bar\""]);
    }

    #[test]
    fn a_body_need_not_say_what_it_is() {
        let input = decoded(r#"{"metadata":{"name":"a"}}"#).expect("valid");
        assert_eq!(input.value["kind"], "Namespace");
        assert_eq!(input.value["apiVersion"], "v1");
    }

    #[test]
    fn media_types_are_told_apart() {
        let media = |text| Media::of(Some(text)).map_err(|status| status.code);
        assert_eq!(Media::of(None).map_err(|status| status.code), Ok(Media::Json));
        assert_eq!(media("application/json; charset=utf-8"), Ok(Media::Json));
        assert_eq!(media("application/yaml"), Ok(Media::Yaml));
        assert_eq!(media("application/vnd.kubernetes.protobuf"), Ok(Media::Protobuf));
        assert_eq!(media("application/cbor"), Err(415));
        assert_eq!(media("garbage;;;"), Err(415));
    }
}

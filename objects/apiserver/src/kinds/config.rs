//! What programs are configured with: ConfigMap, Secret, ServiceAccount.

use super::at::At;
use super::edit::fill_zero;
use super::{GENERIC, Hooks, NameRule, checks, formats};
use crate::status::FieldErrors;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schema::Value;

/// The row of ConfigMap.
pub(crate) const CONFIG_MAP: Hooks = Hooks {
    name: NameRule::Subdomain,
    create: config_map,
    update: |new, old, errors| {
        locked(new, old, &["data", "binaryData"], errors);
        config_map(new, errors);
    },
    ..GENERIC
};

/// The row of Secret.
pub(crate) const SECRET: Hooks = Hooks {
    name: NameRule::Subdomain,
    default: |secret| fill_zero(secret, "type", "Opaque"),
    prepare_create: merge_text,
    prepare_update: |new, old| {
        merge_text(new);
        if new.get("type").and_then(Value::as_str) == Some("") {
            super::edit::take_from(new, old, "type");
        }
    },
    warnings: certificate_warnings,
    create: secret,
    update: |new, old, errors| {
        locked(new, old, &["data"], errors);
        secret(new, errors);
        if new.text_of("type") != old.text_of("type") {
            new.at("type").invalid(errors, checks::IMMUTABLE);
        }
    },
    ..GENERIC
};

/// The row of ServiceAccount.
pub(crate) const SERVICE_ACCOUNT: Hooks = Hooks {
    name: NameRule::Subdomain,
    prepare_create: secrets_by_name,
    prepare_update: |new, _| secrets_by_name(new),
    ..GENERIC
};

/// A service account refers to secrets of its own namespace by name, and says nothing else of them.
fn secrets_by_name(account: &mut Value) {
    let secrets = account.get_mut("secrets").and_then(Value::as_array_mut);
    for secret in secrets.into_iter().flatten() {
        if let Some(members) = secret.as_object_mut() {
            members.retain(|member, _| member == "name");
        }
    }
}

/// *Units*: bytes of all values, decoded.
const DATA_BYTES_MAX: usize = 1 << 20;

fn config_map(map: &At, errors: &mut FieldErrors) {
    let (texts, binaries) = (map.at("data"), map.at("binaryData"));
    let mut bytes = 0;
    for (key, value) in texts.entries() {
        config_key(&value, key, errors);
        if binaries.value.get(key).is_some() {
            value.invalid_as(errors, key, "duplicate of key present in binaryData");
        }
        bytes += value.text().len();
    }
    for (key, value) in binaries.entries() {
        config_key(&value, key, errors);
        bytes += decoded_len(value.text());
    }
    if bytes > DATA_BYTES_MAX {
        map.key("").too_long(errors, DATA_BYTES_MAX);
    }
}

fn config_key(at: &At, key: &str, errors: &mut FieldErrors) {
    for fault in formats::config_key(key) {
        at.invalid_as(errors, key, fault);
    }
}

fn decoded_len(text: &str) -> usize {
    text.trim_end_matches('=').len() * 3 / 4
}

/// What was sealed stays: the seal itself, and the data.
fn locked(new: &At, old: &At, fields: &[&str], errors: &mut FieldErrors) {
    const WORDS: &str = "field is immutable when `immutable` is set";
    if !old.at("immutable").flag() {
        return;
    }
    if !new.at("immutable").flag() {
        new.at("immutable").forbidden(errors, WORDS);
    }
    for field in fields {
        let (now, was) = (new.at(field), old.at(field));
        if now.value != was.value && (!now.is_empty() || !was.is_empty()) {
            now.forbidden(errors, WORDS);
        }
    }
}

/// Texts that the client sent in the clear become data.
fn merge_text(secret: &mut Value) {
    let Some(map) = secret.as_object_mut() else { return };
    let Some(Value::Object(texts)) = map.remove("stringData") else { return };
    let data = map.entry("data").or_insert_with(|| Value::Object(serde_json::Map::new()));
    if data.is_null() {
        *data = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(data) = data {
        for (key, text) in texts {
            let bytes = STANDARD.encode(text.as_str().unwrap_or(""));
            data.insert(key, Value::String(bytes));
        }
    }
}

fn secret(secret: &At, errors: &mut FieldErrors) {
    let data = secret.at("data");
    let mut bytes = 0;
    for (key, value) in data.entries() {
        config_key(&value, key, errors);
        bytes += decoded_len(value.text());
    }
    if bytes > DATA_BYTES_MAX {
        data.too_long(errors, DATA_BYTES_MAX);
    }
    let has = |key: &str| data.value.get(key).is_some();
    let need = |keys: &[&str], errors: &mut FieldErrors| {
        for key in keys.iter().filter(|key| !has(key)) {
            data.key(key).required(errors, "");
        }
    };
    match secret.text_of("type") {
        "kubernetes.io/service-account-token" => {
            let annotations = secret.at("metadata.annotations");
            let name = annotations.key("kubernetes.io/service-account.name");
            if name.is_empty() {
                name.required(errors, "");
            }
        }
        "kubernetes.io/dockercfg" => json_file(&data, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => json_file(&data, ".dockerconfigjson", errors),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            need(&["username", "password"], errors);
        }
        "kubernetes.io/ssh-auth" => {
            checks::required(&data.key("ssh-privatekey"), errors);
        }
        "kubernetes.io/tls" => need(&["tls.crt", "tls.key"], errors),
        _ => {}
    }
}

fn certificate_warnings(secret: &Value, _: Option<&Value>) -> Vec<String> {
    if secret.get("type").and_then(Value::as_str) != Some("kubernetes.io/tls") {
        return Vec::new();
    }
    let part = |key: &str| {
        let text = secret.get("data").and_then(|data| data.get(key)).and_then(Value::as_str);
        STANDARD.decode(text.unwrap_or("")).unwrap_or_default()
    };
    for (key, name) in [("tls.crt", "certificate"), ("tls.key", "key")] {
        if !part(key).windows(10).any(|window| window == b"-----BEGIN") {
            return vec![format!("tls: failed to find any PEM data in {name} input")];
        }
    }
    Vec::new()
}

fn json_file(data: &At, key: &str, errors: &mut FieldErrors) {
    let file = data.key(key);
    if !file.is_set() {
        return file.required(errors, "");
    }
    let bytes = STANDARD.decode(file.text()).unwrap_or_default();
    if let Some(fault) = not_an_object(&bytes) {
        file.invalid_as(errors, "<secret contents redacted>", fault);
    }
}

/// What Go's decoder says of bytes that are no JSON object.
fn not_an_object(bytes: &[u8]) -> Option<String> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Object(_) | Value::Null) => None,
        Ok(other) => {
            let kind = match other {
                Value::Array(_) => "array",
                Value::String(_) => "string",
                Value::Bool(_) => "bool",
                _ => "number",
            };
            let target = "Go value of type map[string]interface {}";
            Some(format!("json: cannot unmarshal {kind} into {target}"))
        }
        Err(fault) if fault.is_eof() => Some("unexpected end of JSON input".to_owned()),
        Err(_) => {
            let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
            let shown = char::from(*first.unwrap_or(&b' '));
            Some(format!("invalid character '{shown}' looking for beginning of value"))
        }
    }
}

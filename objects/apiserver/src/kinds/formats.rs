//! The written forms that Kubernetes asks of names, keys and the like, with its words for what
//! does not fit.
//!
//! Each rule returns what is wrong, nothing when the text fits (and then allocates nothing).
//! Must not know: where the text stands.

use std::borrow::Cow;

/// What is wrong with a text: one entry per broken rule.
pub(crate) type Faults = Vec<Cow<'static, str>>;

/// A written form.
pub(crate) type Format = fn(&str) -> Faults;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_WORDS: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric \
    characters or '-', and must start and end with an alphanumeric character";
const SUBDOMAIN_WORDS: &str = "a lowercase RFC 1123 subdomain must consist of lower case \
    alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const KEY_WORDS: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start \
    and end with an alphanumeric character";
const LABEL_VALUE_WORDS: &str = "a valid label must be an empty string or consist of alphanumeric \
    characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/// The words for a text that does not match the pattern `shape`.
pub(crate) fn mismatch(words: &str, shape: &str, examples: &[&str]) -> Cow<'static, str> {
    if examples.is_empty() {
        return format!("{words} (regex used for validation is '{shape}')").into();
    }
    let quoted: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{words} (e.g. {}regex used for validation is '{shape}')", quoted.join(" or ")).into()
}

fn lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether the first and the last byte satisfy `edge` and all between satisfy it or are in `inner`.
fn framed(text: &str, edge: fn(u8) -> bool, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            edge(*first)
                && edge(*last)
                && bytes.iter().all(|byte| edge(*byte) || inner.contains(byte))
        }
        _ => false,
    }
}

fn is_label(text: &str) -> bool {
    framed(text, lower_or_digit, b"-")
}

/// Whether the text has the form of a DNS subdomain, of any length.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_key(text: &str) -> bool {
    framed(text, |byte| byte.is_ascii_alphanumeric(), b"-_.")
}

/// A DNS label: at most 63 bytes of lower case letters, digits and dashes.
pub(crate) fn dns_label(text: &str) -> Faults {
    let mut faults = too_long(text, 63);
    if !is_label(text) {
        faults.push(if is_subdomain(text) {
            "must not contain dots".into()
        } else {
            mismatch(LABEL_WORDS, LABEL, &["my-name", "123-abc"])
        });
    }
    faults
}

/// A DNS label; one that is too long is told so in bytes.
pub(crate) fn short_name(text: &str) -> Faults {
    called_bytes(dns_label(text))
}

/// A DNS subdomain whose labels may have underscores, also at their beginning.
pub(crate) fn subdomain_with_underscore(text: &str) -> Faults {
    const WORDS: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
        characters, '_', '-' or '.', and must start and end with an alphanumeric character";
    const PART: &str = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
    let mut faults = too_long(text, 253);
    let fits = |part: &str| framed(part.strip_prefix('_').unwrap_or(part), lower_or_digit, b"-_");
    if !text.split('.').all(fits) {
        let shape = format!("{PART}(\\.{PART})*");
        faults.push(mismatch(WORDS, &shape, &["example.com"]));
    }
    faults
}

/// DNS labels joined by dots, at most 253 bytes.
pub(crate) fn dns_subdomain(text: &str) -> Faults {
    let mut faults = too_long(text, 253);
    if !is_subdomain(text) {
        let shape = format!("{LABEL}(\\.{LABEL})*");
        faults.push(mismatch(SUBDOMAIN_WORDS, &shape, &["example.com"]));
    }
    faults
}

/// A DNS subdomain in which letters may be upper case.
pub(crate) fn any_case_subdomain(text: &str) -> Faults {
    const WORDS: &str = "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or \
        '.', and must start and end with an alphanumeric character";
    let mut faults = too_long(text, 253);
    if !is_subdomain(&text.to_ascii_lowercase()) {
        let shape = format!("{LABEL}(\\.{LABEL})*");
        faults.push(mismatch(WORDS, &shape, &["Example.com"]));
    }
    faults
}

/// A DNS label that starts with a letter.
pub(crate) fn dns_1035_label(text: &str) -> Faults {
    const WORDS: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or \
        '-', start with an alphabetic character, and end with an alphanumeric character";
    let mut faults = too_long(text, 63);
    if !(is_label(text) && text.as_bytes()[0].is_ascii_lowercase()) {
        faults.push(mismatch(WORDS, "[a-z]([-a-z0-9]*[a-z0-9])?", &["my-name", "abc-123"]));
    }
    faults
}

/// `*.` and a DNS subdomain.
pub(crate) fn wildcard_subdomain(text: &str) -> Faults {
    const WORDS: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid \
        DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and \
        end with an alphanumeric character";
    let mut faults = too_long(text, 253);
    if !text.strip_prefix("*.").is_some_and(is_subdomain) {
        let shape = format!("\\*\\.{LABEL}(\\.{LABEL})*");
        faults.push(mismatch(WORDS, &shape, &["*.example.com"]));
    }
    faults
}

/// A label key: an optional DNS subdomain and a slash, then a name of at most 63 bytes.
pub(crate) fn qualified_name(text: &str) -> Faults {
    const EXAMPLES: [&str; 3] = ["MyName", "my.name", "123-abc"];
    let (prefix, name) = match text.split_once('/') {
        None => (None, text),
        Some((_, rest)) if rest.contains('/') => {
            let words = mismatch(&format!("a valid label key {KEY_WORDS}"), KEY, &EXAMPLES);
            let hint = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![(words.into_owned() + hint).into()];
        }
        Some((prefix, name)) => (Some(prefix), name),
    };
    let mut faults = match prefix {
        None => Vec::new(),
        Some("") => vec!["prefix part must be non-empty".into()],
        Some(prefix) => each(long_name(prefix), "prefix part "),
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".into());
    } else if name.len() > 63 {
        faults.push("name part must be no more than 63 bytes".into());
    }
    if !is_key(name) {
        faults.push(mismatch(&format!("name part {KEY_WORDS}"), KEY, &EXAMPLES));
    }
    faults
}

/// A DNS subdomain; one that is too long is told so in bytes.
pub(crate) fn long_name(text: &str) -> Faults {
    let mut faults = dns_subdomain(text);
    if text.len() > 253 {
        faults[0] = "must be no more than 253 bytes".into();
    }
    faults
}

/// The value of a label: empty, or at most 63 bytes.
pub(crate) fn label_value(text: &str) -> Faults {
    let mut faults = called_bytes(too_long(text, 63));
    if !text.is_empty() && !is_key(text) {
        let shape = format!("({KEY})?");
        faults.push(mismatch(LABEL_VALUE_WORDS, &shape, &["MyValue", "my_value", "12345"]));
    }
    faults
}

/// What can stand in a URL path as one segment.
pub(crate) fn path_segment(text: &str) -> Faults {
    match text {
        "." | ".." => vec![format!("may not be '{text}'").into()],
        _ => path_segment_prefix(text),
    }
}

/// The beginning of a path segment.
pub(crate) fn path_segment_prefix(text: &str) -> Faults {
    let broken = ['/', '%'].into_iter().filter(|illegal| text.contains(*illegal));
    broken.map(|illegal| format!("may not contain '{illegal}'").into()).collect()
}

/// The name of a port: at most 15 bytes, at least one letter.
pub(crate) fn port_name(text: &str) -> Faults {
    let mut faults = too_long(text, 15);
    let mut unless = |fits: bool, words: &'static str| {
        if !fits {
            faults.push(words.into());
        }
    };
    let bytes = text.as_bytes();
    unless(
        !text.is_empty() && bytes.iter().all(|byte| lower_or_digit(*byte) || *byte == b'-'),
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
    );
    unless(bytes.iter().any(u8::is_ascii_lowercase), "must contain at least one letter (a-z)");
    unless(!text.contains("--"), "must not contain consecutive hyphens");
    unless(!text.starts_with('-') && !text.ends_with('-'), "must not begin or end with a hyphen");
    faults
}

/// The name of an environment variable: printable ASCII without `=`.
pub(crate) fn environment_name(text: &str) -> Faults {
    const WORDS: &str = "a valid environment variable name must consist only of printable ASCII \
        characters other than '='";
    let mut faults = Vec::new();
    if text.is_empty() {
        faults.push("environment variable name must be non-empty".into());
    }
    if text.bytes().any(|byte| !(b' '..=b'~').contains(&byte) || byte == b'=') {
        faults.push(WORDS.into());
    }
    faults
}

/// A key of a ConfigMap or Secret: what can be a file name.
pub(crate) fn config_key(text: &str) -> Faults {
    const WORDS: &str =
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
    let mut faults = too_long(text, 253);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if text.is_empty() || !text.bytes().all(allowed) {
        let examples = ["key.name", "KEY_NAME", "key-name"];
        faults.push(mismatch(WORDS, "[-._a-zA-Z0-9]+", &examples));
    }
    match text {
        "." => faults.push("must not be '.'".into()),
        ".." => faults.push("must not be '..'".into()),
        _ if text.starts_with("..") => faults.push("must not start with '..'".into()),
        _ => {}
    }
    faults
}

/// The name of an HTTP header.
pub(crate) fn header_name(text: &str) -> Faults {
    const WORDS: &str = "a valid HTTP header must consist of alphanumeric characters or '-'";
    let fits =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fits { Vec::new() } else { vec![mismatch(WORDS, "[-A-Za-z0-9]+", &["X-Header-Name"])] }
}

/// Digits and a percent sign.
pub(crate) fn percent(text: &str) -> Faults {
    const WORDS: &str = "a valid percent string must be a numeric string followed by an ending '%'";
    let digits = text.strip_suffix('%').unwrap_or("");
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Vec::new();
    }
    vec![mismatch(WORDS, "[0-9]+%", &["1%", "93%"])]
}

/// Compat: bytes are counted and called characters, but for the values and prefixes of labels.
fn too_long(text: &str, bytes_max: usize) -> Faults {
    if text.len() > bytes_max {
        vec![format!("must be no more than {bytes_max} characters").into()]
    } else {
        Vec::new()
    }
}

fn called_bytes(faults: Faults) -> Faults {
    let said = |fault: Cow<'static, str>| match fault.strip_suffix(" characters") {
        Some(limit) => format!("{limit} bytes").into(),
        None => fault,
    };
    faults.into_iter().map(said).collect()
}

fn each(faults: Faults, prefix: &str) -> Faults {
    faults.into_iter().map(|fault| format!("{prefix}{fault}").into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_have_no_faults() {
        for (rule, text) in [
            (dns_label as Format, "a-1"),
            (dns_subdomain, "a.b-c.9"),
            (dns_1035_label, "web"),
            (qualified_name, "example.com/My_Name"),
            (label_value, ""),
            (port_name, "http-1"),
            (environment_name, "a b-c.d"),
            (config_key, "a..b"),
            (percent, "25%"),
        ] {
            assert_eq!(rule(text), Faults::new(), "{text}");
        }
    }

    #[test]
    fn a_name_with_dots_is_told_so_where_a_label_is_asked() {
        assert_eq!(dns_label("a.b"), ["must not contain dots"]);
        assert!(dns_label("a..b")[0].starts_with("a lowercase RFC 1123 label"));
    }

    #[test]
    fn a_limit_is_told_in_bytes_where_the_rule_is_generated_and_the_words_stay() {
        let long = "A".repeat(64);
        assert_eq!(dns_label(&long)[0], "must be no more than 63 characters");
        assert_eq!(short_name(&long)[0], "must be no more than 63 bytes");
        assert_eq!(short_name(&long)[1], dns_label(&long)[1]);
    }

    #[test]
    fn every_broken_rule_of_a_port_name_is_named() {
        assert_eq!(port_name("-1--2-").len(), 3);
        assert_eq!(port_name("a_b").len(), 1);
        assert_eq!(port_name("abcdefghijklmnop"), ["must be no more than 15 characters"]);
    }
}

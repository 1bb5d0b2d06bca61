//! What kubectl prints, with what is each server's own taken out.
//!
//! Must not know: how it was run.

use crate::diff::mask::{is_age, mask_text};

/// The output, comparable line by line.
#[must_use]
pub(super) fn comparable(output: &str, own_port: u16, explains: bool) -> Vec<String> {
    let own = format!("127.0.0.1:{own_port}");
    let lines = output.lines().filter(|line| !explains || is_structure(line));
    // How far a rollout had come when kubectl looked is a matter of time.
    let lines = lines.filter(|line| !line.starts_with("Waiting for deployment "));
    lines.map(|text| line(&text.replace(&own, "<server>"))).collect()
}

/// Whether a line of `kubectl explain` names a kind, a field, its type or its values; what
/// describes them is left out.
fn is_structure(line: &str) -> bool {
    let heading = ["GROUP:", "KIND:", "VERSION:", "FIELD:", "FIELDS:", "error:"];
    let values = line.trim_start().starts_with("enum:");
    let field = line.contains("\t<") && line.contains('>');
    values || field || heading.iter().any(|heading| line.starts_with(heading))
}

fn line(text: &str) -> String {
    let text = without_time(&without_log_prefix(text));
    let indent = text.len() - text.trim_start().len();
    let words: Vec<String> = text.split_whitespace().map(word).collect();
    // Columns are as wide as their widest word, which may be one that is taken out.
    let line = " ".repeat(indent) + &words.join(" ");
    after_key(&line, "resourceVersion: ", "resourceVersion: <rv>")
        .or_else(|| after_key(&line, "\"resourceVersion\": ", "\"resourceVersion\": <rv>"))
        .unwrap_or(line)
}

fn after_key(line: &str, key: &str, shown: &str) -> Option<String> {
    let at = line.find(key)?;
    Some(format!("{}{shown}", &line[..at]))
}

/// One word: an age, a name with generated characters, a temporary folder, …
fn word(word: &str) -> String {
    let bare = word.trim_matches(['(', ')', ',', '"', '\'', ':']);
    if is_age(bare) && !bare.ends_with('y') {
        return word.replace(bare, "<age>");
    }
    let masked = mask_text(word);
    let folders = ["/LIVE-", "/MERGED-", "/kubectl-edit-"].iter().find_map(|folder| {
        let (before, after) = masked.split_once(folder)?;
        let after = after.trim_start_matches(|next: char| next.is_ascii_digit());
        let before = before.rfind(['"', '\'']).map_or("", |at| &before[..=at]);
        Some(format!("{before}{folder}<n>{after}"))
    });
    let masked = folders.unwrap_or(masked);
    masked.split('/').map(without_suffix).collect::<Vec<_>>().join("/")
}

/// `web-7c5d9f8b9-x2b4f` ends in five characters that are drawn.
fn without_suffix(name: &str) -> String {
    let end = name.trim_end_matches([':', ',', '"', '\'', ')']).len();
    let (bare, rest) = name.split_at(end);
    match bare.rsplit_once('-') {
        Some((base, suffix))
            if suffix.len() == 5
                && suffix.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte)) =>
        {
            format!("{base}-<5>{rest}")
        }
        _ => name.to_owned(),
    }
}

/// `E1121 12:26:32.263860   32543 memcache.go:265] …` begins with a time and a process id.
fn without_log_prefix(text: &str) -> String {
    let severity = text.starts_with(['E', 'W', 'I', 'F']);
    let numbered = text.get(1..5).is_some_and(|day| day.bytes().all(|byte| byte.is_ascii_digit()));
    match text.split_once("] ") {
        Some((_, message)) if severity && numbered => format!("<log> {message}"),
        _ => text.to_owned(),
    }
}

/// `Sat, 21 Nov 2026 12:26:32 +0000`, and `2026-11-21 12:26:32.1 +0000`.
fn without_time(text: &str) -> String {
    let text = without_precise_time(text);
    let Some(at) = text.find(" 202") else { return text };
    let after = &text[at + 1..];
    let long = after.len() > 4 && after[4..].starts_with(' ') && after.contains(':');
    if long && let Some(comma) = text[..at].rfind(", ") {
        let end = after.find(" +0000").map_or(after.len(), |zone| zone + " +0000".len());
        return format!("{}<time>{}", &text[..comma.saturating_sub(3)], &after[end..]);
    }
    text
}

/// `2026-11-21 12:26:32.1 +0000`, as `diff` prints it.
fn without_precise_time(text: &str) -> String {
    match text.split_once("\t202") {
        Some((before, after)) if after.contains(" +0000") => format!("{before} <time>"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn what_is_a_servers_own_is_taken_out_and_the_rest_stays() {
        for (text, shown) in [
            (
                "web-7c5d9f8b9-x2b4f   1/1     Running   0          5s",
                "web-7c5d9f8b9-<5> 1/1 Running 0 <age>",
            ),
            ("  resourceVersion: \"123\"", "  resourceVersion: <rv>"),
            ("CreationTimestamp:  Sat, 21 Nov 2026 12:26:32 +0000", "CreationTimestamp: <time>"),
            ("E1121 12:26:32.263860   32543 memcache.go:265] \"Unhandled\"", "<log> \"Unhandled\""),
            ("pod \"one\" deleted", "pod \"one\" deleted"),
        ] {
            assert_eq!(line(text), shown);
        }
    }
}

//! What two runs of one line may differ in: ids, addresses, times, and positions in the log.

/// The text with those parts replaced.
pub(super) fn mask(words: &str, text: &str) -> String {
    // The hash covers lease ids, which differ.
    let figures: &[usize] = match words {
        _ if words.starts_with("endpoint status") => &[4, 5, 6, 11, 12],
        _ if words.starts_with("endpoint hashkv") => &[1],
        _ => &[],
    };
    let lines = text.lines().map(|line| {
        let is_json = line.starts_with(['[', '{']);
        let line = if is_json { line.to_owned() } else { without(figures, line) };
        tokens(&ports(&line))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A line of fields without some of them.
fn without(figures: &[usize], line: &str) -> String {
    let fields = line.split(", ").enumerate();
    let fields = fields.map(|(at, field)| if figures.contains(&at) { "<figure>" } else { field });
    fields.collect::<Vec<_>>().join(", ")
}

/// The text with each local port masked.
fn ports(line: &str) -> String {
    const HOST: &str = "127.0.0.1:";
    let mut parts = line.split(HOST);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        masked.push_str("<host>");
        masked.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    masked
}

/// Fields of JSON whose numbers are the server's own affair.
const FIGURES: [&str; 7] =
    ["raftIndex", "raftAppliedIndex", "dbSize", "dbSizeInUse", "ttl", "took", "hash"];

/// The same of `-w fields`.
const SHOWN: [&str; 7] =
    ["RaftIndex", "RaftAppliedIndex", "DBSize", "DBSizeInUse", "Hash", "Took", "TTL"];

/// A message on the wire as text, its ids masked; `None` when the bytes are none.
pub(super) fn message(bytes: &[u8]) -> Option<String> {
    let mut rest = bytes;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => match varint(&mut rest)? {
                id if id >= ID_MIN => "<id>".to_owned(),
                value => value.to_string(),
            },
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                let inner = rest.get(..length)?;
                rest = &rest[length..];
                // Text that happens to be a message is one on both sides.
                message(inner).filter(|_| !inner.is_empty()).unwrap_or_else(|| quoted(inner))
            }
            _ => return None,
        };
        fields.push(format!("{}:{value}", tag >> 3));
    }
    (fields.len() < 1000).then(|| format!("{{{}}}", fields.join(" ")))
}

/// Smaller numbers are no ids.
const ID_MIN: u64 = 1 << 40;

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", ports(&bytes.escape_ascii().to_string()))
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn tokens(line: &str) -> String {
    let mut masked = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | 'µ');
        let end = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (token, after) = rest.split_at(end);
        let token = one(&masked, token);
        // An id is padded to sixteen digits, and one in sixteen begins with a zero.
        if token == "<id>" {
            masked
                .truncate(masked.trim_end_matches(' ').len() + usize::from(masked.ends_with(' ')));
        }
        masked.push_str(&token);
        rest = after;
    }
    masked
}

fn one(before: &str, token: &str) -> String {
    let is_id = token.len() >= 15 && token.chars().all(|c| c.is_ascii_hexdigit());
    let in_figure = FIGURES.iter().any(|name| {
        before.ends_with(&format!("\"{name}\":")) || before.ends_with(&format!("\"{name}\":\""))
    });
    let in_fields = SHOWN.iter().any(|name| before.ends_with(&format!("\"{name}\" : ")));
    let is_time =
        before.ends_with("took = ") || before.ends_with("took ") || before.ends_with("remaining(");
    if is_id {
        "<id>".to_owned()
    } else if in_figure || in_fields || is_time {
        "<figure>".to_owned()
    } else {
        token.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{mask, message};

    #[test]
    fn a_message_is_told_field_by_field_without_its_ids() {
        let bytes = b"\x0a\x0c\x08\x80\x80\x80\x80\x80\x80\x80\x80\x01\x18\x05\x12\x05hello";
        assert_eq!(message(bytes).as_deref(), Some(r#"{1:{1:<id> 3:5} 2:"hello"}"#));
        assert_eq!(message(b"compacted revision 5\n"), None);
    }

    #[test]
    fn ids_addresses_and_times_are_masked_and_nothing_else() {
        let rows = [
            (
                "x",
                r#"{"member_id":12058907941444434240,"revision":12}"#,
                r#"{"member_id":<id>,"revision":12}"#,
            ),
            ("x", "in cluster  f82d3f0ce1b2a3", "in cluster  f82d3f0ce1b2a3"),
            ("x", "in cluster  f82d3f0ce1b2a3c", "in cluster <id>"),
            (
                "x",
                "lease 3940a1fea8f76119 granted with TTL(60s), remaining(59s)",
                "lease <id> granted with TTL(60s), remaining(<figure>)",
            ),
            (
                "x",
                "http://127.0.0.1:2379 is healthy: took = 2.6ms",
                "http://<host> is healthy: took = <figure>",
            ),
            (
                "endpoint status",
                "a, b, 3.7.3, 3.7.0, 20 kB, 16 kB, 20%, 2.1 GB, true, false, 2, 22, 22, , , false",
                "a, b, 3.7.3, 3.7.0, <figure>, <figure>, <figure>, 2.1 GB, true, false, 2, <figure>, <figure>, , , false",
            ),
        ];
        for (words, text, expected) in rows {
            assert_eq!(mask(words, text), expected);
        }
    }
}

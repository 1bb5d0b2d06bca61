//! What etcdctl prints, with what is each server's own taken out: ids, ports, terms, sizes, times.
//!
//! Must not know: how it was run.

use programs::transcript::script::Line;

/// What is a member's own.
pub(super) struct Own {
    pub(super) cluster_id: u64,
    pub(super) member_id: u64,
    pub(super) client_url: String,
    pub(super) peer_url: String,
}

/// JSON members whose numbers are the server's own.
const OWN_NUMBERS: &[&str] = &[
    "raft_term",
    "raftTerm",
    "raftIndex",
    "raftAppliedIndex",
    "dbSize",
    "dbSizeInUse",
    "remaining",
    "RaftTerm",
    "RaftIndex",
    "RaftAppliedIndex",
    "DBSize",
    "DBSizeInUse",
];

impl Own {
    /// The output, comparable line by line.
    pub(super) fn comparable(&self, line: &Line, output: &str) -> Vec<String> {
        let is = |words: &[&str]| line.words.iter().zip(words).all(|(word, other)| word == other);
        let measures = is(&["endpoint", "status"]) || is(&["endpoint", "health"]);
        let grants = is(&["lease", "grant"]);
        let identifies = is(&["member", "list"]);
        let lines = output.lines().map(|text| {
            let text = numbers(&self.without_names(&log_line(text)));
            let text = if grants { number_after(&text, "ID") } else { text };
            let text = if identifies { self.border(&text) } else { text };
            let words = text.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
            if measures { figures(&words) } else { words }
        });
        lines.collect()
    }

    /// The border of a table of members as if the id had all of its digits: one that begins with a
    /// zero is printed without it.
    fn border(&self, text: &str) -> String {
        let first = border_of(format!("{:x}", self.member_id).len());
        for corner in ['┌', '├', '└'] {
            let end = text.strip_prefix(corner).and_then(|rest| rest.strip_prefix(&first));
            if let Some(end) = end.filter(|end| !end.starts_with('─')) {
                return format!("{corner}{}{end}", border_of(16));
            }
        }
        text.to_owned()
    }

    fn without_names(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (id, name) in [(self.cluster_id, "<cluster>"), (self.member_id, "<member>")] {
            text = text.replace(&format!("{id:x}"), name).replace(&id.to_string(), name);
        }
        for (url, name) in [(&self.client_url, "<client>"), (&self.peer_url, "<peer>")] {
            let address = url.trim_start_matches("http://");
            text = text.replace(address, name);
        }
        text
    }
}

/// The border of a column of ids, with a space on each side.
fn border_of(digits: usize) -> String {
    "─".repeat(digits + 2)
}

fn numbers(text: &str) -> String {
    OWN_NUMBERS.iter().fold(text.to_owned(), |text, name| number_after(&text, name))
}

/// The number of a JSON member, or of a line of `-w fields`.
fn number_after(text: &str, name: &str) -> String {
    let mut text = text.to_owned();
    for separator in [":", " : "] {
        let start = format!("\"{name}\"{separator}");
        let mut from = 0;
        while let Some(at) = text[from..].find(&start) {
            let begin = from + at + start.len();
            let digits = text[begin..].bytes().take_while(u8::is_ascii_digit).count();
            text.replace_range(begin..begin + digits, "<n>");
            from = begin;
        }
    }
    text
}

/// One word: a duration, a key that ends in the lease of its session.
fn word(word: &str) -> String {
    let bare = word.trim_matches(['(', ')', ',', '.', '"', ':', '|']);
    let number = bare.trim_end_matches(|unit: char| unit.is_alphabetic());
    let unit = &bare[number.len()..];
    let is_number = number.parse::<f64>().is_ok();
    if let Some((name, lease)) = bare.rsplit_once('/')
        && lease.len() >= 14
        && lease.bytes().all(|digit| digit.is_ascii_hexdigit())
    {
        return word.replace(bare, &format!("{name}/<lease>"));
    }
    if is_number && ["ns", "µs", "us", "ms", "s", "m0"].contains(&unit) {
        return word.replace(bare, "<time>");
    }
    word.to_owned()
}

/// A log line of the client library: when, where in its source, from and to which address, how long
/// and how much are its own.
fn log_line(line: &str) -> String {
    let strings = ["ts", "caller", "target", "size", "took"];
    let line = strings
        .iter()
        .fold(line.to_owned(), |line, name| between(&line, &format!("\"{name}\":\""), "\"", name));
    between(&line, "LocalAddr: '", "'", "local")
}

/// What stands between two marks, by its name.
fn between(text: &str, start: &str, end: &str, name: &str) -> String {
    let Some(begin) = text.find(start).map(|at| at + start.len()) else { return text.to_owned() };
    let end = text[begin..].find(end).map_or(text.len(), |at| begin + at);
    format!("{}<{name}>{}", &text[..begin], &text[end..])
}

/// Figures of a member's state: each number is `#`.
fn figures(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars() {
        match letter {
            '0'..='9' | '.' if shown.ends_with('#') => {}
            // The border of a column is as wide as its figures.
            '─' if shown.ends_with('─') => {}
            '0'..='9' => shown.push('#'),
            other => shown.push(other),
        }
    }
    // What a size is counted in follows from the size.
    ["kB", "MB", "GB"].iter().fold(shown, |shown, unit| shown.replace(&format!("# {unit}"), "# B"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_servers_own_is_taken_out_and_the_rest_stays() {
        let own = Own {
            cluster_id: 0xcdf8_181c_dd46_0b1e,
            member_id: 0x8e9e_05c5_2164_694d,
            client_url: "http://127.0.0.1:2379".to_owned(),
            peer_url: "http://127.0.0.1:2380".to_owned(),
        };
        let line = |words: &str| Line {
            words: words.split(' ').map(str::to_owned).collect(),
            ..Line::default()
        };
        for (words, output, shown) in [
            (
                "get a",
                "{\"header\":{\"cluster_id\":14841639084249975582,\"revision\":3,\"raft_term\":2}}",
                "{\"header\":{\"cluster_id\":<cluster>,\"revision\":3,\"raft_term\":<n>}}",
            ),
            (
                "member list",
                "8e9e05c52164694d, started, m0, http://127.0.0.1:2380, http://127.0.0.1:2379, false",
                "<member>, started, m0, http://<peer>, http://<client>, false",
            ),
            ("get a -w fields", "\"RaftTerm\" : 17", "\"RaftTerm\" : <n>"),
            (
                "endpoint health",
                "127.0.0.1:2379 is healthy: successfully committed proposal: took = 2.1ms",
                "<client> is healthy: successfully committed proposal: took = <time>",
            ),
            (
                "endpoint status",
                "127.0.0.1:2379, 8e9e05c52164694d, 3.7.3, 20 kB, true, 5,",
                "<client>, <member>, #, # B, true, #,",
            ),
            ("put a", "OK", "OK"),
            ("elect e", "e/43bda1fee750e38e", "e/<lease>"),
            ("lease grant 5 -w json", "{\"ID\":123,\"ttl\":5}", "{\"ID\":<n>,\"ttl\":5}"),
        ] {
            assert_eq!(own.comparable(&line(words), output), [shown], "{words}");
        }
    }

    #[test]
    fn the_border_of_a_shorter_id_is_made_longer_and_no_other() {
        let own = |member_id| Own {
            cluster_id: 1,
            member_id,
            client_url: "http://127.0.0.1:2379".to_owned(),
            peer_url: "http://127.0.0.1:2380".to_owned(),
        };
        let (short, whole) = (own(0x0e9e_05c5_2164_694d), own(0x8e9e_05c5_2164_694d));
        let row = |width: usize| format!("┌{}┬─────────┐", "─".repeat(width));
        assert_eq!(short.border(&row(17)), row(18));
        assert_eq!(whole.border(&row(18)), row(18));
        for (own, width) in [(&short, 16), (&short, 18), (&whole, 17)] {
            assert_eq!(own.border(&row(width)), row(width), "it is no border of that id");
        }
    }

    #[test]
    fn a_log_line_keeps_its_message() {
        let line = "{\"level\":\"warn\",\"ts\":\"2026\",\"caller\":\"a.go:1\",\"msg\":\"m\"}";
        assert_eq!(
            log_line(line),
            "{\"level\":\"warn\",\"ts\":\"<ts>\",\"caller\":\"<caller>\",\"msg\":\"m\"}"
        );
    }
}

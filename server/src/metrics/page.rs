//! Writes series in Prometheus' text format 0.0.4, the one that etcd answers with.
//!
//! Invariants: one `# HELP` and `# TYPE` per family, with the family's full name; labels in the
//! order in which they are given; values are plain numbers.
//! Must not know: where a number comes from.

use std::fmt::{Display, Write as _};

use super::histogram::Snapshot;

/// A label's name and value.
pub(super) type Label<'a> = (&'a str, &'a str);

/// A page under way.
#[derive(Debug)]
pub(super) struct Page(String);

impl Page {
    /// An empty page.
    pub(super) fn new() -> Self {
        Page(String::with_capacity(256 * 1024))
    }

    /// The finished text.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// One series without labels, of the type `gauge`.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, help, "gauge").sample("", &[], value);
    }

    /// One series without labels, of the type `counter`; by custom the name ends in `_total`.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, help, "counter").sample("", &[], value);
    }

    /// One histogram without labels.
    pub(super) fn histogram(&mut self, name: &str, help: &str, snapshot: &Snapshot) {
        self.family(name, help, "histogram").histogram(&[], snapshot);
    }

    /// Begins a family of series. A family without samples is not shown at all.
    pub(super) fn family<'a>(
        &'a mut self,
        name: &'a str,
        help: &'a str,
        kind: &'a str,
    ) -> Family<'a> {
        Family { page: self, name, help, kind, begun: false }
    }
}

/// A family of series.
pub(super) struct Family<'a> {
    page: &'a mut Page,
    name: &'a str,
    help: &'a str,
    kind: &'a str,
    begun: bool,
}

impl Family<'_> {
    /// One sample; `suffix` follows the family's name.
    pub(super) fn sample(&mut self, suffix: &str, labels: &[Label<'_>], value: impl Display) {
        let Family { name, help, kind, .. } = *self;
        let text = &mut self.page.0;
        if !std::mem::replace(&mut self.begun, true) {
            text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        }
        text.push_str(name);
        text.push_str(suffix);
        for (at, (label, value)) in labels.iter().enumerate() {
            text.push(if at == 0 { '{' } else { ',' });
            text.push_str(label);
            text.push_str("=\"");
            escape(value, text);
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        writeln!(text, " {value}").expect("a String takes everything");
    }

    /// The buckets, the sum and the count of one histogram.
    pub(super) fn histogram(&mut self, labels: &[Label<'_>], snapshot: &Snapshot) {
        let mut below = 0;
        for (bound, count) in &snapshot.buckets {
            below += count;
            let bound = match bound {
                Some(bound) => bound.to_string(),
                None => "+Inf".to_owned(),
            };
            let with_bound: Vec<Label<'_>> =
                labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.sample("_bucket", &with_bound, below);
        }
        self.sample("_sum", labels, snapshot.sum);
        self.sample("_count", labels, below);
    }
}

fn escape(value: &str, text: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            _ => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_look_as_prometheus_wants_them() {
        let mut page = Page::new();
        page.counter("a_total", "Of a", 3);
        let snapshot = Snapshot { sum: 1.5, buckets: vec![(Some(0.001), 1), (None, 2)] };
        page.family("b", "Of b", "histogram").histogram(&[("x", "q\"\\\n")], &snapshot);
        page.family("c", "Nothing", "gauge");
        let expected = "# HELP a_total Of a\n# TYPE a_total counter\na_total 3\n\
            # HELP b Of b\n# TYPE b histogram\n\
            b_bucket{x=\"q\\\"\\\\\\n\",le=\"0.001\"} 1\n\
            b_bucket{x=\"q\\\"\\\\\\n\",le=\"+Inf\"} 3\n\
            b_sum{x=\"q\\\"\\\\\\n\"} 1.5\nb_count{x=\"q\\\"\\\\\\n\"} 3\n";
        assert_eq!(page.into_text(), expected);
    }
}

//! The text format of Prometheus, as far as a console needs it.
//!
//! Invariants: unreadable lines are left out; no input makes it fail.

use std::collections::BTreeMap;

/// All series of a scrape by name.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    series: BTreeMap<String, Vec<(Option<f64>, f64)>>,
}

impl Metrics {
    /// Reads a scrape; of labels only `le` is kept.
    pub(crate) fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, bound, value)) = sample(line) else { continue };
            metrics.series.entry(name.to_owned()).or_default().push((bound, value));
        }
        metrics
    }

    /// The sum over all labels; none when there is no such series.
    pub(crate) fn sum(&self, name: &str) -> Option<f64> {
        self.series.get(name).map(|all| all.iter().map(|(_, value)| value).sum())
    }

    /// The bound below which this share of a histogram's observations lies; none without any.
    pub(crate) fn quantile(&self, name: &str, share: f64) -> Option<f64> {
        let buckets = self.series.get(&format!("{name}_bucket"))?;
        let mut counts: Vec<(f64, f64)> = Vec::new();
        for (bound, count) in buckets {
            let bound = (*bound)?;
            match counts.iter_mut().find(|(other, _)| *other == bound) {
                Some((_, sum)) => *sum += count,
                None => counts.push((bound, *count)),
            }
        }
        counts.sort_by(|one, other| one.0.total_cmp(&other.0));
        let total = counts.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
        counts.into_iter().find(|(_, count)| *count >= total * share).map(|(bound, _)| bound)
    }
}

/// `name{labels} value [time]`.
fn sample(line: &str) -> Option<(&str, Option<f64>, f64)> {
    let (name, labels, rest) = match line.find('{') {
        Some(open) => {
            let close = line.rfind('}').filter(|close| *close > open)?;
            (&line[..open], &line[open + 1..close], &line[close + 1..])
        }
        None => {
            let (name, rest) = line.split_once(' ')?;
            (name, "", rest)
        }
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    let bound = labels.split(',').find_map(|label| label.trim().strip_prefix("le=\""));
    let bound = bound.and_then(|text| match text.trim_end_matches('"') {
        "+Inf" => Some(f64::INFINITY),
        number => number.parse().ok(),
    });
    Some((name, bound, value))
}

#[cfg(test)]
mod tests {
    use super::Metrics;

    const SCRAPE: &str = "# HELP x y\n\
        etcd_mvcc_put_total 12\n\
        grpc_total{code=\"OK\",m=\"a\"} 3\n\
        grpc_total{code=\"No\",m=\"b\"} 4\n\
        sync_bucket{le=\"0.001\"} 90\n\
        sync_bucket{le=\"0.01\"} 99\n\
        sync_bucket{le=\"+Inf\"} 100\n\
        broken\n\
        worse{ 7\n\
        empty_bucket{le=\"+Inf\"} 0\n";

    #[test]
    fn series_are_summed_over_their_labels() {
        let metrics = Metrics::parse(SCRAPE);
        assert_eq!(metrics.sum("etcd_mvcc_put_total"), Some(12.0));
        assert_eq!(metrics.sum("grpc_total"), Some(7.0));
        assert_eq!(metrics.sum("nothing"), None);
    }

    #[test]
    fn a_quantile_is_the_bound_of_its_bucket() {
        let metrics = Metrics::parse(SCRAPE);
        assert_eq!(metrics.quantile("sync", 0.5), Some(0.001));
        assert_eq!(metrics.quantile("sync", 0.99), Some(0.01));
        assert_eq!(metrics.quantile("sync", 1.0), Some(f64::INFINITY));
        assert_eq!(metrics.quantile("empty", 0.99), None);
    }
}

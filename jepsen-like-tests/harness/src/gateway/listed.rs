//! What the page of compatibility lists, held against the real etcd: that each path of the gateway
//! is there on both, and that none of the real etcd's series is left out.
//!
//! Must not know: which paths and series there are; the page says so.

use anyhow::Result;

use super::{Outcome, Pair, ask_both, http};

const PAGE: &str = include_str!("../../../../docs/compatibility/etcd.md");

/// Compat: etcd never answers a watch whose first line it cannot read; the suite's streams ask it.
const SILENT: &str = "/v3/watch";

/// Asks both.
pub(super) async fn run(pair: Pair<'_>, outcome: &mut Outcome) -> Result<()> {
    for path in paths() {
        // Nothing that a service could act on: who has the path reads it, and refuses it.
        if path != SILENT {
            let name = format!("POST {path} x");
            outcome.add(ask_both(pair, "POST", path, "", b"x", &name).await?.0);
        }
        outcome.add(ask_both(pair, "GET", path, "", b"", &format!("GET {path}")).await?.0);
    }
    for path in words().filter(|word| word.starts_with("/livez") || word.starts_with("/readyz")) {
        let path = format!("{path}?verbose");
        outcome.add(ask_both(pair, "GET", &path, "", b"", &format!("GET {path}")).await?.0);
    }
    let told = http::ask(pair[0], "GET", "/metrics", "", b"").await?;
    let told = told.body.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    for series in told.filter_map(|line| line.split(' ').next()) {
        let missing = (!is_listed(series)).then(|| format!("{series} is not on the page"));
        outcome.add(missing);
    }
    Ok(())
}

/// The rows of the page that begin with a word in backticks: that word.
fn words() -> impl Iterator<Item = &'static str> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.flat_map(|row| row.split(" | ").next().unwrap_or_default().split("`, `"))
        .map(|word| word.trim_end_matches('`'))
}

fn paths() -> impl Iterator<Item = &'static str> {
    words().filter(|word| word.starts_with("/v3/") && word.is_ascii())
}

/// Whether a row names a series, or the group that it belongs to.
fn is_listed(series: &str) -> bool {
    words().any(|word| match word.strip_suffix('*') {
        Some(group) => series.starts_with(group),
        None => series == word,
    })
}

#[cfg(test)]
mod tests {
    use super::{is_listed, paths};

    #[test]
    fn the_page_lists_paths_and_series_as_they_are_looked_for() {
        assert!(paths().count() > 50, "{}", paths().count());
        assert!(is_listed("etcd_server_has_leader") && is_listed("go_goroutines"));
        assert!(!is_listed("etcd_server_has_leaders"));
    }
}

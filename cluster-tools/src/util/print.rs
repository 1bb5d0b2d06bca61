//! The formats of `-w`, as etcdutl has them.

use bbolt::etcd::Summary;
use clap::ValueEnum;
use serde_json::json;
use store::HashKv;

use super::line;
use crate::ToolError;

/// How an answer is written to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Values parted by commas.
    Simple,
    /// One JSON document.
    Json,
    /// A name and a value on each line.
    Fields,
    /// A table with a border.
    Table,
}

/// A snapshot in numbers.
pub(super) fn summary(sum: &Summary, format: Format) -> Result<(), ToolError> {
    let size = human_bytes(sum.total_bytes);
    match format {
        Format::Json => line(format_args!(
            "{}",
            json!({
                "hash": sum.hash, "revision": sum.revision, "totalKey": sum.total_keys,
                "totalSize": sum.total_bytes, "version": sum.version,
            })
        )),
        Format::Fields => {
            line(format_args!("\"Hash\" : {}", sum.hash))?;
            line(format_args!("\"Revision\" : {}", sum.revision))?;
            line(format_args!("\"Keys\" : {}", sum.total_keys))?;
            line(format_args!("\"Size\" : {}", sum.total_bytes))?;
            line(format_args!("\"Version\" : {}", sum.version))
        }
        Format::Simple | Format::Table => row(
            &["hash", "revision", "total keys", "total size", "version"],
            &[
                format!("{:x}", sum.hash),
                sum.revision.to_string(),
                sum.total_keys.to_string(),
                size,
                sum.version.clone(),
            ],
            format,
        ),
    }
}

/// A hash of a history.
pub(super) fn hash(hash: &HashKv, format: Format) -> Result<(), ToolError> {
    let HashKv { hash, compact_revision, hash_revision } = *hash;
    match format {
        Format::Json => line(format_args!(
            "{}",
            json!({
                "hash": hash, "hashRevision": hash_revision.0,
                "compactRevision": compact_revision.0,
            })
        )),
        Format::Fields => {
            line(format_args!("\"Hash\" : {hash}"))?;
            line(format_args!("\"Hash revision\" : {hash_revision}"))?;
            line(format_args!("\"Compact revision\" : {compact_revision}"))
        }
        Format::Simple | Format::Table => row(
            &["hash", "hash revision", "compact revision"],
            &[hash.to_string(), hash_revision.to_string(), compact_revision.to_string()],
            format,
        ),
    }
}

/// One row: bare, or as a table of its own.
fn row(names: &[&str], values: &[String], format: Format) -> Result<(), ToolError> {
    if format != Format::Table {
        return line(format_args!("{}", values.join(", ")));
    }
    let columns = names.iter().zip(values);
    let widths: Vec<usize> =
        columns.map(|(name, value)| name.len().max(value.chars().count())).collect();
    let border = |left: &str, middle: &str, right: &str| {
        let parts: Vec<String> = widths.iter().map(|width| "─".repeat(width + 2)).collect();
        format!("{left}{}{right}", parts.join(middle))
    };
    let names: Vec<String> =
        names.iter().zip(&widths).map(|(n, w)| format!(" {:^w$} ", n.to_uppercase())).collect();
    let values: Vec<String> =
        values.iter().zip(&widths).map(|(value, w)| format!(" {value:>w$} ")).collect();
    line(format_args!("{}", border("┌", "┬", "┐")))?;
    line(format_args!("│{}│", names.join("│")))?;
    line(format_args!("{}", border("├", "┼", "┤")))?;
    line(format_args!("│{}│", values.join("│")))?;
    line(format_args!("{}", border("└", "┴", "┘")))
}

/// Compat: etcdutl's sizes: thousands, one digit after the point below ten.
fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 10 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog10() / 3) as usize;
    let value = bytes as f64 / 1000_f64.powi(power as i32);
    let value = (value * 10.0 + 0.5).floor() / 10.0;
    match value < 10.0 {
        true => format!("{value:.1} {}", UNITS[power]),
        false => format!("{value:.0} {}", UNITS[power]),
    }
}

#[cfg(test)]
mod tests {
    use super::human_bytes;

    #[test]
    fn sizes_are_etcdutls() {
        let shown = [(0, "0 B"), (20_480, "20 kB"), (4_096, "4.1 kB"), (16_801_792, "17 MB")];
        for (bytes, text) in shown {
            assert_eq!(human_bytes(bytes), text);
        }
        assert_eq!(human_bytes(u64::MAX), "18 EB");
    }
}

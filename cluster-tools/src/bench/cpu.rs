//! CPU time of processes, from `/proc/<pid>/stat` (proc(5): fields 14 and 15, in ticks of 10 ms).
//!
//! Must not know: what the processes do.

use std::time::Duration;

/// Ticks per second of the kernel's user interface: USER_HZ, 100 on every Linux platform in use.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time the processes have used so far; a process that is gone counts as zero.
pub(crate) fn used(pids: &[u32]) -> Duration {
    pids.iter().filter_map(|pid| of(&format!("/proc/{pid}/stat"))).sum()
}

/// User and system time of this process so far.
pub(crate) fn used_here() -> Duration {
    of("/proc/self/stat").unwrap_or_default()
}

fn of(path: &str) -> Option<Duration> {
    parse(&std::fs::read_to_string(path).ok()?)
}

/// The command's name may hold blanks and brackets, so fields are counted after the last `)`.
fn parse(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(Duration::from_secs_f64((user + system) / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::time::Duration;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 5 6 7";
        assert_eq!(parse(stat), Some(Duration::from_secs(2)));
        assert_eq!(parse("nonsense"), None);
    }
}

//! What the system says about this process. Linux only; elsewhere there is nothing to tell.

/// Numbers of this process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Process {
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) virtual_bytes: u64,
    pub(crate) open_fds: u64,
    pub(crate) max_fds: u64,
    /// Seconds since 1970.
    pub(crate) start_time_s: f64,
}

/// Linux reports times in hundredths of a second and memory in pages; both are fixed in its ABI
/// on the machines we run on.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: u64 = 4096;

impl Process {
    /// Reads the numbers; `None` where there is no `/proc`.
    pub(crate) fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name in parentheses may hold spaces; fields are counted after it, from the third.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let boot = boot_time_s().unwrap_or(0.0);
        Some(Process {
            cpu_seconds: (field(14)? + field(15)?) as f64 / TICKS_PER_SECOND,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * PAGE_BYTES,
            open_fds: std::fs::read_dir("/proc/self/fd").map_or(0, |fds| fds.count() as u64),
            max_fds: max_fds().unwrap_or(0),
            start_time_s: boot + field(22)? as f64 / TICKS_PER_SECOND,
        })
    }
}

/// What this process was started with; empty where there is no `/proc`.
pub(crate) fn command_line() -> Vec<String> {
    let line = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let words = line.strip_suffix(&[0]).unwrap_or(&line).split(|byte| *byte == 0);
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn boot_time_s() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn max_fds() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

//! A log file that is put aside when it is full, and how many of those are kept.
//!
//! Compat: names and rules of the rotation that etcd uses: `etcd.log` is put aside as
//! `etcd-2026-11-21T15-12-19.589.log` beside it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use server::config::LogRotation;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime as ShownTime};

/// A file that is appended to.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    rotation: Option<LogRotation>,
}

impl LogFile {
    /// Opens or makes the file.
    pub(crate) fn open(path: &Path, rotation: Option<LogRotation>) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(LogFile { path: path.to_owned(), file, bytes, rotation })
    }

    fn put_aside(&mut self, rotation: LogRotation) -> io::Result<()> {
        fs::rename(&self.path, self.aside()?)?;
        *self = LogFile::open(&self.path, self.rotation)?;
        self.remove_old(rotation)
    }

    /// The name of a file put aside now.
    fn aside(&self) -> io::Result<PathBuf> {
        let mut time = String::new();
        ShownTime.format_time(&mut Writer::new(&mut time)).map_err(io::Error::other)?;
        // Microseconds and the zone are left out, and colons are no good in a name.
        let time = time.get(..23).unwrap_or(&time).replace(':', "-");
        let (stem, extension) = self.parts();
        Ok(self.path.with_file_name(format!("{stem}-{time}{extension}")))
    }

    fn parts(&self) -> (String, String) {
        let text = |part: Option<&std::ffi::OsStr>| {
            part.unwrap_or_default().to_string_lossy().into_owned()
        };
        let extension = match text(self.path.extension()) {
            extension if extension.is_empty() => extension,
            extension => format!(".{extension}"),
        };
        (text(self.path.file_stem()), extension)
    }

    fn remove_old(&self, rotation: LogRotation) -> io::Result<()> {
        let (stem, extension) = self.parts();
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut aside: Vec<(String, PathBuf)> = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let time = name.strip_prefix(&stem).and_then(|rest| rest.strip_suffix(&extension));
            if time.is_some_and(|time| time.len() == 24 && time.starts_with('-')) {
                aside.push((name, entry.path()));
            }
        }
        // The newest first: their names sort by time.
        aside.sort_by(|one, other| other.0.cmp(&one.0));
        let oldest = Duration::from_secs(rotation.age_days_max.saturating_mul(24 * 3600));
        for (at, (_, path)) in aside.iter().enumerate() {
            let too_many = rotation.files_max > 0 && at >= rotation.files_max;
            let age = SystemTime::now().duration_since(fs::metadata(path)?.modified()?);
            let too_old = rotation.age_days_max > 0 && age.is_ok_and(|age| age > oldest);
            if too_many || too_old {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(rotation) = self.rotation
            && self.bytes > 0
            && self.bytes.saturating_add(line.len() as u64) > rotation.bytes_max
        {
            // A log that cannot be put aside goes on where it is.
            drop(self.put_aside(rotation));
        }
        let written = self.file.write(line)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let name = |entry: io::Result<fs::DirEntry>| {
            entry.expect("an entry").file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_file_is_put_aside_and_only_so_many_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("etcd.log");
        fs::write(folder.path().join("etcd-notes.log"), "mine").expect("written");
        let rotation = LogRotation { bytes_max: 20, age_days_max: 0, files_max: 2 };
        let mut log = LogFile::open(&path, Some(rotation)).expect("opened");
        for at in 0..8 {
            log.write_all(format!("line {at} 0123456\n").as_bytes()).expect("written");
        }
        let names = files(folder.path());
        assert!(names.contains(&"etcd-notes.log".to_owned()), "{names:?}");
        assert!(names.len() <= 4, "{names:?}");
        assert_eq!(fs::read_to_string(&path).expect("text"), "line 7 0123456\n");
    }

    #[test]
    fn without_rotation_a_file_grows() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("etcd.log");
        for _ in 0..2 {
            let mut log = LogFile::open(&path, None).expect("opened");
            log.write_all(&[b'x'; 100]).expect("written");
        }
        assert_eq!(fs::metadata(&path).expect("there").len(), 200);
    }
}

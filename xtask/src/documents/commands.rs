//! Runs the command blocks of the documents, so that no page shows what does not work.
//!
//! Each ```` ```sh ```` block runs in bash, all blocks of a page in order, in one new folder per
//! page, with free ports in place of 2379, 2380 and 6443. A ```` ```text ```` block right after it
//! is what it must print: `…` stands for any part of a line, and alone on a line for any lines. A
//! comment before a block may say how it runs:
//!
//! - `<!-- run: until "text" -->` in the background, until it prints that text; stopped at the
//!   page's end;
//! - `<!-- run: dry -->` only make targets, asked for with `make -n`.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// How long a block may take, and a background one until it says its text.
const BLOCK_TIME_MAX: Duration = Duration::from_secs(120);

/// How a block runs.
#[derive(Debug, PartialEq, Eq)]
enum Mode {
    Whole,
    Until(String),
    Dry,
}

/// A block of commands, with what it must print.
#[derive(Debug)]
struct Block {
    line: usize,
    mode: Mode,
    commands: String,
    prints: Option<String>,
}

/// Runs every block of every page; the last line is the suite's.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let (mut passed, mut failed) = (0, 0);
    for (path, text) in super::pages(root)? {
        let blocks = blocks(&text).with_context(|| path.clone())?;
        if blocks.is_empty() {
            continue;
        }
        let mut page = Page::new(root)?;
        for block in &blocks {
            match page.run(block) {
                Ok(()) => passed += 1,
                Err(error) => {
                    failed += 1;
                    println!("{path}:{}: {error:#}", block.line);
                }
            }
        }
    }
    println!("suite documents: {passed} passed, {failed} failed");
    Ok(failed == 0)
}

/// The command blocks of a page.
fn blocks(text: &str) -> Result<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut mode = Mode::Whole;
    let mut follows = false;
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        if let Some(says) = line.strip_prefix("<!-- run: ").and_then(|s| s.strip_suffix(" -->")) {
            mode = mode_of(says).with_context(|| format!("line {}", number + 1))?;
        } else if let Some(kind) = line.strip_prefix("```") {
            let body: Vec<&str> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| line.trim() != "```")
                // A block of a list's item is indented as a whole.
                .map(|line| line.get(indent..).unwrap_or(line.trim_start()))
                .collect();
            let body = body.join("\n");
            match (kind, blocks.last_mut()) {
                ("sh", _) => {
                    let mode = std::mem::replace(&mut mode, Mode::Whole);
                    blocks.push(Block { line: number + 1, mode, commands: body, prints: None });
                }
                ("text", Some(block)) if follows => block.prints = Some(body),
                _ => {}
            }
            follows = kind == "sh";
        } else if !line.is_empty() {
            follows = false;
        }
    }
    Ok(blocks)
}

fn mode_of(says: &str) -> Result<Mode> {
    if says == "dry" {
        return Ok(Mode::Dry);
    }
    let text = says.strip_prefix("until \"").and_then(|rest| rest.strip_suffix('"'));
    let text = text.with_context(|| format!("`run: {says}` is neither `dry` nor `until \"…\"`"))?;
    Ok(Mode::Until(text.to_owned()))
}

/// One page under way: its folder, its ports, what runs in the background.
struct Page {
    root: PathBuf,
    folder: PathBuf,
    /// The next one is free as well: it is the peer port.
    client_port: u16,
    kube_port: u16,
    background: Vec<Child>,
}

impl Page {
    fn new(root: &Path) -> Result<Self> {
        let client_port = free_pair()?;
        let folder = std::env::temp_dir().join(format!("engram-documents-{client_port}"));
        std::fs::create_dir_all(&folder)?;
        let kube_port = free_pair()?;
        Ok(Self { root: root.to_owned(), folder, client_port, kube_port, background: Vec::new() })
    }

    /// What is written in a page, with this run's ports.
    fn with_ports(&self, text: &str) -> String {
        text.replace("2379", &self.client_port.to_string())
            .replace("2380", &(self.client_port + 1).to_string())
            .replace("6443", &self.kube_port.to_string())
    }

    fn run(&mut self, block: &Block) -> Result<()> {
        if block.mode == Mode::Dry {
            return self.dry(&block.commands);
        }
        let mut command = self.command(&block.commands)?;
        let mut child = command.spawn().context("starting bash")?;
        let output = Output::of(&mut child)?;
        let printed = if let Mode::Until(text) = &block.mode {
            let text = self.with_ports(text);
            self.background.push(child);
            output.until(&text)?
        } else {
            let printed = output.whole(&child)?;
            let status = child.wait()?;
            ensure!(status.success(), "ended with {status} and printed:\n{printed}");
            printed
        };
        match &block.prints {
            Some(expected) => matches(&self.with_ports(expected), &printed),
            None => Ok(()),
        }
    }

    /// bash with a block's commands: in the page's folder, with the binary and the peers in its
    /// path.
    fn command(&self, commands: &str) -> Result<Command> {
        let client = format!("http://127.0.0.1:{}", self.client_port);
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = self.root.join("bin");
        let path = format!("{}:{}:{path}", bin.display(), programs::peers()?.display());
        let data = self.folder.join("engram-dev");
        let (etcd, kube) = (self.client_port, self.kube_port);
        let data = data.display();
        let dev = format!("--client-port {etcd} --kube-port {kube} --data-dir {data}");
        let make = format!("make --no-print-directory -C {} run ARGS='{dev}'", self.root.display());
        let commands = self
            .with_ports(commands)
            .replace("make run", &make)
            .replace("bin/engram dev", &format!("bin/engram dev {dev}"))
            .replace("bin/engram", &bin.join("engram").display().to_string());
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", &format!("exec 2>&1\n{commands}")])
            .current_dir(&self.folder)
            .env("PATH", path)
            .env("ETCDCTL_ENDPOINTS", &client)
            .env("ENGRAM_ENDPOINTS", &client)
            .env_remove("MAKEFLAGS")
            .env_remove("MAKELEVEL")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0);
        Ok(command)
    }

    /// Each line asks make for targets that it has.
    fn dry(&self, commands: &str) -> Result<()> {
        for line in commands.lines().filter(|line| !line.trim().is_empty()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            let Some(targets) = line.strip_prefix("make ") else {
                bail!("`{line}`: only make targets run dry");
            };
            let mut make = Command::new("make");
            make.arg("-n").args(targets.split_whitespace()).current_dir(&self.root);
            let output = make.env_remove("MAKEFLAGS").output().context("running make -n")?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "make has no `{targets}`: {said}");
        }
        Ok(())
    }
}

/// A free port whose next one is free too.
fn free_pair() -> Result<u16> {
    for _ in 0..100 {
        let first = TcpListener::bind("127.0.0.1:0")?;
        let port = first.local_addr()?.port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no two free ports that follow each other")
}

impl Drop for Page {
    fn drop(&mut self) {
        for child in &mut self.background {
            stop(child);
        }
        // A folder that stays behind is in the way of nothing.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Ends the process group a block runs in.
fn stop(child: &mut Child) {
    for signal in ["-TERM", "-KILL"] {
        let group = format!("-{}", child.id());
        let _ = Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
        if signal == "-TERM" {
            let deadline = Instant::now() + Duration::from_secs(5);
            while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
    }
    let _ = child.wait();
}

/// The lines that a child prints, read beside it.
struct Output(std::sync::mpsc::Receiver<String>);

impl Output {
    fn of(child: &mut Child) -> Result<Self> {
        let stdout = child.stdout.take().context("the block's output is not a pipe")?;
        let (lines, receiver) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                if lines.send(std::mem::take(&mut line)).is_err() {
                    // Nobody reads any more: empty the pipe, or the child would block on it.
                    let _ = reader.read_to_end(&mut Vec::new());
                }
            }
        });
        Ok(Self(receiver))
    }

    /// Everything up to the line with `text`.
    fn until(self, text: &str) -> Result<String> {
        let mut printed = String::new();
        let deadline = Instant::now() + BLOCK_TIME_MAX;
        while !printed.contains(text) {
            match self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => printed += &line,
                Err(_) => bail!("did not print {text:?}, but:\n{printed}"),
            }
        }
        Ok(printed)
    }

    /// Everything.
    fn whole(self, child: &Child) -> Result<String> {
        let mut printed = String::new();
        let deadline = Instant::now() + BLOCK_TIME_MAX;
        loop {
            match self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => printed += &line,
                Err(RecvTimeoutError::Disconnected) => return Ok(printed),
                Err(RecvTimeoutError::Timeout) => {
                    let group = format!("-{}", child.id());
                    let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
                    bail!("did not end in {BLOCK_TIME_MAX:?}; it printed:\n{printed}");
                }
            }
        }
    }
}

/// Whether what was printed is what the page shows.
fn matches(expected: &str, printed: &str) -> Result<()> {
    let expected: Vec<&str> = expected.trim_end().lines().map(str::trim_end).collect();
    let lines: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
    ensure!(lines_match(&expected, &lines), "the page shows other output than this:\n{printed}");
    Ok(())
}

fn lines_match(expected: &[&str], lines: &[&str]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((&"…", rest)) => (0..=lines.len()).any(|skip| lines_match(rest, &lines[skip..])),
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, lines)| line_matches(first, line) && lines_match(rest, lines)),
    }
}

fn line_matches(expected: &str, line: &str) -> bool {
    match expected.split_once('…') {
        None => expected == line,
        Some((head, tail)) => line.strip_prefix(head).is_some_and(|rest| {
            let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            starts.into_iter().any(|at| line_matches(tail, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_into_blocks_with_what_they_print() {
        let page = "\
intro\n<!-- run: until \"ready\" -->\n```sh\nmake run\n```\n\n```sh\nengram ctl get a\n```\n\n\
```text\na\n…\n```\nsay\n```text\nnot output\n```\n<!-- run: dry -->\n```sh\nmake test\n```\n";
        let blocks = blocks(page).expect("the page is well formed");
        let modes: Vec<&Mode> = blocks.iter().map(|block| &block.mode).collect();
        assert_eq!(modes, [&Mode::Until("ready".into()), &Mode::Whole, &Mode::Dry]);
        assert_eq!(blocks[0].prints, None);
        assert_eq!(blocks[1].prints.as_deref(), Some("a\n…"));
        assert_eq!(blocks[2].prints, None);
    }

    #[test]
    fn an_ellipsis_stands_for_a_part_of_a_line_or_for_lines() {
        assert!(matches("a … c\n…\nend", "a b c\nx\ny\nend\n").is_ok());
        assert!(matches("a … c", "a b d").is_err());
        assert!(matches("a", "a\nb").is_err());
    }

    #[test]
    fn a_directive_that_is_not_known_is_refused() {
        assert!(blocks("<!-- run: never -->\n```sh\nfalse\n```\n").is_err());
    }

    /// Runs a README of these lines in a repository of its own.
    fn page_passes(lines: &str) -> bool {
        let root = tempfile::TempDir::new().expect("a temp folder");
        std::fs::write(root.path().join("README.md"), lines).expect("a temp file");
        std::fs::write(root.path().join("Makefile"), "test:\n\tfalse\n").expect("a temp file");
        run(root.path()).expect("the page can be run")
    }

    #[test]
    fn a_page_passes_when_its_commands_do_what_it_shows() {
        let serve =
            "<!-- run: until \"port\" -->\n```sh\necho port 2379; exec tail -f /dev/null\n```\n";
        assert!(page_passes(serve));
        assert!(page_passes("```sh\necho a; echo 2379 > b; ls\n```\n```text\na\nb\n```\n"));
        assert!(page_passes("<!-- run: dry -->\n```sh\nmake test # everything\n```\n"));
    }

    #[test]
    fn a_page_fails_when_they_do_not() {
        assert!(!page_passes("```sh\nfalse\n```\n"));
        assert!(!page_passes("```sh\necho a\n```\n```text\nb\n```\n"));
        assert!(!page_passes("<!-- run: until \"ready\" -->\n```sh\necho never\n```\n"));
        assert!(!page_passes("<!-- run: dry -->\n```sh\nmake nothing\n```\n"));
        assert!(!page_passes("<!-- run: dry -->\n```sh\nrm -r something\n```\n"));
    }
}

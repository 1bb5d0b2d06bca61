//! Rules on `cargo metadata`: which room uses which, and which room names which crate of others.
//!
//! Only direct, declared dependencies are looked at: an arrow is a line in a room's `Cargo.toml`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::rooms::{CRATES, Owner, ROOMS, Room, room_named};
use super::{Findings, Rule};

/// How a dependency is declared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Build,
    Test,
}

/// Looks at the members of the workspace at `root`.
pub(crate) fn check(root: &Path, findings: &mut Findings) -> Result<()> {
    let metadata = metadata(root)?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let place = Path::new(manifest).strip_prefix(root).unwrap_or(Path::new(manifest));
        let place = place.display().to_string();
        let Some(room) = room_named(name) else {
            let message = format!("`{name}` is no room: add it to xtask/src/tidy/rooms.rs");
            findings.add(Rule::Arrow, &place, 0, message);
            continue;
        };
        if Path::new(&place).parent() != Some(Path::new(room.folder)) {
            let message = format!("the room {} lives in {}", room.name, room.folder);
            findings.add(Rule::Arrow, &place, 0, message);
        }
        lints(manifest, &place, findings)?;
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let kind = match dependency["kind"].as_str() {
                Some("dev") => Kind::Test,
                Some("build") => Kind::Build,
                _ => Kind::Normal,
            };
            let uses = dependency["name"].as_str().unwrap_or_default();
            check_dependency(room, uses, kind, &place, findings);
        }
    }
    Ok(())
}

fn metadata(root: &Path) -> Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("running cargo metadata")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo metadata failed: {said}");
    serde_json::from_slice(&output.stdout).context("reading cargo metadata")
}

fn check_dependency(room: &Room, uses: &str, kind: Kind, place: &str, findings: &mut Findings) {
    if let Some(other) = room_named(uses) {
        let in_tests = kind == Kind::Test && room.tests_use.contains(&other.name);
        if other.name != room.name && !room.uses.contains(&other.name) && !in_tests {
            let message = format!("{} may not use {}", room.name, other.name);
            findings.add(Rule::Arrow, place, 0, message);
        }
        return;
    }
    let Some((_, owner)) = CRATES.iter().find(|(name, _)| *name == uses) else {
        let message = format!("`{uses}` has no owner room: name it in xtask/src/tidy/rooms.rs");
        findings.add(Rule::Owner, place, 0, message);
        return;
    };
    let allowed = match owner {
        Owner::Anyone => true,
        Owner::Rooms(rooms) => rooms.contains(&room.name),
        Owner::Tests(rooms) => kind == Kind::Test && rooms.contains(&room.name),
        Owner::RoomsAndTests(rooms, tests) => {
            rooms.contains(&room.name) || kind == Kind::Test && tests.contains(&room.name)
        }
    };
    if !allowed {
        let message = format!("{} may not name `{uses}`; its rooms: {owner:?}", room.name);
        findings.add(Rule::Owner, place, 0, message);
    }
}

/// A room that leaves out `[lints] workspace = true` is checked by nobody.
fn lints(manifest: &str, place: &str, findings: &mut Findings) -> Result<()> {
    let text = std::fs::read_to_string(manifest).with_context(|| place.to_owned())?;
    let mut lines = text.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    if lines.next() != Some("workspace = true") {
        findings.add(Rule::Lints, place, 0, "does not take the workspace's lints");
    }
    Ok(())
}

/// The table of rooms and arrows, as `docs/ARCHITECTURE.md` shows it.
pub(crate) fn table() -> String {
    let mut table = String::from("| room | folder | what it is | may use |\n|---|---|---|---|\n");
    for room in ROOMS {
        let uses = if room.uses.is_empty() { "–".to_owned() } else { room.uses.join(", ") };
        table += &format!("| {} | `{}/` | {} | {uses} |\n", room.name, room.folder, room.is);
    }
    table
}

/// The table of crates that have one owner, as `docs/ARCHITECTURE.md` shows it.
pub(crate) fn owners() -> String {
    let mut table = String::from("| crate | rooms that may name it |\n|---|---|\n");
    for (name, owner) in CRATES {
        let (rooms, tests) = match owner {
            Owner::Anyone => continue,
            Owner::Rooms(rooms) => (*rooms, &[][..]),
            Owner::Tests(tests) => (&[][..], *tests),
            Owner::RoomsAndTests(rooms, tests) => (*rooms, *tests),
        };
        let tests = tests.iter().map(|room| format!("{room} (tests)"));
        let rooms: Vec<String> = rooms.iter().map(|&room| room.to_owned()).chain(tests).collect();
        table += &format!("| `{name}` | {} |\n", rooms.join(", "));
    }
    table
}

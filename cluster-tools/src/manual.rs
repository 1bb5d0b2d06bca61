//! Shell completions and man pages, made of a command tree.
//!
//! Must not know: which commands there are.

use std::path::Path;

use clap::{Command, ValueEnum as _};
use clap_complete::Shell;

use crate::ToolError;

/// The shells that scripts are made for, in the words of `engram completions`.
pub const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// The completion script of a shell for this tree.
///
/// *Errors*: `Usage` for a shell that is not one of [`SHELLS`].
pub fn completions(shell: &str, mut tree: Command) -> Result<Vec<u8>, ToolError> {
    let known = SHELLS.contains(&shell).then(|| Shell::from_str(shell, false).ok()).flatten();
    let known = known.ok_or_else(|| {
        ToolError::Usage(format!("{shell:?} is none of the shells {}", SHELLS.join(", ")))
    })?;
    let name = tree.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(known, &mut tree, name, &mut script);
    Ok(script)
}

/// The man page of the tree's root alone.
pub fn page(tree: Command) -> Result<Vec<u8>, ToolError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(tree).render(&mut page)?;
    Ok(page)
}

/// Writes a page for each command of the tree into a folder; how many.
///
/// *Errors*: `Io` when the folder cannot be made or written.
pub fn pages(tree: Command, folder: &Path) -> Result<usize, ToolError> {
    std::fs::create_dir_all(folder)?;
    let mut tree = tree.disable_help_subcommand(true);
    tree.build();
    write_pages(&tree, tree.get_name(), folder)
}

fn write_pages(command: &Command, title: &str, folder: &Path) -> Result<usize, ToolError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).title(title.to_uppercase()).render(&mut page)?;
    std::fs::write(folder.join(format!("{title}.1")), page)?;
    let mut written = 1;
    let shown = |inner: &&Command| !inner.is_hide_set() && inner.get_name() != "help";
    for inner in command.get_subcommands().filter(shown) {
        written += write_pages(inner, &format!("{title}-{}", inner.get_name()), folder)?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::{completions, pages};
    use clap::Command;

    fn tree() -> Command {
        let ctl = crate::ctl::command().name("ctl").bin_name("engram ctl");
        Command::new("engram").about("A store").subcommand(ctl)
    }

    #[test]
    fn each_shell_gets_a_script_that_knows_the_verbs() {
        for shell in super::SHELLS {
            let script = completions(shell, tree()).expect("a known shell");
            let script = String::from_utf8_lossy(&script);
            for word in ["move-leader", "grant-permission", "insecure-skip-tls-verify"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
        assert_eq!(completions("csh", tree()).expect_err("unknown").exit_code(), 128);
    }

    #[test]
    fn each_command_has_a_page() {
        let folder = tempfile::tempdir().expect("a folder");
        let written = pages(tree(), folder.path()).expect("written");
        assert!(written > 60, "{written}");
        let page = std::fs::read_to_string(folder.path().join("engram-ctl-member-replace.1"));
        assert!(page.expect("there").contains("peer\\-urls"));
    }
}

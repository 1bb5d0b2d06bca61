//! The page `docs/reference/ctl.md`, made of the command tree.
//!
//! Must not know: what a verb does beyond its help.

use clap::CommandFactory as _;

const HEAD: &str = "# engram ctl

Everything etcdctl 3.7 does, and what an operator wishes it did. It speaks the published etcd API,
so it works with every etcd v3 endpoint. Generated from the command tree in
`cluster-tools/src/ctl`.

- A command line of etcdctl means the same here. `-o simple`, `-o json`, `-o fields` and
  `-o protobuf` print what etcdctl prints, so that scripts port; where etcdctl prints a sentence
  for `-w json` too (`defrag`, `compaction`, `auth enable` and `disable`), a document is printed,
  and where it refuses `fields`, or prints only the header of an answer about leases as
  `protobuf`, the whole answer is. The default is a table, and `-o yaml` is the JSON as YAML.
- A command that outlives its token (`lock`, `elect`, `lease keep-alive`, `watch`, `top`,
  `make-mirror`, `migrate --follow`) logs in again by itself, once for each refusal.
- A command line that makes no sense ends with 128, also where etcdctl ends with 1 (flags and
  commands that it does not know).
- Keys and values never drive the terminal: control bytes are shown as `\\x1b`, or all bytes with
  `--hex`. Raw bytes come out with `-o simple` into a pipe, and with `--print-value-only`.
- A flag beats its `ETCDCTL_*` variable, and both beat the context (`engram ctl context`), whose
  file is `~/.config/engram/contexts.json` or `ENGRAM_CONTEXTS`, with mode 0600 and never a
  password.
- `--user NAME` asks for the password without showing it; scripts set `ETCDCTL_PASSWORD`.
- Errors have an id, a cause and a next step: [errors](errors.md).

## Commands

";

/// The page's text.
#[must_use]
pub fn page() -> String {
    let root = super::Ctl::command();
    let mut page = format!("{HEAD}| command | what it does |\n|---|---|\n");
    rows(&root, "", &mut page);
    page.push_str(
        "\n## Global flags\n\n| flag | variable | default | meaning |\n|---|---|---|---|\n",
    );
    for flag in root.get_arguments().filter(|flag| !flag.is_hide_set()) {
        let Some(long) = flag.get_long() else { continue };
        let short = flag.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
        let variable = flag.get_env().map(|name| format!("`{}`", name.to_string_lossy()));
        let defaults: Vec<_> = flag
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .filter(|value| value != "false")
            .collect();
        let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
        page.push_str(&format!(
            "| {short}`--{long}` | {} | {} | {} |\n",
            variable.unwrap_or_default(),
            defaults.join(","),
            one_line(&help)
        ));
    }
    page
}

fn rows(command: &clap::Command, path: &str, page: &mut String) {
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        let path = format!("{path}{}", inner.get_name());
        if inner.has_subcommands() {
            rows(inner, &format!("{path} "), page);
            continue;
        }
        let about = inner.get_about().map(ToString::to_string).unwrap_or_default();
        page.push_str(&format!("| `{}` | {} |\n", usage(inner, &path), one_line(&about)));
    }
}

/// The verb with its arguments, without its flags.
fn usage(command: &clap::Command, path: &str) -> String {
    let mut usage = path.to_owned();
    for argument in command.get_positionals() {
        let name = argument.get_id().to_string().to_uppercase();
        let named = if argument.is_last_set() { format!("-- {name}…") } else { name };
        usage.push_str(&if argument.is_required_set() {
            format!(" {named}")
        } else {
            format!(" [{named}]")
        });
    }
    usage
}

/// A cell of a table cannot hold a bar or a line end.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_of_ctl_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/ctl.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        let fresh = super::page();
        assert!(page == fresh, "write this into docs/reference/ctl.md:\n{fresh}");
    }
}

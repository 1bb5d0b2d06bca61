//! Prints the page `docs/compatibility/flags.md`, for `cargo xtask generate`.
#![expect(clippy::print_stdout, reason = "what it makes, it prints")]

fn main() {
    print!("{}", engram_server::config::flags_page());
}

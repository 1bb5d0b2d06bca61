//! Prints the page `docs/reference/ctl.md`, for `cargo xtask generate`.
#![expect(clippy::print_stdout, reason = "what it makes, it prints")]

fn main() {
    print!("{}", engram_cluster_tools::ctl::reference_page());
}

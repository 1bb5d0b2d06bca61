//! Prints the page `docs/compatibility/etcd.md`, for `cargo xtask generate`.
#![expect(clippy::print_stdout, reason = "what it makes, it prints")]

fn main() {
    print!("{}", engram_server::etcd_page());
}

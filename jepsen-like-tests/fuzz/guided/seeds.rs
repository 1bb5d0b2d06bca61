//! Writes each target's sound inputs into a folder of its own under the folder given.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).expect("a folder is given");
    engram_fuzz::write_seeds(&folder)
}

//! As much of `protoc` as the build script of etcd-client asks for: a descriptor set from files.
//!
//! Invariants: an argument that is not known ends it with an error, so that nothing is left out.
//!
//! Must not know: which files these are.

use std::process::ExitCode;

fn main() -> ExitCode {
    match compile(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("protoc: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compile(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn std::error::Error>> {
    let (mut files, mut includes, mut output) = (Vec::new(), Vec::new(), None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Both are what is written here anyway.
            "--include_imports" | "--include_source_info" => {}
            "-o" => output = arguments.next(),
            "-I" => includes.extend(arguments.next()),
            known if known.starts_with("-I") => includes.push(known[2..].to_owned()),
            unknown if unknown.starts_with('-') => return Err(unknown.into()),
            file => files.push(file.to_owned()),
        }
    }
    let mut compiler = protox::Compiler::new(includes)?;
    compiler.include_imports(true).include_source_info(true).open_files(files)?;
    std::fs::write(output.ok_or("no -o")?, compiler.encode_file_descriptor_set())?;
    Ok(())
}

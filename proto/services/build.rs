//! Generates the gRPC services twice from the `.proto` files of the messages crate.
//!
//! Servers speak the spliced forms of the hot answers, so that stored bytes reach the socket
//! without being decoded; clients speak the plain forms. Both name the types of the messages
//! crate, and no message is generated here.

use std::error::Error;
use std::path::{Path, PathBuf};

/// Where the `.proto` files live, seen from this crate.
const ROOT: &str = "../messages/proto";

const SERVICES: &[&str] = &[
    "etcd/auth.proto",
    "etcd/cluster.proto",
    "etcd/election.proto",
    "etcd/kv.proto",
    "etcd/lease.proto",
    "etcd/lock.proto",
    "etcd/maintenance.proto",
    "etcd/watch.proto",
    "engram/peer.proto",
];

/// Every package, and where its messages are.
const PACKAGES: &[(&str, &str)] = &[
    (".etcdserverpb", "::proto::etcdserverpb"),
    (".mvccpb", "::proto::mvccpb"),
    (".authpb", "::proto::authpb"),
    (".v3lockpb", "::proto::v3lockpb"),
    (".v3electionpb", "::proto::v3electionpb"),
    (".engram.log", "::proto::log"),
    (".engram.peer", "::proto::peer"),
];

/// The answers that servers give in their spliced form.
const SPLICED: &[&str] = &[
    "DeleteRangeResponse",
    "PutResponse",
    "RangeResponse",
    "RangeStreamResponse",
    "TxnResponse",
    "WatchResponse",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let files = protox::compile(SERVICES, [ROOT])?;
    let of_etcd = SERVICES.iter().filter(|file| file.starts_with("etcd/"));
    let descriptors = protox::Compiler::new([ROOT])?
        .include_imports(true)
        .open_files(of_etcd)?
        .encode_file_descriptor_set();
    std::fs::write(out.join("descriptors.bin"), descriptors)?;

    let clients = builder(&out.join("clients"))?.build_server(false);
    clients.compile_fds(files.clone())?;

    let mut servers = builder(&out.join("servers"))?.build_client(false);
    for name in SPLICED {
        let path = format!(".etcdserverpb.{name}");
        servers = servers.extern_path(path, format!("::proto::spliced::{name}"));
    }
    servers.compile_fds(files)?;
    Ok(())
}

/// The settings of both generations.
fn builder(out: &Path) -> Result<tonic_prost_build::Builder, std::io::Error> {
    std::fs::create_dir_all(out)?;
    let mut builder = tonic_prost_build::configure().out_dir(out);
    for (package, module) in PACKAGES {
        builder = builder.extern_path(package, module);
    }
    Ok(builder)
}

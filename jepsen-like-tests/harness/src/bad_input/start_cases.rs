//! The starts of rows 46 to 51: words, files, and what each must end with.
//!
//! `{dir}`, `{client}` and `{peer}` stand for the folder and the URLs of the server that is
//! started.
//!
//! Must not know: how they are compared.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context as _, Result};
use rcgen::{CertificateParams, KeyPair};

/// One start.
pub(super) struct Case {
    pub(super) row: u8,
    pub(super) name: &'static str,
    /// Flags beside the usual ones, or in their place.
    pub(super) words: &'static [&'static str],
    pub(super) environment: &'static [(&'static str, &'static str)],
    pub(super) prepared: Prepared,
    pub(super) expected: Expected,
}

/// What a start must come to. The text is a part of the reason; a reason has one line.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expected {
    /// Both servers end with this code and reason.
    Both(i32, &'static str),
    /// Engram does; the real etcd does not: see [`ANSWERED_ANOTHER_WAY`], or it says the same in
    /// the words of its own language.
    Ours(i32, &'static str),
    /// Engram serves.
    Served,
}

/// What is there before.
#[derive(Debug, Clone, Copy)]
pub(super) enum Prepared {
    Nothing,
    /// `etcd.yaml`.
    Yaml(&'static [u8]),
    /// `etcd.yaml` of a gigabyte, without taking the room.
    LargeYaml,
    /// A file where the data directory should be.
    File,
    /// A link that leads nowhere.
    DanglingLink,
    /// A link to a directory elsewhere.
    Link,
    /// A directory that an etcd lived in.
    EtcdsData,
    /// Certificates and keys.
    Certificates,
    /// A data directory whose mode lets nobody write in it.
    Forbidding,
    /// A data directory on a file system that is there for reading alone.
    ReadOnly,
}

/// Where Engram answers another way than etcd at a start, and why.
pub const ANSWERED_ANOTHER_WAY: &[(&str, &str)] = &[
    (
        "durations below zero, and words where `--metrics` takes `basic` or `extensive`",
        "refused at the start; etcd takes them and goes on with what it makes of them",
    ),
    (
        "`--max-request-bytes` above 64 MiB",
        "refused at the start, since each connection may need as much; etcd only warns",
    ),
    ("an unknown `--log-level`", "refused with one line; etcd panics"),
    ("a port above 65535", "named at the start; etcd fails when it comes to listen there"),
    (
        "a member that `--initial-cluster` names twice with one URL",
        "refused as `has duplicate url`, as two members with one URL are; etcd says that it could \
         not resolve the URL",
    ),
    ("an empty `--initial-cluster=`", "as if it were not given; etcd looks for its own name in it"),
    (
        "a data directory of etcd",
        "refused, and left as it is, with the command that takes it over; etcd has no such case",
    ),
    ("a configuration file above 1 MiB", "refused before it is read; etcd reads it whole"),
];

const fn case(
    row: u8,
    name: &'static str,
    words: &'static [&'static str],
    expected: Expected,
) -> Case {
    Case { row, name, words, environment: &[], prepared: Prepared::Nothing, expected }
}

const fn with(prepared: Prepared, case: Case) -> Case {
    Case { prepared, ..case }
}

use Expected::{Both, Ours, Served};

const YAML: &[&str] = &["--config-file={dir}/etcd.yaml"];
const SHORT: &str = "should be at least as 5 times as --heartbeat-interval";

pub(super) const CASES: &[Case] = &[
    case(46, "an unknown flag", &["--nope=1"], Both(2, "flag provided but not defined: -nope")),
    case(46, "a word that is no flag", &["extra"], Both(1, "\"extra\" is not a valid flag")),
    Case {
        environment: &[("ETCD_NAME", "b")],
        ..case(46, "a flag and its variable", &["--name=a"], Served)
    },
    Case {
        environment: &[("ETCD_HEARTBEAT_INTERVAL", "soon")],
        ..case(
            46,
            "a variable that is no number",
            &[],
            Both(1, "invalid value \"soon\" for ETCD_HEARTBEAT_INTERVAL"),
        )
    },
    case(
        46,
        "a number below zero",
        &["--heartbeat-interval=-5"],
        Both(2, "invalid value \"-5\" for flag -heartbeat-interval: parse error"),
    ),
    case(
        46,
        "a heartbeat of zero",
        &["--heartbeat-interval=0"],
        Both(1, "--heartbeat-interval must be >0 (set to 0ms)"),
    ),
    case(
        46,
        "a number of 20 digits",
        &["--election-timeout=99999999999999999999"],
        Both(
            2,
            "invalid value \"99999999999999999999\" for flag -election-timeout: value out of range",
        ),
    ),
    case(
        46,
        "a size with a unit",
        &["--quota-backend-bytes=8GiB1"],
        Both(2, "invalid value \"8GiB1\" for flag -quota-backend-bytes: parse error"),
    ),
    case(
        46,
        "streams below zero",
        &["--max-concurrent-streams=-1"],
        Both(2, "invalid value \"-1\" for flag -max-concurrent-streams: "),
    ),
    case(
        46,
        "a request of 100 GB",
        &["--max-request-bytes=99999999999"],
        Ours(1, "--max-request-bytes must be between 1 and 67108864 (set to 99999999999)"),
    ),
    case(
        46,
        "a word for a boolean",
        &["--strict-reconfig-check=perhaps"],
        Both(2, "invalid boolean value \"perhaps\" for -strict-reconfig-check: parse error"),
    ),
    case(
        46,
        "an interval below zero",
        &["--watch-progress-notify-interval=-1s"],
        Ours(2, "invalid value \"-1s\" for flag -watch-progress-notify-interval: parse error"),
    ),
    case(
        46,
        "a retention of -1",
        &["--auto-compaction-retention=-1"],
        Both(1, "error parsing CompactionRetention: time: missing unit in duration \"-1\""),
    ),
    case(
        46,
        "a retention below zero",
        &["--auto-compaction-retention=-1h"],
        Ours(1, "error parsing CompactionRetention: time: invalid duration \"-1h\""),
    ),
    case(
        46,
        "a mode of compaction that is none",
        &["--auto-compaction-mode=other"],
        Both(1, "unknown auto-compaction-mode \"other\""),
    ),
    case(
        46,
        "a heartbeat as long as an election",
        &["--heartbeat-interval=1000", "--election-timeout=1000"],
        Both(1, SHORT),
    ),
    case(
        46,
        "an election of four heartbeats",
        &["--heartbeat-interval=100", "--election-timeout=400"],
        Both(1, SHORT),
    ),
    case(
        46,
        "an election of a minute",
        &["--election-timeout=60000"],
        Both(1, "--election-timeout[60000ms] is too long, and should be set less than 50000ms"),
    ),
    case(
        46,
        "an unknown log level",
        &["--log-level=loud"],
        Ours(2, "unrecognized level: \"loud\""),
    ),
    case(
        46,
        "an unknown log format",
        &["--log-format=xml"],
        Both(1, "unknown log format: xml, supported values json, console"),
    ),
    case(46, "an unknown logger", &["--logger=glog"], Both(1, "unknown logger option \"glog\"")),
    case(
        46,
        "an unknown kind of token",
        &["--auth-token=nothing"],
        Both(1, "auth: invalid auth options"),
    ),
    case(
        46,
        "an unknown state of the cluster",
        &["--initial-cluster-state=maybe"],
        Both(2, "invalid value \"maybe\" for flag -initial-cluster-state: invalid value"),
    ),
    case(
        46,
        "an unknown kind of metrics",
        &["--metrics=lots"],
        Ours(2, "invalid metrics type \"lots\": basic or extensive"),
    ),
    case(
        46,
        "an unknown version of TLS",
        &["--tls-min-version=TLS9"],
        Both(1, "unexpected TLS version \"TLS9\" (must be one of: TLS1.2, TLS1.3)"),
    ),
    case(
        46,
        "an unknown cipher suite",
        &["--cipher-suites=NONE"],
        Both(1, "unexpected TLS cipher suite \"NONE\""),
    ),
    case(
        46,
        "a URL that is none",
        &["--listen-client-urls=nonsense"],
        Both(
            2,
            "invalid value \"nonsense\" for flag -listen-client-urls: URL scheme must be http, https, unix, or unixs: nonsense",
        ),
    ),
    case(
        46,
        "a URL without a port",
        &["--listen-client-urls=http://127.0.0.1"],
        Both(2, "URL address does not have the form \"host:port\": http://127.0.0.1"),
    ),
    case(
        46,
        "a URL with a path",
        &["--listen-client-urls=http://127.0.0.1:1/x"],
        Both(2, "URL must not contain a path: http://127.0.0.1:1/x"),
    ),
    case(
        46,
        "a name to listen on",
        &["--listen-client-urls=http://host.invalid:1"],
        Both(1, "expected IP in URL for binding (http://host.invalid:1)"),
    ),
    case(
        46,
        "a port above 65535",
        &["--listen-client-urls=http://127.0.0.1:99999"],
        Ours(2, "listen tcp: address 99999: invalid port"),
    ),
    with(
        Prepared::Yaml(b"name: a\nname: b\n"),
        case(47, "a key given twice", YAML, Ours(1, "duplicate")),
    ),
    with(
        Prepared::Yaml(b"name: \xff\n"),
        case(47, "bytes that are no UTF-8", YAML, Ours(1, "it is not UTF-8")),
    ),
    with(
        Prepared::Yaml(b"- a\n"),
        case(47, "a list", YAML, Ours(1, "the file must be a map of keys")),
    ),
    with(
        Prepared::Yaml(b"name: [\n"),
        case(47, "a list that does not end", YAML, Ours(1, "error converting YAML")),
    ),
    with(
        Prepared::Yaml(
            b"a: &a [x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f]\nname: *g\n",
        ),
        case(47, "aliases that multiply", YAML, Ours(1, "error converting YAML")),
    ),
    with(
        Prepared::Yaml(b"heartbeat-interval: fast\n"),
        case(47, "a word for a number", YAML, Ours(1, "heartbeat-interval must be a number")),
    ),
    with(Prepared::LargeYaml, case(47, "a file of a gigabyte", YAML, Ours(1, "at most 1 MiB"))),
    case(47, "a file that is not there", YAML, Both(1, "etcd.yaml: no such file or directory")),
    case(
        48,
        "a cluster that names its member twice",
        &["--initial-cluster=a={peer},a={peer}"],
        Ours(1, "has duplicate url"),
    ),
    case(
        48,
        "two members with one URL",
        &["--initial-cluster=a={peer},b={peer}"],
        Both(1, "has duplicate url"),
    ),
    case(
        48,
        "a cluster without this member",
        &["--initial-cluster=b={peer}"],
        Both(1, "couldn't find local name \"a\" in the initial cluster configuration"),
    ),
    case(48, "an empty cluster", &["--initial-cluster="], Served),
    case(
        48,
        "another URL than the member's",
        &["--initial-cluster=a=http://127.0.0.1:1"],
        Both(
            1,
            "--initial-cluster has a=http://127.0.0.1:1 but missing from --initial-advertise-peer-urls=",
        ),
    ),
    case(
        48,
        "a member without a URL",
        &["--initial-cluster=a"],
        Ours(1, "empty URL given for \"a\""),
    ),
    case(
        48,
        "a member whose URL has no scheme",
        &["--initial-cluster=a=127.0.0.1:1"],
        Both(
            1,
            "error setting up initial cluster: parse \"127.0.0.1:1\": first path segment in URL \
             cannot contain colon",
        ),
    ),
    case(
        48,
        "a member whose URL has another scheme",
        &["--initial-cluster=a=ftp://127.0.0.1:1"],
        Both(
            1,
            "error setting up initial cluster: URL scheme must be http, https, unix, or unixs: ftp://127.0.0.1:1",
        ),
    ),
    case(
        48,
        "a cluster to join where nobody is",
        &["--initial-cluster=a={peer},b=http://127.0.0.1:1", "--initial-cluster-state=existing"],
        Both(
            1,
            "cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs",
        ),
    ),
    with(
        Prepared::Certificates,
        case(
            49,
            "a key of another certificate",
            &[
                "--cert-file={dir}/one.pem",
                "--key-file={dir}/two.key",
                "--listen-client-urls=https://127.0.0.1:1",
            ],
            Both(1, "tls: private key does not match public key"),
        ),
    ),
    with(
        Prepared::Certificates,
        case(
            49,
            "a key in the place of the certificate",
            &[
                "--cert-file={dir}/one.key",
                "--key-file={dir}/one.key",
                "--listen-client-urls=https://127.0.0.1:1",
            ],
            Ours(1, "tls: failed to find any PEM data in certificate input"),
        ),
    ),
    with(
        Prepared::Certificates,
        case(
            49,
            "a key where the CAs should be",
            &[
                "--cert-file={dir}/one.pem",
                "--key-file={dir}/one.key",
                "--trusted-ca-file={dir}/one.key",
                "--listen-client-urls=https://127.0.0.1:1",
            ],
            Ours(1, "there is no CA certificate in it"),
        ),
    ),
    with(
        Prepared::File,
        case(
            50,
            "a file in the place of the data directory",
            &[],
            Ours(1, "cannot access data directory"),
        ),
    ),
    with(
        Prepared::File,
        case(
            50,
            "a data directory below a file",
            &["--data-dir={dir}/data/x"],
            Ours(1, "cannot access data directory"),
        ),
    ),
    with(
        Prepared::DanglingLink,
        case(50, "a link that leads nowhere", &[], Both(1, "cannot access data directory")),
    ),
    case(
        50,
        "a data directory that cannot be made",
        &["--data-dir=/proc/none/x"],
        Both(1, "cannot access data directory"),
    ),
    with(Prepared::Link, case(50, "a link to a directory", &[], Served)),
    with(
        Prepared::Forbidding,
        case(
            50,
            "a data directory that nobody may write in",
            &[],
            Both(1, "cannot access data directory"),
        ),
    ),
    with(
        Prepared::ReadOnly,
        case(
            50,
            "a data directory that is there for reading alone",
            &[],
            Both(1, "cannot access data directory"),
        ),
    ),
    with(
        Prepared::EtcdsData,
        case(50, "a data directory of etcd", &[], Ours(1, "is a data directory of etcd")),
    ),
];

/// Row, name, words, code of etcdutl, a part of what both tools say.
type Tool = (u8, &'static str, &'static [&'static str], i32, &'static str);

pub(super) const TOOLS: &[Tool] = &[
    (
        51,
        "a restore of a file that is not there",
        &["snapshot", "restore", "none.db", "--data-dir", "new"],
        1,
        "none.db",
    ),
    (
        51,
        "a restore of what is no snapshot",
        &["snapshot", "restore", "a file.db", "--data-dir", "new"],
        1,
        "",
    ),
    (
        51,
        "a restore of two files",
        &["snapshot", "restore", "a file.db", "b", "--data-dir", "new"],
        128,
        "",
    ),
    (51, "a restore of nothing", &["snapshot", "restore"], 128, ""),
    (
        51,
        "a revision raised by less than nothing",
        &["snapshot", "restore", "a file.db", "--data-dir", "new", "--bump-revision", "-5"],
        1,
        "",
    ),
    (51, "a status of what is no snapshot", &["snapshot", "status", "a file.db"], 1, ""),
];

/// Makes what a case finds.
pub(super) fn prepare(case: &Case, folder: &Path) -> Result<()> {
    let data = folder.join("data");
    match case.prepared {
        Prepared::Nothing => {}
        Prepared::Yaml(text) => std::fs::write(folder.join("etcd.yaml"), text)?,
        Prepared::LargeYaml => std::fs::File::create(folder.join("etcd.yaml"))?.set_len(1 << 30)?,
        Prepared::File => std::fs::write(data, b"")?,
        Prepared::DanglingLink => std::os::unix::fs::symlink(folder.join("nowhere"), data)?,
        Prepared::Link => {
            std::fs::create_dir_all(folder.join("elsewhere"))?;
            std::os::unix::fs::symlink(folder.join("elsewhere"), data)?;
        }
        Prepared::EtcdsData => {
            std::fs::create_dir_all(data.join("member/wal"))?;
            std::fs::create_dir_all(data.join("member/snap"))?;
            std::fs::write(data.join("member/snap/db"), b"pages")?;
        }
        Prepared::Certificates => certificates(folder)?,
        Prepared::Forbidding => {
            std::fs::create_dir_all(&data)?;
            std::fs::set_permissions(data, PermissionsExt::from_mode(0o500))?;
        }
        Prepared::ReadOnly => std::fs::create_dir_all(data)?,
    }
    Ok(())
}

/// Two certificates that sign themselves, and their keys.
fn certificates(folder: &Path) -> Result<()> {
    for name in ["one", "two"] {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
        let certificate = params.self_signed(&key).context("signing")?;
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem())?;
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ANSWERED_ANOTHER_WAY;

    #[test]
    fn the_page_of_differences_lists_the_starts_that_end_another_way() {
        let page = include_str!("../../../../docs/compatibility/differences.md");
        for (what, why) in ANSWERED_ANOTHER_WAY {
            assert!(page.contains(&format!("| {what} | {why} |")), "the page lacks {what}");
        }
    }
}

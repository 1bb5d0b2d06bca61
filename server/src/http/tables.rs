//! The tables of endpoints and gateway paths, for the page of what works.
//! Must not know: how anything is answered.

use super::gateway::PATHS;

/// One page: its path, methods, whether metrics listeners have it too, and notes.
type Endpoint = (&'static str, &'static str, bool, &'static str);

#[rustfmt::skip]
const ENDPOINTS: &[Endpoint] = &[
    ("/health", "GET", true, "`?serializable=true`, `?exclude=NOSPACE`; 503 with a reason"),
    ("/livez", "GET", true, "`?verbose`, `?exclude=`; one sub-path per check"),
    ("/readyz", "GET", true, "`?verbose`, `?exclude=`; one sub-path per check"),
    ("/metrics", "any", true, "Prometheus' text format 0.0.4"),
    ("/version", "GET", false, "etcd's three fields, and `engram`: our own version"),
    ("/debug/vars", "any", false, "command line and Raft's state; no Go memory statistics"),
    ("/debug/pprof/", "any", false, "only with `--enable-pprof`; Go's profiles are refused (501)"),
    ("/engram/state", "GET", false, "ours: applied index, revision and digest of the state"),
    ("/v3/", "POST", false, "the JSON gateway, unless `--enable-grpc-gateway=false`"),
];

/// The part of `docs/compatibility/etcd.md` about HTTP.
pub(crate) fn tables() -> String {
    let mut page = String::from(
        "\n## HTTP pages\n\n\
         Compared with the real etcd by `doors` in `server/tests/services/` and by the harness'\n\
         suite `gateway`. Any other path answers 404; `OPTIONS` answers 200 everywhere.\n\n\
         | path | methods | on metrics listeners | note |\n|---|---|---|---|\n",
    );
    for (path, methods, everywhere, note) in ENDPOINTS {
        let everywhere = if *everywhere { "yes" } else { "no" };
        page.push_str(&format!("| `{path}` | {methods} | {everywhere} | {note} |\n"));
    }
    page.push_str(
        "\n## JSON gateway\n\n\
         All by POST; `/v3beta/` is the same as `/v3/`. Calls go through the same services as\n\
         gRPC's. Streams are lines of `{\"result\":…}`, the last one `{\"error\":…}` when they \
         fail;\n\
         each path also takes a WebSocket, one message per line. The token is the header\n\
         `Authorization`. Shown by the harness' suite `gateway`, which holds the same random\n\
         conversation with the real etcd.\n\n| path | RPC |\n|---|---|\n",
    );
    for path in PATHS {
        page.push_str(&format!("| `{}` | {}/{} |\n", path.path, path.service, path.method));
    }
    page
}

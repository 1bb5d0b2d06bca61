//! The tables of endpoints and gateway paths, for the page of what works.
//! Must not know: how anything is answered.

use super::gateway::PATHS;
use super::health::Check;
use crate::compatibility::{Counts, Standing, better, missing, noted, partly, same};

/// One page.
struct Endpoint {
    path: &'static str,
    methods: &'static str,
    /// Whether metrics listeners have it too.
    on_metrics: bool,
    standing: Standing,
}

const fn page(
    path: &'static str,
    methods: &'static str,
    on_metrics: bool,
    standing: Standing,
) -> Endpoint {
    Endpoint { path, methods, on_metrics, standing }
}

const GATEWAY: &str = "suite gateway";
const PAGES: &str = "services/doors::pages_answer_as_etcds";
const VARIABLES: &str =
    "services/doors::the_variables_for_debugging_tell_of_the_process_and_of_raft";
const STATE: &str = "services/doors::the_state_is_told_with_its_digest";
const SWITCHED: &str = "services/gateway::the_gateway_and_the_profiler_are_switched_by_their_flags";

#[rustfmt::skip]
const ENDPOINTS: &[Endpoint] = &[
    page("/health", "GET", true,
        noted("`?serializable=true`, `?exclude=NOSPACE`; 503 with a reason", &[GATEWAY, PAGES])),
    page("/livez", "GET", true, noted("`?verbose`, `?exclude=`", &[GATEWAY, PAGES])),
    page("/readyz", "GET", true, noted("`?verbose`, `?exclude=`", &[GATEWAY, PAGES])),
    page("/metrics", "any", true, noted("text format 0.0.4", &["suite metrics", GATEWAY,
        "services/doors::metrics_have_etcds_names_from_the_first_scrape"])),
    page("/version", "GET", false,
        better("etcd's fields, and `engram`: our own version", &[GATEWAY, PAGES])),
    page("/debug/vars", "any", false,
        partly("command line and Raft's state; no Go memory statistics", &[VARIABLES])),
    page("/debug/pprof/, /debug/pprof/cmdline", "any", false,
        partly("with `--enable-pprof`; the list names what there is", &[GATEWAY, SWITCHED])),
    page("/debug/pprof/{profile, symbol, trace, heap, goroutine, threadcreate, block, mutex, allocs}",
        "any", false, missing("there is no Go runtime; answered 501", &[SWITCHED])),
    page("/debug/requests", "GET", false,
        missing("with `--log-level=debug`, Go's traces of requests", &[])),
    page("/v3/…", "POST", false,
        noted("the JSON gateway, unless `--enable-grpc-gateway=false`", &[GATEWAY, SWITCHED])),
    page("/v2/…", "any", false,
        noted("404, as any other path; `OPTIONS` is answered 200 everywhere", &[GATEWAY, PAGES])),
    page("/engram/state", "GET", false,
        better("ours: applied index, revision and digest of the state", &[STATE, "suite rounds"])),
    page("/raft/…, /members, /leases…, /downgrade/enabled", "any", false,
        missing("on peers' ports: members speak a protocol of their own", &[])),
];

/// Sub-paths of the health pages, one per check.
fn checks() -> Vec<String> {
    let group = |name: &'static str, checks: &'static [Check]| {
        checks.iter().map(move |check| format!("/{name}/{}", check.name()))
    };
    group("livez", Check::LIVE).chain(group("readyz", Check::READY)).collect()
}

/// How many pages and paths are how.
pub(crate) fn counts() -> (Counts, Counts) {
    let (mut pages, mut paths) = (Counts::default(), Counts::default());
    ENDPOINTS.iter().for_each(|endpoint| pages.add(endpoint.standing.state));
    checks().iter().for_each(|_| pages.add(CHECKED.state));
    PATHS.iter().for_each(|_| paths.add(CHECKED.state));
    (pages, paths)
}

const CHECKED: Standing = same(&[GATEWAY]);

/// The part of `docs/compatibility/etcd.md` about HTTP.
pub(crate) fn tables() -> String {
    let mut page = String::from(
        "\n## HTTP pages\n\n\
         *metrics*: whether listeners of `--listen-metrics-urls` have the page too.\n\n\
         | path | methods | metrics | state | note | shown by |\n|---|---|---|---|---|---|\n",
    );
    for endpoint in ENDPOINTS {
        let everywhere = if endpoint.on_metrics { "yes" } else { "no" };
        let (path, methods) = (endpoint.path, endpoint.methods);
        let path = path.split(", /").collect::<Vec<_>>().join("`, `/");
        let cells = endpoint.standing.cells();
        page.push_str(&format!("| `{path}` | {methods} | {everywhere} | {cells}\n"));
    }
    for path in checks() {
        page.push_str(&format!("| `{path}` | GET | yes | {}\n", CHECKED.cells()));
    }
    page.push_str(
        "\n## JSON gateway\n\n\
         All by POST; `/v3beta/` is the same as `/v3/`. Calls go through the same services as\n\
         gRPC's, so fields are as above. Streams are lines of `{\"result\":…}`, the last one\n\
         `{\"error\":…}` when they fail; each path also takes a WebSocket, one message per line.\n\
         The token is the header `Authorization`. All are the *same*, shown by `suite gateway`, \
         which\n\
         asks each path of both servers, and holds random conversations in all spellings.\n\n\
         | path | RPC |\n|---|---|\n",
    );
    for path in PATHS {
        page.push_str(&format!("| `{}` | {}/{} |\n", path.path, path.service, path.method));
    }
    page
}

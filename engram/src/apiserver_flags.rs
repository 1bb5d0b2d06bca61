//! The table of kube-apiserver's flags and what is done with them.

use crate::component_flags::{Flag, ignored, refused, works};

const LATER_AUTH: &str = "this way to authenticate comes later";
const LATER_AUDIT: &str = "no audit log is written yet";
const NOT_HERE: &str = "it tunes a part that works otherwise here";
const ADMISSION: &str = "admission plugins come later";
const METRICS: &str = "the metrics are few";
const ACCOUNT_TOKENS: &str = "tokens of service accounts come later";
const KUBELET: &str = "kubelets are not talked to yet";
const FRONT_PROXY: &str = "aggregated servers come later";
const STORE_TLS: &str = "the store is reached without TLS so far";

/// What works.
pub(crate) const HONOURED: &[Flag] = &[
    works("etcd-servers", "where the store is: scheme://host:port, separated by commas"),
    works("etcd-prefix", "what all keys begin with (/registry)"),
    works("etcd-compaction-interval", "how often history is forgotten (5m0s); 0 for never"),
    works("bind-address", "the address to listen on (0.0.0.0)"),
    works("secure-port", "the port to listen on (6443)"),
    works("advertise-address", "the address others reach this server by; in its certificate"),
    works("external-hostname", "a name others reach this server by; in its certificate"),
    works(
        "cert-dir",
        "where certificates are made and kept (engram-apiserver); admin.kubeconfig \
                       is written there",
    ),
    works("tls-cert-file", "a serving certificate of one's own"),
    works("tls-private-key-file", "its key"),
    works("client-ca-file", "a CA that signs clients' certificates, besides the generated one"),
    works("token-auth-file", "bearer tokens: token,user,uid,\"group1,group2\""),
    works("service-cluster-ip-range", "the range of service addresses (10.0.0.0/24)"),
    works("max-requests-inflight", "reads under way at most (400)"),
    works("max-mutating-requests-inflight", "writes under way at most (200)"),
    works("allow-privileged", "privileged containers are always allowed").switch(),
    works("authorization-mode", "everybody who is known may do everything, whatever is said here"),
    works("anonymous-auth", "health and version alone are open to everybody").switch(),
    works("logging-format", "text or json"),
    works("v", "4 and more: debug messages"),
];

/// What would not be what its user relies on.
pub(crate) const REFUSED: &[Flag] = &[
    refused("encryption-provider-config", "objects are stored as they are"),
    refused("encryption-provider-config-automatic-reload", "objects are stored as they are")
        .switch(),
    refused("etcd-cafile", STORE_TLS),
    refused("etcd-certfile", STORE_TLS),
    refused("etcd-keyfile", STORE_TLS),
    refused("etcd-servers-overrides", "all resources live in one store"),
    refused("authentication-config", LATER_AUTH),
    refused("authentication-token-webhook-config-file", LATER_AUTH),
    refused("enable-bootstrap-token-auth", LATER_AUTH).switch(),
    refused("oidc-ca-file", LATER_AUTH),
    refused("oidc-client-id", LATER_AUTH),
    refused("oidc-groups-claim", LATER_AUTH),
    refused("oidc-groups-prefix", LATER_AUTH),
    refused("oidc-issuer-url", LATER_AUTH),
    refused("oidc-required-claim", LATER_AUTH),
    refused("oidc-signing-algs", LATER_AUTH),
    refused("oidc-username-claim", LATER_AUTH),
    refused("oidc-username-prefix", LATER_AUTH),
    refused("authorization-config", "everybody who is known may do everything so far"),
    refused("authorization-policy-file", "everybody who is known may do everything so far"),
    refused("authorization-webhook-config-file", "everybody who is known may do everything so far"),
    refused("egress-selector-config-file", KUBELET),
    refused("tls-sni-cert-key", "one serving certificate is shown to everybody"),
];

/// What has no effect.
pub(crate) const IGNORED: &[Flag] = &[
    ignored("admission-control", ADMISSION),
    ignored("admission-control-config-file", ADMISSION),
    ignored("disable-admission-plugins", ADMISSION),
    ignored("enable-admission-plugins", ADMISSION),
    ignored("default-not-ready-toleration-seconds", ADMISSION),
    ignored("default-unreachable-toleration-seconds", ADMISSION),
    ignored("aggregator-reject-forwarding-redirect", FRONT_PROXY).switch(),
    ignored("enable-aggregator-routing", FRONT_PROXY).switch(),
    ignored("proxy-client-cert-file", FRONT_PROXY),
    ignored("proxy-client-key-file", FRONT_PROXY),
    ignored("requestheader-allowed-names", FRONT_PROXY),
    ignored("requestheader-client-ca-file", FRONT_PROXY),
    ignored("requestheader-extra-headers-prefix", FRONT_PROXY),
    ignored("requestheader-group-headers", FRONT_PROXY),
    ignored("requestheader-uid-headers", FRONT_PROXY),
    ignored("requestheader-username-headers", FRONT_PROXY),
    ignored("allow-metric-labels", METRICS),
    ignored("allow-metric-labels-manifest", METRICS),
    ignored("disabled-metrics", METRICS),
    ignored("show-hidden-metrics-for-version", METRICS),
    ignored("api-audiences", ACCOUNT_TOKENS),
    ignored("service-account-extend-token-expiration", ACCOUNT_TOKENS).switch(),
    ignored("service-account-issuer", ACCOUNT_TOKENS),
    ignored("service-account-jwks-uri", ACCOUNT_TOKENS),
    ignored("service-account-key-file", ACCOUNT_TOKENS),
    ignored("service-account-lookup", ACCOUNT_TOKENS).switch(),
    ignored("service-account-max-token-expiration", ACCOUNT_TOKENS),
    ignored("service-account-signing-endpoint", ACCOUNT_TOKENS),
    ignored("service-account-signing-key-file", ACCOUNT_TOKENS),
    ignored("authentication-token-webhook-cache-ttl", LATER_AUTH),
    ignored("authentication-token-webhook-version", LATER_AUTH),
    ignored("authorization-webhook-cache-authorized-ttl", LATER_AUTH),
    ignored("authorization-webhook-cache-unauthorized-ttl", LATER_AUTH),
    ignored("authorization-webhook-version", LATER_AUTH),
    ignored("audit-log-batch-buffer-size", LATER_AUDIT),
    ignored("audit-log-batch-max-size", LATER_AUDIT),
    ignored("audit-log-batch-max-wait", LATER_AUDIT),
    ignored("audit-log-compress", LATER_AUDIT).switch(),
    ignored("audit-log-format", LATER_AUDIT),
    ignored("audit-log-maxage", LATER_AUDIT),
    ignored("audit-log-maxbackup", LATER_AUDIT),
    ignored("audit-log-maxsize", LATER_AUDIT),
    ignored("audit-log-mode", LATER_AUDIT),
    ignored("audit-log-path", LATER_AUDIT),
    ignored("audit-log-version", LATER_AUDIT),
    ignored("audit-policy-file", LATER_AUDIT),
    ignored("audit-webhook-config-file", LATER_AUDIT),
    ignored("kubelet-certificate-authority", KUBELET),
    ignored("kubelet-client-certificate", KUBELET),
    ignored("kubelet-client-key", KUBELET),
    ignored("kubelet-preferred-address-types", KUBELET),
    ignored("kubelet-timeout", KUBELET),
    ignored("contention-profiling", NOT_HERE).switch(),
    ignored("coordinated-leadership-lease-duration", NOT_HERE),
    ignored("cors-allowed-origins", NOT_HERE),
    ignored("delete-collection-workers", NOT_HERE),
    ignored("disable-http2-serving", NOT_HERE).switch(),
    ignored("emulated-version", NOT_HERE),
    ignored("enable-garbage-collector", NOT_HERE).switch(),
    ignored("enable-logs-handler", NOT_HERE).switch(),
    ignored("enable-priority-and-fairness", NOT_HERE).switch(),
    ignored("endpoint-reconciler-type", NOT_HERE),
    ignored("etcd-count-metric-poll-period", NOT_HERE),
    ignored("etcd-db-metric-poll-interval", NOT_HERE),
    ignored("etcd-healthcheck-timeout", NOT_HERE),
    ignored("etcd-readycheck-timeout", NOT_HERE),
    ignored("event-ttl", "events live for an hour"),
    ignored("feature-gates", "features are not switched one by one"),
    ignored("goaway-chance", NOT_HERE),
    ignored("http2-max-streams-per-connection", NOT_HERE),
    ignored("kubernetes-service-node-port", NOT_HERE),
    ignored("lease-reuse-duration-seconds", NOT_HERE),
    ignored("livez-grace-period", NOT_HERE),
    ignored("log-flush-frequency", NOT_HERE),
    ignored("min-compatibility-version", NOT_HERE),
    ignored("min-request-timeout", NOT_HERE),
    ignored("permit-address-sharing", NOT_HERE).switch(),
    ignored("permit-port-sharing", NOT_HERE).switch(),
    ignored("profiling", NOT_HERE).switch(),
    ignored("request-timeout", "a request may take a minute"),
    ignored("runtime-config", "the default resources are served, no more and no fewer"),
    ignored("service-node-port-range", "node ports are taken as they are asked for"),
    ignored("shutdown-delay-duration", NOT_HERE),
    ignored("shutdown-send-retry-after", NOT_HERE).switch(),
    ignored("shutdown-watch-termination-grace-period", NOT_HERE),
    ignored("storage-backend", NOT_HERE),
    ignored("storage-initialization-timeout", NOT_HERE),
    ignored("storage-media-type", "objects are stored as JSON, which kube-apiserver reads too"),
    ignored("strict-transport-security-directives", NOT_HERE),
    ignored("tls-cipher-suites", "rustls' suites are used"),
    ignored("tls-curve-preferences", NOT_HERE),
    ignored("tls-min-version", "TLS 1.2 and 1.3 are spoken"),
    ignored("tracing-config-file", NOT_HERE),
    ignored("vmodule", NOT_HERE),
    ignored("watch-cache", "there always is one").switch(),
    ignored("watch-cache-sizes", NOT_HERE),
];

/// All of it.
pub(crate) const TABLES: [&[Flag]; 3] = [HONOURED, REFUSED, IGNORED];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_stands_in_the_table_once() {
        let mut names: Vec<&str> = TABLES.iter().flat_map(|t| t.iter()).map(|f| f.name).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}

//! The spec of a pod, in a pod or in a template: what makes it valid.
//!
//! The order of the checks is the order in which Kubernetes reports them.

use super::{container, resources, scheduling, security};
use crate::kinds::at::At;
use crate::kinds::{checks, formats, ip, volumes};
use crate::status::FieldErrors;
use std::collections::HashSet;

/// What the parts of a pod need to know of each other.
pub(super) struct Context<'p, 'v> {
    /// The volumes that are in order, by name.
    pub(super) volumes: Vec<(&'v str, At<'p, 'v>)>,
    pub(super) grace_seconds: Option<i64>,
    pub(super) host_users: bool,
    /// Names of the resource claims of the pod.
    pub(super) claims: HashSet<&'v str>,
    pub(super) restart_policy: &'v str,
}

/// Checks a spec. `pod_name` is that of the pod, where there is one and not a template.
pub(super) fn validate(spec: &At, pod_name: Option<&str>, errors: &mut FieldErrors) {
    let grace = spec.at("terminationGracePeriodSeconds");
    if !grace.is_set() {
        grace.required(errors, "");
    }
    let volume_list = spec.at("volumes");
    let claim_list = spec.at("resourceClaims");
    let context = Context {
        volumes: volumes::validate_all(&volume_list, pod_name, errors),
        grace_seconds: grace.value.as_i64(),
        host_users: spec.at("hostUsers").value.as_bool().unwrap_or(true),
        claims: claim_list.items().map(|claim| claim.text_of("name")).collect(),
        restart_policy: spec.text_of("restartPolicy"),
    };
    resource_claims(&claim_list, errors);
    container::regular(&spec.at("containers"), &context, errors);
    container::init(&spec.at("initContainers"), &spec.at("containers"), &context, errors);
    container::ephemeral(spec, &context, errors);
    resources::of_pod(&spec.at("resources"), errors);
    host_network_ports(spec, pod_name.is_some(), errors);
    required_or(&spec.at("restartPolicy"), errors, &["Always", "OnFailure", "Never"]);
    let dns = spec.at("dnsPolicy");
    required_or(&dns, errors, &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]);
    checks::labels(&spec.at("nodeSelector"), errors);
    security::of_pod(&spec.at("securityContext"), errors);
    if spec.at("hostPID").flag() && spec.at("shareProcessNamespace").flag() {
        let words = "ShareProcessNamespace and HostPID cannot both be enabled";
        spec.at("shareProcessNamespace").invalid(errors, words);
    }
    scheduling::affinity(&spec.at("affinity"), errors);
    dns_config(spec, errors);
    for gate in spec.at("readinessGates").items() {
        checks::format(&gate.at("conditionType"), errors, formats::qualified_name);
    }
    scheduling_gates(&spec.at("schedulingGates"), errors);
    scheduling::topology_spread(&spec.at("topologySpreadConstraints"), errors);
    host_users(spec, errors);
    names(spec, errors);
    scheduling::tolerations(&spec.at("tolerations"), errors);
    host_aliases(&spec.at("hostAliases"), errors);
    checks::optional_format(&spec.at("priorityClassName"), errors, formats::dns_subdomain);
    if spec.has("runtimeClassName") {
        checks::format(&spec.at("runtimeClassName"), errors, formats::dns_subdomain);
    }
    let preemption = spec.at("preemptionPolicy");
    checks::optional_one_of(&preemption, errors, &["PreemptLowerPriority", "Never"]);
    resources::overhead(&spec.at("overhead"), errors);
    operating_system(&spec.at("os"), errors);
}

fn required_or(at: &At, errors: &mut FieldErrors, allowed: &[&str]) {
    checks::required_one_of(at, errors, allowed);
}

fn resource_claims(list: &At, errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for claim in list.items() {
        let name = claim.at("name");
        checks::required_format(&name, errors, formats::dns_label);
        if !name.is_empty() && !seen.insert(name.text()) {
            name.duplicate(errors);
        }
        let sources = ["resourceClaimName", "resourceClaimTemplateName"];
        match sources.iter().filter(|source| claim.has(source)).count() {
            0 => claim.invalid(
                errors,
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            ),
            1 => {}
            _ => claim.invalid(
                errors,
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be \
                 specified",
            ),
        }
        for source in sources {
            checks::optional_format(&claim.at(source), errors, formats::dns_subdomain);
        }
    }
}

fn host_network_ports(spec: &At, is_pod: bool, errors: &mut FieldErrors) {
    if !spec.at("hostNetwork").flag() {
        return;
    }
    let containers = spec.at("containers");
    for container in containers.items() {
        for port in container.at("ports").items() {
            let host = port.at("hostPort");
            if (is_pod || host.int() != 0) && host.int() != port.at("containerPort").int() {
                host.invalid(errors, "must match `containerPort` when `hostNetwork` is true");
            }
        }
    }
}

fn dns_config(spec: &At, errors: &mut FieldErrors) {
    let config = spec.at("dnsConfig");
    let servers = config.at("nameservers");
    if spec.text_of("dnsPolicy") == "None" {
        if !config.is_set() {
            return config.required(errors, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        if servers.is_empty() {
            let words = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return servers.required(errors, words);
        }
    }
    if servers.len() > 3 {
        servers.invalid(errors, "must not have more than 3 nameservers");
    }
    for server in servers.items() {
        ip::legacy(&server, errors);
    }
    let searches = config.at("searches");
    if searches.len() > 32 {
        searches.invalid(errors, "must not have more than 32 search paths");
    }
    let written: usize = searches.items().map(|search| search.text().len() + 1).sum();
    if written > 2049 {
        let words = "must not have more than 2048 characters (including spaces) in the search list";
        searches.invalid(errors, words);
    }
    for search in searches.items().filter(|search| search.text() != ".") {
        let text = search.text().strip_suffix('.').unwrap_or(search.text());
        for fault in formats::subdomain_with_underscore(text) {
            search.invalid_as(errors, text, fault);
        }
    }
    for option in config.at("options").items() {
        if option.text_of("name").is_empty() {
            option.required(errors, "must not be empty");
        }
    }
}

fn scheduling_gates(list: &At, errors: &mut FieldErrors) {
    let mut seen = HashSet::new();
    for gate in list.items() {
        let name = gate.text_of("name");
        for fault in formats::qualified_name(name) {
            gate.invalid_as(errors, name, fault);
        }
        if !seen.insert(name) {
            gate.duplicate_as(errors, name);
        }
    }
}

fn host_users(spec: &At, errors: &mut FieldErrors) {
    if spec.at("hostUsers").value.as_bool() != Some(false) {
        return;
    }
    for (field, shown) in
        [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")]
    {
        if spec.at(field).flag() {
            spec.at(shown).forbidden(errors, "when `hostUsers` is false");
        }
    }
}

fn names(spec: &At, errors: &mut FieldErrors) {
    checks::optional_format(&spec.at("serviceAccountName"), errors, formats::dns_subdomain);
    checks::optional_format(&spec.at("nodeName"), errors, formats::dns_subdomain);
    let deadline = spec.at("activeDeadlineSeconds");
    if deadline.is_set() {
        checks::in_range(&deadline, errors, 1, i64::from(i32::MAX));
    }
    checks::optional_format(&spec.at("hostname"), errors, formats::dns_label);
    checks::optional_format(&spec.at("subdomain"), errors, formats::dns_label);
}

fn host_aliases(list: &At, errors: &mut FieldErrors) {
    for alias in list.items() {
        ip::legacy(&alias.at("ip"), errors);
        for name in alias.at("hostnames").items() {
            checks::format(&name, errors, formats::dns_subdomain);
        }
    }
}

fn operating_system(os: &At, errors: &mut FieldErrors) {
    if !os.is_set() {
        return;
    }
    let name = os.at("name");
    if name.is_empty() {
        name.required(errors, "");
    } else if !matches!(name.text(), "linux" | "windows") {
        os.with(name.value).not_supported(errors, &["linux", "windows"]);
    }
}

//! What is common to all calls and pages: unknown paths, metadata, health, metrics.

use crate::support::{cluster, eventually, http, one};
use proto::etcdserverpb as pb;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};

/// Calls any path with an empty message.
async fn call(node: &crate::support::Node, path: &'static str) -> Result<(), Status> {
    let mut client = tonic::client::Grpc::new(node.channel.clone());
    client.ready().await.expect("connected");
    let codec = tonic_prost::ProstCodec::<pb::StatusRequest, pb::StatusRequest>::default();
    let path = ::http::uri::PathAndQuery::from_static(path);
    client.unary(Request::new(pb::StatusRequest {}), path, codec).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unserved_rpcs_answer_unimplemented() {
    let node = one().await;
    for path in ["/etcdserverpb.KV/Bogus", "/bogus.Service/Call"] {
        let refused = call(&node, path).await.expect_err("refused");
        assert_eq!(refused.code(), Code::Unimplemented, "{path}");
        assert!(!refused.message().is_empty(), "{path}");
    }
    let refused = call(&node, "/etcdserverpb.Auth/Authenticate").await.expect_err("refused");
    assert_eq!(refused.message(), "etcdserver: authentication is not enabled");
    call(&node, "/etcdserverpb.Auth/AuthStatus").await.expect("told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_told_over_grpc() {
    let node = one().await;
    call(&node, "/grpc.health.v1.Health/Check").await.expect("serving");
    call(&node, "/grpc.health.v1.Health/List").await.expect("listed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_of_a_name_that_nobody_knows_is_told_in_etcds_words() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;
    let node = one().await;
    let mut health = HealthClient::new(node.channel.clone());
    let ask = |service: &str| HealthCheckRequest { service: service.to_owned() };
    let refused = health.check(ask("etcdserverpb.KV")).await.expect_err("refused");
    assert_eq!((refused.code(), refused.message()), (Code::NotFound, "unknown service"));
    for (name, state) in [("", ServingStatus::Serving), ("x", ServingStatus::ServiceUnknown)] {
        let mut told = health.watch(ask(name)).await.expect("answered").into_inner();
        let first = told.message().await.expect("open").expect("a state");
        assert_eq!(first.status(), state, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_describe_themselves() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let node = one().await;
    let mut client = ServerReflectionClient::new(node.channel.clone());
    let ask =
        |question| ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let questions = tokio_stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("etcdserverpb.KV".to_owned())),
    ]);
    let answers = client.server_reflection_info(questions).await.expect("answered");
    let mut answers = answers.into_inner();
    let mut next = async || {
        let answer = answers.message().await.expect("open").expect("an answer");
        answer.message_response.expect("not empty")
    };
    let MessageResponse::ListServicesResponse(list) = next().await else { panic!("a list") };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["etcdserverpb.KV", "v3lockpb.Lock", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("engram")), "{names:?}");
    let MessageResponse::FileDescriptorResponse(_) = next().await else { panic!("a file") };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_request_is_answered_compressed_and_a_plain_one_is_not() {
    use tonic::codec::CompressionEncoding::Gzip;
    let node = one().await;
    node.put("a", &"b".repeat(100_000)).await;
    let range = pb::RangeRequest { key: "a".into(), ..Default::default() };
    for (client, encoding) in [
        (node.kv().send_compressed(Gzip).accept_compressed(Gzip), Some("gzip")),
        (node.kv().accept_compressed(Gzip), None),
    ] {
        let mut client = client;
        let answer = client.range(range.clone()).await.expect("answered");
        let told =
            answer.metadata().get("grpc-encoding").map(|value| value.to_str().expect("text"));
        assert_eq!(told, encoding);
        assert_eq!(answer.into_inner().kvs[0].value.len(), 100_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_answer_as_etcds() {
    let node = one().await;
    let rows = [
        ("/health", 200, "{\"health\":\"true\",\"reason\":\"\"}"),
        ("/health?serializable=true", 200, "{\"health\":\"true\",\"reason\":\"\"}"),
        ("/livez", 200, "ok\n"),
        ("/livez?verbose", 200, "[+]serializable_read ok\nok\n"),
        ("/livez/serializable_read", 200, "ok\n"),
        (
            "/readyz?verbose&exclude=non_learner&exclude=bogus",
            200,
            "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\nok\n",
        ),
        ("/readyz/linearizable_read?verbose", 200, "[+]linearizable_read ok\nok\n"),
        (
            "/version",
            200,
            "{\"etcdserver\":\"3.7.3\",\"etcdcluster\":\"3.7.0\",\"storage\":\"3.7.0\",\
             \"engram\":\"0.1.0\"}",
        ),
        ("/bogus", 404, "404 page not found\n"),
        ("/debug/pprof/", 404, "404 page not found\n"),
        ("/v3/bogus", 404, "{\"code\":5,\"message\":\"Not Found\"}"),
        ("/v3/kv/range", 501, "{\"code\":12,\"message\":\"Method Not Allowed\"}"),
    ];
    for (path, code, body) in rows {
        assert_eq!(http(&node.address, "GET", path).await, (code, body.to_owned()), "{path}");
    }
    for path in ["/health", "/livez", "/version", "/readyz/non_learner"] {
        let refused = http(&node.address, "POST", path).await;
        assert_eq!(refused, (405, "Method Not Allowed\n".to_owned()), "{path}");
    }
    // Compat: etcd does not look at the method here.
    assert_eq!(http(&node.address, "POST", "/metrics").await.0, 200);
    assert_eq!(http(&node.address, "OPTIONS", "/bogus").await, (200, String::new()));
    let (code, body) = http(&node.address, "GET", "//health").await;
    assert_eq!((code, body.trim()), (307, "<a href=\"/health\">Temporary Redirect</a>."));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_variables_for_debugging_tell_of_the_process_and_of_raft() {
    let node = one().await;
    let (code, page) = http(&node.address, "GET", "/debug/vars").await;
    assert_eq!(code, 200);
    let page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
    assert!(page["cmdline"].as_array().is_some_and(|words| !words.is_empty()), "{page}");
    let id = format!("{:x}", node.member.ids().member_id);
    let raft = &page["raft.status"];
    assert_eq!((raft["id"].as_str(), raft["lead"].as_str()), (Some(&*id), Some(&*id)), "{page}");
    assert_eq!(raft["raftState"], "StateLeader");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_is_told_with_its_digest() {
    let node = one().await;
    let told = async || {
        let (code, page) = http(&node.address, "GET", "/engram/state").await;
        assert_eq!(code, 200);
        serde_json::from_str::<serde_json::Value>(&page).expect("JSON")
    };
    let before = told().await;
    node.put("a", "1").await;
    let after = told().await;
    for field in ["applied_index", "revision", "digest"] {
        assert!(!after[field].is_null() && before[field] != after[field], "{field}: {after}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_have_etcds_names_from_the_first_scrape() {
    let node = one().await;
    node.put("a", "1").await;
    http(&node.address, "GET", "/livez").await;
    let (code, page) = http(&node.address, "GET", "/metrics").await;
    assert_eq!(code, 200);
    // Compat: labels are in etcd's order, and a type has the family's full name.
    let put = "grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\"";
    let watch =
        "grpc_method=\"Watch\",grpc_service=\"etcdserverpb.Watch\",grpc_type=\"bidi_stream\"";
    let live = "name=\"serializable_read\",status=\"success\",type=\"livez\"";
    for line in [
        "etcd_server_has_leader 1".to_owned(),
        "etcd_server_is_leader 1".to_owned(),
        "etcd_server_leader_changes_seen_total 1".to_owned(),
        "etcd_debugging_mvcc_current_revision 2".to_owned(),
        format!("etcd_server_healthchecks_total{{{live}}} 1"),
        format!("grpc_server_started_total{{{put}}} 1"),
        format!("grpc_server_handled_total{{grpc_code=\"OK\",{put}}} 1"),
        format!("grpc_server_handled_total{{grpc_code=\"OK\",{watch}}} 0"),
        "# TYPE grpc_server_handled_total counter".to_owned(),
        "etcd_cluster_version{cluster_version=\"3.7\"} 1".to_owned(),
        "etcd_mvcc_put_total 1".to_owned(),
        "etcd_server_request_duration_seconds_count{success=\"true\",type=\"Put\"} 1".to_owned(),
        format!("grpc_server_handling_seconds_count{{{put}}} 1"),
    ] {
        assert!(
            page.lines().any(|told| told == line),
            "{line} is missing in
{page}"
        );
    }
    for name in [
        "etcd_server_proposals_committed_total",
        "etcd_server_proposals_applied_total",
        "etcd_server_proposals_failed_total",
        "etcd_server_proposals_pending",
        "etcd_server_quota_backend_bytes",
        "etcd_mvcc_db_total_size_in_bytes",
        "etcd_mvcc_db_total_size_in_use_in_bytes",
        "etcd_network_client_grpc_sent_bytes_total",
        "etcd_network_client_grpc_received_bytes_total",
        "etcd_disk_wal_fsync_duration_seconds_bucket",
        "process_resident_memory_bytes",
    ] {
        assert!(page.lines().any(|told| told.starts_with(name)), "{name} is missing");
    }
    assert!(!page.contains("_total_total"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_no_text_is_refused() {
    let node = one().await;
    let mut request = Request::new(pb::RangeRequest { key: "a".into(), ..Default::default() });
    request.metadata_mut().insert("client-api-version", MetadataValue::from_static("3.7"));
    node.kv().range(request).await.expect("text is accepted");
    let mut request = Request::new(pb::RangeRequest { key: "a".into(), ..Default::default() });
    let no_text = MetadataValue::try_from(&[0xff, 0xfe][..]).expect("HTTP allows it");
    request.metadata_mut().insert("client-api-version", no_text);
    let refused = node.kv().range(request).await.expect_err("refused");
    assert_eq!(refused.message(), "etcdserver: invalid client api version");
}

fn with_leader<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_ask_for_a_leader_are_refused_without_one_and_streams_end() {
    let mut nodes = cluster(3).await;
    let last = nodes.remove(0);
    let requests = tokio_stream::pending::<pb::WatchRequest>();
    let stream = last.watch().watch(with_leader(requests)).await.expect("there is a leader");
    for node in &nodes {
        node.member.stop().await;
    }
    let range = pb::RangeRequest { key: "a".into(), serializable: true, ..Default::default() };
    let refused = eventually("a refusal", || {
        let (mut kv, request) = (last.kv(), with_leader(range.clone()));
        async move { kv.range(request).await.err() }
    })
    .await;
    let told = (Code::Unavailable, "etcdserver: no leader");
    assert_eq!((refused.code(), refused.message()), told);
    last.kv().range(range).await.expect("without the wish it is answered");
    let ended = stream.into_inner().message().await.expect_err("the stream ends");
    assert_eq!((ended.code(), ended.message()), told);
}

//! What the checked-in facts say, and what is refused.

use super::*;
use crate::types::{ListType, Omit, PatchStrategy, Shape, WireMember};

#[test]
fn the_checked_in_facts_are_read() {
    let schema = parse(KUBERNETES_1_37).expect("facts that hold to the format");
    assert_eq!(schema.resources().len(), 72);
    assert!(schema.types().count() > 1200);
}

#[test]
fn the_builtin_schema_serves_cron_jobs_in_both_versions() {
    let schema = Schema::builtin();
    assert_eq!(schema.resources().len(), 73);
    let batch: Vec<_> = schema.resources().iter().filter(|row| row.group == "batch").collect();
    let names: Vec<_> = batch.iter().map(|row| (row.version, row.plural)).collect();
    assert_eq!(names, [("v1", "cronjobs"), ("v1", "jobs"), ("v1beta1", "cronjobs")]);
    assert_eq!(batch[2].short_names, ["cj"]);
    assert_eq!(batch[2].subresources[0].version, "v1beta1");
    assert_eq!(batch[2].deprecated.expect("deprecated").removed_in, Some("1.25"));
    assert_eq!(
        schema.kind("batch", "v1beta1", "CronJob").expect("a kind"),
        schema.kind("batch", "v1", "CronJob").expect("a kind")
    );
}

#[test]
fn a_field_has_its_tags_and_its_merge_keys() {
    let schema = Schema::builtin();
    let pod_spec = schema.get(schema.named("core/v1.PodSpec").expect("a type"));
    assert_eq!(pod_spec.openapi, "io.k8s.api.core.v1.PodSpec");
    let containers = pod_spec.field("containers").expect("a field");
    assert_eq!(containers.tag, 2);
    assert_eq!(containers.list, ListType::Map(vec!["name"]));
    assert_eq!(containers.patch, PatchStrategy::Merge);
    assert_eq!(containers.merge_key, Some("name"));
    assert!(containers.required && containers.omit == Omit::Never);
    let container = schema.named("core/v1.Container").expect("a type");
    assert_eq!(containers.shape, Shape::List(Box::new(Shape::Object(container))));
    assert!(pod_spec.field("Containers").is_none(), "names are case-sensitive");
}

#[test]
fn an_inlined_struct_is_flat_in_json_and_a_message_in_protobuf() {
    let schema = Schema::builtin();
    let volume = schema.get(schema.named("core/v1.Volume").expect("a type"));
    assert!(volume.field("hostPath").is_some());
    let [WireMember::Field(0), WireMember::Inline { tag: 2, members, .. }] = volume.wire.as_slice()
    else {
        panic!("{:?}", volume.wire);
    };
    assert_eq!(members.len(), volume.fields.len() - 1);
}

#[test]
fn options_are_kinds_of_every_known_group_version() {
    let schema = Schema::builtin();
    let options = schema.named("meta/v1.DeleteOptions");
    assert_eq!(schema.kind("apps", "v1", "DeleteOptions"), options);
    assert_eq!(schema.kind("", "v1", "DeleteOptions"), options);
    assert_eq!(schema.kind("apps", "v9", "DeleteOptions"), None);
}

#[test]
fn every_resource_and_subresource_has_a_type() {
    let schema = Schema::builtin();
    for row in schema.resources() {
        let known = schema.kind(row.group, row.version, row.kind);
        assert!(known.is_some(), "{} {}", row.api_version(), row.kind);
        for sub in &row.subresources {
            let known = schema.kind(sub.group, sub.version, sub.kind);
            assert!(known.is_some(), "{}/{} {}", row.plural, sub.name, sub.kind);
        }
    }
}

#[test]
fn a_file_that_does_not_hold_to_the_format_is_refused_with_its_line() {
    for (text, line) in [
        (" name string 1", 1),
        ("type core/v1.A io.k8s\n name strang 1", 2),
        ("type core/v1.A io.k8s\n name string", 2),
        ("type core/v1.A io.k8s\n name string x", 2),
        ("type core/v1.A io.k8s\n a string 1 omitsome", 2),
        ("type core/v1.A io.k8s\n a string 1 default={", 2),
        ("type core/v1.A io.k8s\n a string 1\n a string 2", 3),
        ("type core/v1.A io.k8s\ntype core/v1.A io.k8s", 2),
        ("type core/v1.A io.k8s\ninline B 1", 2),
        ("type core/v1.A io.k8s\nend", 2),
        ("kind v1 A", 1),
        ("sub status v1 A verbs=get", 1),
        ("resource v1 as a A global verbs=get", 1),
        ("resource v1 as a A", 1),
        ("thing", 1),
    ] {
        assert_eq!(parse(text).expect_err(text).line, line, "{text}");
    }
}

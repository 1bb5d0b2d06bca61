//! How volumes and what they are made by are shown.

use serde_json::{Value, json};

use super::age::read;
use super::columns::{AGE, Column, NAME, Printer};
use super::read::{
    at, boolean_or, count, is_being_deleted, items, present_or, scalar_or, text, texts,
};

pub(super) fn printer(group: &str, kind: &str) -> Option<&'static Printer> {
    Some(match (group, kind) {
        ("", "PersistentVolume") => &VOLUME,
        ("", "PersistentVolumeClaim") => &CLAIM,
        ("storage.k8s.io", "StorageClass") => &CLASS,
        ("storage.k8s.io", "VolumeAttributesClass") => &ATTRIBUTES_CLASS,
        ("storage.k8s.io", "VolumeAttachment") => &ATTACHMENT,
        ("storage.k8s.io", "CSIDriver") => &DRIVER,
        ("storage.k8s.io", "CSINode") => &CSI_NODE,
        _ => return None,
    })
}

const ATTRIBUTES: Column = Column::string(
    "VolumeAttributesClass",
    "The class of the volume's changeable attributes.",
    |object, _| json!(present_or(object, "spec.volumeAttributesClassName", "<unset>")),
);
const MODE: Column = Column::string("VolumeMode", "A file system or a device.", |object, _| {
    json!(present_or(object, "spec.volumeMode", "<unset>"))
})
.wide();
const STORAGE_CLASS: Column =
    Column::string("StorageClass", "The class that the volume is of.", |object, _| {
        let annotation =
            &at(object, "metadata.annotations")["volume.beta.kubernetes.io/storage-class"];
        json!(annotation.as_str().unwrap_or_else(|| text(object, "spec.storageClassName")))
    });
const STATUS: Column = Column::string("Status", "Where it stands in its life.", |object, _| {
    let phase = text(object, "status.phase");
    json!(if is_being_deleted(object) { "Terminating" } else { phase })
});

static VOLUME: Printer = Printer::of(&[
    NAME,
    Column::string("Capacity", "How much it holds.", |object, _| {
        json!(scalar_or(at(object, "spec.capacity.storage"), "0"))
    }),
    Column::string("Access Modes", "In which ways it can be mounted.", |object, _| {
        json!(access_modes(&texts(object, "spec.accessModes")))
    }),
    Column::string("Reclaim Policy", "What becomes of it when its claim goes.", |object, _| {
        json!(text(object, "spec.persistentVolumeReclaimPolicy"))
    }),
    STATUS,
    Column::string("Claim", "The claim that it is bound to.", |object, _| {
        match at(object, "spec.claimRef") {
            Value::Null => json!(""),
            claim => json!(format!("{}/{}", text(claim, "namespace"), text(claim, "name"))),
        }
    }),
    STORAGE_CLASS,
    ATTRIBUTES,
    Column::string("Reason", "Why it is in this state.", |object, _| {
        json!(text(object, "status.reason"))
    }),
    AGE,
    MODE,
]);

static CLAIM: Printer = Printer::of(&[
    NAME,
    STATUS,
    Column::string("Volume", "The volume that backs it.", |object, _| {
        json!(text(object, "spec.volumeName"))
    }),
    Column::string("Capacity", "How much the volume holds.", |object, _| {
        json!(of_volume(object, || scalar_or(at(object, "status.capacity.storage"), "0")))
    }),
    Column::string("Access Modes", "In which ways the volume can be mounted.", |object, _| {
        json!(of_volume(object, || access_modes(&texts(object, "status.accessModes"))))
    }),
    STORAGE_CLASS,
    ATTRIBUTES,
    AGE,
    MODE,
]);

/// What a claim says of its volume, as soon as it has one.
fn of_volume(claim: &Value, says: impl Fn() -> String) -> String {
    if text(claim, "spec.volumeName").is_empty() { String::new() } else { says() }
}

fn access_modes(modes: &[&str]) -> String {
    let short = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let given = short.iter().filter(|(mode, _)| modes.contains(mode));
    given.map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

static CLASS: Printer = Printer {
    default_of: Some(default_class),
    ..Printer::of(&[
        NAME,
        Column::string("Provisioner", "What makes volumes of the class.", |object, _| {
            json!(text(object, "provisioner"))
        }),
        Column::string("ReclaimPolicy", "What becomes of volumes when claims go.", |object, _| {
            json!(present_or(object, "reclaimPolicy", "Delete"))
        }),
        Column::string("VolumeBindingMode", "When volumes are made and bound.", |object, _| {
            json!(present_or(object, "volumeBindingMode", "Immediate"))
        }),
        Column::string("AllowVolumeExpansion", "Whether volumes can grow.", |object, _| {
            json!(boolean_or(object, "allowVolumeExpansion", false))
        }),
        AGE,
    ])
};

/// Of several classes that say they are the default, the newest is; of equally new ones the first
/// by name.
fn default_class(classes: &[&Value]) -> Option<usize> {
    let is_default = |class: &Value| {
        let annotations = at(class, "metadata.annotations");
        [
            "storageclass.kubernetes.io/is-default-class",
            "storageclass.beta.kubernetes.io/is-default-class",
        ]
        .iter()
        .any(|annotation| annotations[*annotation] == "true")
    };
    let candidates = classes.iter().enumerate().filter(|(_, class)| is_default(class));
    let newest = candidates.max_by(|(_, a), (_, b)| {
        let created = |class: &Value| read(at(class, "metadata.creationTimestamp"));
        let name = |class: &Value| text(class, "metadata.name").to_owned();
        created(a).cmp(&created(b)).then_with(|| name(b).cmp(&name(a)))
    });
    newest.map(|(index, _)| index)
}

static ATTRIBUTES_CLASS: Printer = Printer::of(&[
    NAME,
    Column::string("DriverName", "The driver that knows the attributes.", |object, _| {
        json!(text(object, "driverName"))
    }),
    AGE,
]);

static ATTACHMENT: Printer = Printer::of(&[
    NAME,
    Column::string("Attacher", "The driver that attaches.", |object, _| {
        json!(text(object, "spec.attacher"))
    })
    .named(),
    Column::string("PV", "The volume.", |object, _| {
        json!(text(object, "spec.source.persistentVolumeName"))
    }),
    Column::string("Node", "The node.", |object, _| json!(text(object, "spec.nodeName"))),
    Column::boolean("Attached", "Whether it is done.", |object, _| {
        json!(boolean_or(object, "status.attached", false))
    }),
    AGE,
]);

static DRIVER: Printer = Printer::of(&[
    NAME,
    Column::boolean("AttachRequired", "Whether volumes are attached first.", |object, _| {
        json!(boolean_or(object, "spec.attachRequired", true))
    }),
    Column::boolean("PodInfoOnMount", "Whether the driver hears of the pod.", |object, _| {
        json!(boolean_or(object, "spec.podInfoOnMount", false))
    }),
    Column::boolean("StorageCapacity", "Whether capacities are published.", |object, _| {
        json!(boolean_or(object, "spec.storageCapacity", false))
    }),
    Column::string("TokenRequests", "For whom the driver gets tokens.", |object, _| {
        match at(object, "spec.tokenRequests") {
            Value::Null => json!("<unset>"),
            _ => {
                let requests = items(object, "spec.tokenRequests").iter();
                let audiences: Vec<_> = requests.map(|r| text(r, "audience")).collect();
                json!(audiences.join(","))
            }
        }
    }),
    Column::boolean("RequiresRepublish", "Whether mounts are renewed.", |object, _| {
        json!(boolean_or(object, "spec.requiresRepublish", false))
    }),
    Column::string("Modes", "The lives that volumes can have.", |object, _| {
        let modes = texts(object, "spec.volumeLifecycleModes").join(",");
        json!(if modes.is_empty() { "<none>".to_owned() } else { modes })
    }),
    AGE,
]);

static CSI_NODE: Printer = Printer::of(&[
    NAME,
    Column::integer("Drivers", "How many drivers the node has.", |object, _| {
        json!(count(object, "spec.drivers"))
    }),
    AGE,
]);

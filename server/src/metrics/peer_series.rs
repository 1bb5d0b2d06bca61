//! The series about the other members, one sample for each from the first scrape on.
//!
//! Compat: etcd's names and labels; bytes are those of the messages. Must not know: the text
//! format.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::histogram::Snapshot;
use super::page::Page;
use crate::member::Member;
use crate::peer_meter::PeerMeter;

/// Another member: its id in hexadecimal, and its numbers.
type Peer = (String, Arc<PeerMeter>);

/// Writes what there is to tell about the other members.
pub(super) fn write(member: &Member, page: &mut Page) {
    let own = member.ids().member_id;
    let others = member.consensus().members().into_iter().filter(|other| other.id.0 != own);
    let peers: Vec<Peer> = others
        .map(|other| (format!("{:x}", other.id.0), member.peer_meters().of(other.id.0)))
        .collect();
    traffic(&peers, page);
    connections(&format!("{own:x}"), &peers, page);
    snapshots(&peers, page);
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

fn each(
    page: &mut Page,
    (name, help, kind): (&str, &str, &str),
    label: &str,
    peers: &[Peer],
    value: impl Fn(&PeerMeter) -> u64,
) {
    let mut family = page.family(name, help, kind);
    for (id, meter) in peers {
        family.sample("", &[(label, id)], value(meter));
    }
}

fn each_histogram(
    page: &mut Page,
    (name, help): (&str, &str),
    peers: &[Peer],
    value: impl Fn(&PeerMeter) -> Snapshot,
) {
    let mut family = page.family(name, help, "histogram");
    for (id, meter) in peers {
        family.histogram(&[("To", id)], &value(meter));
    }
}

fn traffic(peers: &[Peer], page: &mut Page) {
    let counter = "counter";
    let sent = ("etcd_network_peer_sent_bytes_total", "Bytes sent to a member", counter);
    each(page, sent, "To", peers, |meter| load(&meter.sent_bytes));
    let received =
        ("etcd_network_peer_received_bytes_total", "Bytes received from a member", counter);
    each(page, received, "From", peers, |meter| load(&meter.received_bytes));
    let failed = ("etcd_network_peer_sent_failures_total", "Calls that were lost", counter);
    each(page, failed, "To", peers, |meter| load(&meter.send_failures));
    let name = "etcd_network_peer_round_trip_time_seconds";
    let help = "Time until a member answered a heartbeat";
    each_histogram(page, (name, help), peers, |meter| meter.round_trips.snapshot());
    let unanswered = |meter: &PeerMeter| {
        let answered: u64 = meter.round_trips.snapshot().buckets.iter().map(|(_, n)| n).sum();
        // One may be on its way.
        load(&meter.heartbeats).saturating_sub(answered + 1)
    };
    let lost: u64 = peers.iter().map(|(_, meter)| unanswered(meter)).sum();
    let help = "Heartbeats without an answer";
    page.counter("etcd_server_heartbeat_send_failures_total", help, lost);
}

fn connections(own: &str, peers: &[Peer], page: &mut Page) {
    let known = std::iter::once(own).chain(peers.iter().map(|(id, _)| id.as_str()));
    let mut family = page.family("etcd_network_known_peers", "Members known", "gauge");
    for remote in known {
        family.sample("", &[("Local", own), ("Remote", remote)], 1);
    }
    let help = "1 when the newest call to a member was answered";
    let mut family = page.family("etcd_network_active_peers", help, "gauge");
    for (remote, meter) in peers {
        let active = u64::from(meter.active.load(Ordering::Relaxed));
        family.sample("", &[("Local", own), ("Remote", remote)], active);
    }
    let help = "How often a member stopped answering";
    let mut family = page.family("etcd_network_disconnected_peers_total", help, "counter");
    for (remote, meter) in peers {
        let labels = [("Local", own), ("Remote", remote.as_str())];
        family.sample("", &labels, load(&meter.disconnects));
    }
}

fn snapshots(peers: &[Peer], page: &mut Page) {
    let counter = "counter";
    let sent = ("etcd_network_snapshot_send_success", "Snapshots that a member took", counter);
    each(page, sent, "To", peers, |meter| {
        meter.snapshots.snapshot().buckets.iter().map(|(_, count)| count).sum()
    });
    let failed =
        ("etcd_network_snapshot_send_failures", "Snapshots that a member did not take", counter);
    each(page, failed, "To", peers, |meter| load(&meter.snapshots_failed));
    let now = ("etcd_network_snapshot_send_inflights_total", "Snapshots on their way", "gauge");
    each(page, now, "To", peers, |meter| load(&meter.snapshots_under_way));
    let name = "etcd_network_snapshot_send_total_duration_seconds";
    let help = "Time until a member had taken a snapshot";
    each_histogram(page, (name, help), peers, |meter| meter.snapshots.snapshot());
}

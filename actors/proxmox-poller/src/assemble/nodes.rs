//! Nodes: whether they are there says the membership, what they do say their rows.

use crate::decode::{ClusterRow, ResourceRow};
use crate::model::{Node, NodeState};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

type Member<'a> = (Option<bool>, &'a Option<Arc<str>>);

pub(super) fn assemble(rows: Vec<ResourceRow>, members: &[ClusterRow], before: &[Node], now: Timestamp) -> Vec<Node> {
    let membership: BTreeMap<&str, Member<'_>> = members
        .iter()
        .filter_map(|row| match row {
            ClusterRow::Node { name, is_online, ip } => Some((&**name, (*is_online, ip))),
            ClusterRow::Cluster { .. } => None,
        })
        .collect();
    let mut by_name: BTreeMap<Arc<str>, ResourceRow> = BTreeMap::new();
    for row in rows {
        if let Some(name) = row.node.clone() {
            by_name.insert(name, row);
        }
    }
    for name in membership.keys() {
        by_name.entry(Arc::from(*name)).or_default();
    }
    let node = |(name, row): (Arc<str>, ResourceRow)| {
        let (is_online, ip) = membership.get(&*name).copied().unwrap_or((None, &None));
        let old = before.iter().find(|old| old.name == name);
        let state = state(is_online, row.status.as_deref());
        let is_fresh = state == NodeState::Online && row.cpu.is_some();
        let keep =
            |new: Option<u64>, of: fn(&Node) -> Option<u64>| new.filter(|_| is_fresh).or_else(|| old.and_then(of));
        Node {
            state,
            state_since: old.filter(|old| old.state == state).map_or(now, |old| old.state_since),
            ip: ip.clone().or_else(|| old.and_then(|old| old.ip.clone())),
            cpus: row.cpus.filter(|_| is_fresh).map(|cpus| cpus as u32).or_else(|| old.and_then(|old| old.cpus)),
            cpu: row.cpu.filter(|_| is_fresh).or_else(|| old.and_then(|old| old.cpu)),
            memory_bytes: keep(row.memory_bytes, |old| old.memory_bytes),
            memory_total_bytes: keep(row.memory_total_bytes, |old| old.memory_total_bytes),
            disk_bytes: keep(row.disk_bytes, |old| old.disk_bytes),
            disk_total_bytes: keep(row.disk_total_bytes, |old| old.disk_total_bytes),
            uptime_s: keep(row.uptime_s, |old| old.uptime_s),
            figures_at: if is_fresh { Some(now) } else { old.and_then(|old| old.figures_at) },
            level: row.level.unwrap_or_default(),
            name,
        }
    };
    by_name.into_iter().map(node).collect()
}

/// The membership is right within seconds; the row lags behind, but it alone shows a status daemon that hangs.
fn state(is_online: Option<bool>, status: Option<&str>) -> NodeState {
    match (is_online, status) {
        (Some(false), _) | (None, Some("offline")) => NodeState::Offline,
        (Some(true), Some("unknown")) | (None, Some("unknown") | None) => NodeState::NoData,
        (Some(true) | None, _) => NodeState::Online,
    }
}

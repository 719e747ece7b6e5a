//! Ceph: its status as the monitors tell it, the tree of OSDs, pools. Without Ceph every call fails, as on a real cluster.

use super::{Answer, Context, Outcome, flag};
use crate::model::{Ceph, Node};
use serde_json::{Map, Value, json};

const READ: [&str; 2] = ["Sys.Audit", "Datastore.Audit"];

fn ceph<'a>(context: &'a Context<'_>) -> Result<&'a Ceph, Answer> {
    context.need_any("/", &READ)?;
    let missing = || Answer::error(500, "binary not installed: /usr/bin/ceph-mon");
    context.cluster.services.ceph.as_ref().ok_or_else(missing)
}

pub(super) fn of_cluster(context: &Context<'_>, rest: &[&str]) -> Option<Outcome> {
    match rest {
        ["status"] => Some(ceph(context).map(|ceph| status(context, ceph).into())),
        ["flags"] => Some(ceph(context).map(|_| flags().into())),
        _ => None,
    }
}

pub(super) fn of_node(context: &Context<'_>, node: &Node, rest: &[&str]) -> Option<Outcome> {
    match rest {
        ["status"] => Some(ceph(context).map(|ceph| status(context, ceph).into())),
        ["osd"] => Some(ceph(context).map(|ceph| tree(context, ceph).into())),
        ["pool"] => Some(ceph(context).map(|ceph| pools(ceph).into())),
        ["mon"] => Some(ceph(context).map(|_| monitors(context, node).into())),
        _ => None,
    }
}

/// The nodes with a monitor: the first three.
fn monitors_on<'a>(context: &'a Context<'_>) -> impl Iterator<Item = &'a Node> {
    context.cluster.nodes.iter().take(3)
}

fn status(context: &Context<'_>, ceph: &Ceph) -> Value {
    let degraded = ceph.degraded_groups();
    let in_quorum: Vec<&str> = monitors_on(context).filter(|node| node.online).map(|node| node.name.as_str()).collect();
    let raised = ceph.checks(monitors_on(context).count(), &in_quorum);
    let health = ceph.health(&raised);
    let mut checks = Map::new();
    for check in raised {
        let summary = json!({ "message": check.message, "count": check.count });
        let muted = ceph.muted.contains(&check.code);
        checks.insert(check.code, json!({ "severity": check.severity, "summary": summary, "muted": muted }));
    }
    let mutes: Vec<Value> =
        ceph.muted.iter().map(|code| json!({ "code": code, "sticky": false, "summary": "" })).collect();
    let mut groups = vec![json!({ "state_name": "active+clean", "count": Ceph::GROUPS - degraded })];
    if degraded > 0 {
        groups.push(json!({ "state_name": "active+undersized+degraded", "count": degraded }));
    }
    let total: u64 = ceph.osds.iter().map(|osd| osd.size).sum();
    let used = crate::figures::share(total, ceph.used);
    let up = ceph.osds.iter().filter(|osd| osd.up).count();
    let taking_part = ceph.osds.iter().filter(|osd| osd.is_in).count();
    json!({
        "fsid": "9d4c2f0a-5b1e-4f6e-9b7a-3a1c5d0e7f21",
        "health": { "status": health, "checks": checks, "mutes": mutes },
        "election_epoch": 148, "quorum": (0..in_quorum.len()).collect::<Vec<_>>(), "quorum_names": in_quorum, "quorum_age": 416_100,
        "monmap": { "epoch": 3, "min_mon_release_name": "squid", "num_mons": monitors_on(context).count() },
        "mgrmap": { "available": true, "num_standbys": 1, "modules": ["balancer", "crash", "devicehealth"], "services": {} },
        "servicemap": { "services": {} },
        "osdmap": { "epoch": 2_410, "num_osds": ceph.osds.len(), "num_up_osds": up, "num_in_osds": taking_part, "num_remapped_pgs": 0 },
        "pgmap": {
            "num_pgs": Ceph::GROUPS, "pgs_by_state": groups, "num_pools": 2, "num_objects": 81_732, "bytes_total": total, "bytes_used": used,
            "bytes_avail": total - used, "data_bytes": used / 3, "read_bytes_sec": 1_204_224, "write_bytes_sec": 3_932_160,
        },
    })
}

fn flags() -> Value {
    let names = [
        "nobackfill",
        "nodeep-scrub",
        "nodown",
        "noin",
        "noout",
        "norebalance",
        "norecover",
        "noscrub",
        "notieragent",
        "noup",
        "pause",
    ];
    names.iter().map(|name| json!({ "name": name, "description": "", "value": 0 })).collect()
}

fn tree(context: &Context<'_>, ceph: &Ceph) -> Value {
    let hosts = context.cluster.nodes.iter().map(|node| {
        let osds = ceph.osds.iter().filter(|osd| osd.node == node.name).map(|osd| {
            json!({
                "id": osd.id.to_string(), "name": format!("osd.{}", osd.id), "type": "osd", "leaf": 1, "host": node.name,
                "status": if osd.up { "up" } else { "down" }, "in": u8::from(osd.is_in), "percent_used": ceph.used * 100.0, "total_space": osd.size,
                "bytes_used": crate::figures::share(osd.size, ceph.used), "crush_weight": 2.0, "reweight": 1, "device_class": "ssd",
                "osdtype": "bluestore", "pgs": 64,
            })
        });
        json!({ "id": (-1 - i64::from(node.id)).to_string(), "name": node.name, "type": "host", "leaf": 0, "children": osds.collect::<Vec<_>>() })
    });
    let root =
        json!({ "id": "-1", "name": "default", "type": "root", "leaf": 0, "children": hosts.collect::<Vec<_>>() });
    json!({ "flags": "sortbitwise,recovery_deletes,purged_snapdirs", "root": { "leaf": 0, "children": [root] } })
}

fn pools(ceph: &Ceph) -> Value {
    let total: u64 = ceph.osds.iter().map(|osd| osd.size).sum();
    json!([{
        "pool": 2, "pool_name": "rbd", "type": "replicated", "size": 3, "min_size": 2, "pg_num": 128, "pg_autoscale_mode": "on",
        "crush_rule": 0, "crush_rule_name": "replicated_rule", "bytes_used": crate::figures::share(total, ceph.used), "percent_used": ceph.used,
    }])
}

fn monitors(context: &Context<'_>, asked: &Node) -> Value {
    let rows = monitors_on(context).enumerate().map(|(rank, node)| {
        json!({
            "name": node.name, "addr": format!("{}:6789/0", node.address), "rank": rank, "quorum": flag(node.online),
            "host": flag(node.name == asked.name), "state": if node.online { "running" } else { "unknown" }, "service": 1,
        })
    });
    rows.collect()
}

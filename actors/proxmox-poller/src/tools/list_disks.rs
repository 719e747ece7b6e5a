//! `list_disks`: physical disks, ZFS pools and LVM thin pools, asked of the nodes.
//!
//! Result: `{data, nodes: [{node, cluster?, disks: [{device, kind?, size?, model?, serial?, health?, life_left_percent?, used_for?, osd?, bad?}], zfs?: [{name, health, size?, used_percent?,
//! fragmented_percent?, bad?}], thin?: [{name, volume_group?, size?, used_percent?, metadata_used_percent?, bad?}], problems?: [text]}], bad: [text]}`. `bad` at the end names everything that is not as
//! it should be.

use super::desk::Known;
use super::words::{self, arguments, percent, size};
use super::{Begun, Desk, ReadTool, lookup, ready};
use crate::client::{ErrorKind, segment};
use crate::decode::{self, Disk, ThinPool, ZfsPool};
use crate::model::{Node, NodeState, fraction};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use std::rc::Rc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "list_disks",
    title: "Looking at the disks",
    description: "Physical disks with SMART health and life left, ZFS pools and LVM thin pools with their health and use, of one node or all. Takes some seconds.",
    parameters: r#"{"type":"object","properties":{"node":{"type":["string","null"],"description":"Only this node."},"cluster":{"type":["string","null"],"description":"Only this cluster."}},"required":["node","cluster"],"additionalProperties":false}"#,
    begin,
};

/// The most nodes asked for one answer.
const NODES: usize = 32;
/// Below this life left a disk is told.
const LIFE_LEFT: f64 = 10.0;
/// From this share of its metadata on a thin pool is told.
const METADATA: f64 = 0.8;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    node: Option<String>,
    cluster: Option<String>,
}

fn begin(desk: &Rc<Desk>, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let found = desk.choose(wanted.cluster.as_deref()).and_then(|chosen| {
        let asked: Vec<(usize, usize)> = match wanted.node.as_deref().filter(|node| !node.is_empty()) {
            Some(node) => vec![lookup::node(&chosen.known, node)?],
            None => {
                let all = chosen.known.iter().enumerate();
                all.flat_map(|(cluster, known)| (0..known.snapshot.nodes.len()).map(move |at| (cluster, at))).collect()
            }
        };
        Ok((chosen, asked))
    });
    let (chosen, asked) = match found {
        Ok(found) => found,
        Err(said) => return Ok(ready(Err(said))),
    };
    Ok(Box::pin(async move {
        let nodes = join_all(asked.iter().take(NODES).map(|(cluster, at)| {
            let known = &chosen.known[*cluster];
            node(known, &known.snapshot.nodes[*at])
        }))
        .await;
        let (mut rows, mut bad) = (Vec::new(), Vec::new());
        for (row, wrong) in nodes {
            rows.push(row);
            bad.extend(wrong);
        }
        if asked.len() > NODES {
            bad.push(format!("only {NODES} of {} nodes were asked: name one", asked.len()));
        }
        words::result(Ok(json!({ "data": chosen.data, "nodes": rows, "bad": bad })))
    }))
}

async fn node(known: &Known, node: &Node) -> (Value, Vec<String>) {
    let name = &node.name;
    let unasked = |why: &str| {
        (
            json!({"node": name, "cluster": known.shown, "disks": [], "problems": [why]}),
            vec![format!("node {name}: {why}")],
        )
    };
    if node.state == NodeState::Offline {
        return unasked("it is offline");
    }
    let Some(client) = &known.view.client else { return unasked("the cluster cannot be asked") };
    let base = format!("/nodes/{}/disks", segment(name));
    let (list, zfs, thin) = (format!("{base}/list"), format!("{base}/zfs"), format!("{base}/lvmthin"));
    let (disks, zfs, thin) = futures_util::future::join3(
        client.slow(&list, decode::disks),
        client.slow(&zfs, decode::zfs_pools),
        client.slow(&thin, decode::thin_pools),
    )
    .await;
    let mut problems = Vec::new();
    let mut bad = Vec::new();
    let mut note = |error: crate::client::ApiError| {
        // A node without ZFS or LVM is no problem.
        if !matches!(error.kind, ErrorKind::NotInstalled | ErrorKind::Unsupported) && !problems.contains(&error.text) {
            problems.push(error.text);
        }
    };
    let disks = disks.unwrap_or_else(|error| {
        note(error);
        Vec::new()
    });
    let zfs = zfs.unwrap_or_else(|error| {
        note(error);
        Vec::new()
    });
    let thin = thin.unwrap_or_else(|error| {
        note(error);
        Vec::new()
    });
    let disk_rows: Vec<Value> = disks.iter().map(|one| disk(name, one, &mut bad)).collect();
    let zfs_rows: Vec<Value> = zfs.iter().map(|one| zfs_pool(name, one, &mut bad)).collect();
    let thin_rows: Vec<Value> = thin.iter().map(|one| thin_pool(name, one, &mut bad)).collect();
    let row = json!({
        "node": name,
        "cluster": known.shown,
        "disks": disk_rows,
        "zfs": Some(zfs_rows).filter(|rows| !rows.is_empty()),
        "thin": Some(thin_rows).filter(|rows| !rows.is_empty()),
        "problems": Some(problems).filter(|problems| !problems.is_empty()),
    });
    (row, bad)
}

fn disk(node: &str, disk: &Disk, bad: &mut Vec<String>) -> Value {
    let health = disk.health.as_deref();
    let is_ill = health.is_some_and(|health| !matches!(health, "PASSED" | "OK" | "UNKNOWN"));
    let is_worn = disk.life_left_percent.is_some_and(|left| left <= LIFE_LEFT);
    if is_ill {
        bad.push(format!("disk {} of node {node}: SMART says {}", disk.device, health.unwrap_or_default()));
    }
    if is_worn {
        bad.push(format!(
            "disk {} of node {node} has {} % of its life left",
            disk.device,
            disk.life_left_percent.unwrap_or(0.0)
        ));
    }
    json!({
        "device": disk.device,
        "kind": disk.kind,
        "size": disk.size_bytes.map(size),
        "model": disk.model,
        "serial": disk.serial,
        "health": health,
        "life_left_percent": disk.life_left_percent,
        "used_for": disk.used_for,
        "osd": disk.osd,
        "bad": (is_ill || is_worn).then_some(true),
    })
}

fn zfs_pool(node: &str, pool: &ZfsPool, bad: &mut Vec<String>) -> Value {
    let is_ill = pool.health.as_deref().is_some_and(|health| health != "ONLINE");
    if is_ill {
        bad.push(format!("ZFS pool {} of node {node} is {}", pool.name, pool.health.as_deref().unwrap_or_default()));
    }
    json!({
        "name": pool.name,
        "health": pool.health,
        "size": pool.size_bytes.map(size),
        "used_percent": percent(fraction(pool.used_bytes, pool.size_bytes)),
        "fragmented_percent": pool.fragmented_percent,
        "bad": is_ill.then_some(true),
    })
}

fn thin_pool(node: &str, pool: &ThinPool, bad: &mut Vec<String>) -> Value {
    let metadata = fraction(pool.metadata_used_bytes, pool.metadata_bytes);
    let is_full = metadata.is_some_and(|used| used >= METADATA);
    if is_full {
        bad.push(format!(
            "the metadata of thin pool {} of node {node} is {} % full",
            pool.name,
            percent(metadata).unwrap_or(0.0)
        ));
    }
    json!({
        "name": pool.name,
        "volume_group": pool.volume_group,
        "size": pool.size_bytes.map(size),
        "used_percent": percent(fraction(pool.used_bytes, pool.size_bytes)),
        "metadata_used_percent": percent(metadata),
        "bad": is_full.then_some(true),
    })
}

//! `/cluster/resources` and `/cluster/status`: the rows of the fast poll, as they come. What they mean together is `assemble`'s business.

use super::scalar::{Flag, Number, Text, Whole};
use super::shape::{self, DecodeError};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireResource {
    r#type: Text,
    id: Text,
    vmid: Whole,
    node: Text,
    name: Text,
    status: Text,
    storage: Text,
    plugintype: Text,
    content: Text,
    shared: Flag,
    pool: Text,
    tags: Text,
    lock: Text,
    hastate: Text,
    template: Flag,
    cpu: Number,
    maxcpu: Number,
    mem: Whole,
    maxmem: Whole,
    memhost: Whole,
    disk: Whole,
    maxdisk: Whole,
    netin: Whole,
    netout: Whole,
    uptime: Whole,
    level: Text,
}

/// A row of `/cluster/resources`. Bytes, seconds and fractions as in the model; absent where the row has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceRow {
    /// `node`, `qemu`, `lxc`, `storage`, or another.
    pub kind: Arc<str>,
    /// `qemu/100`, `node/pve1`, `storage/pve1/local`.
    pub id: Arc<str>,
    /// The guest's number.
    pub vmid: Option<u32>,
    /// The node.
    pub node: Option<Arc<str>>,
    /// The guest's name.
    pub name: Option<Arc<str>>,
    /// The state, in the cluster's word.
    pub status: Option<Arc<str>>,
    /// The storage's name.
    pub storage: Option<Arc<str>>,
    /// The storage's type.
    pub storage_kind: Option<Arc<str>>,
    /// What the storage may hold.
    pub content: Option<Arc<str>>,
    /// Whether the storage is shared.
    pub is_shared: bool,
    /// The guest's pool.
    pub pool: Option<Arc<str>>,
    /// The guest's tags, separated by semicolons.
    pub tags: Option<Arc<str>>,
    /// The guest's lock.
    pub lock: Option<Arc<str>>,
    /// What HA says.
    pub ha_state: Option<Arc<str>>,
    /// Whether the guest is a template.
    pub is_template: bool,
    /// Use of its processors, 0 to 1.
    pub cpu: Option<f64>,
    /// Processors.
    pub cpus: Option<f64>,
    /// Memory in use, as the cluster counts it.
    pub memory_bytes: Option<u64>,
    /// Memory there is.
    pub memory_total_bytes: Option<u64>,
    /// Memory it takes of the host (9.0 and later).
    pub memory_of_host_bytes: Option<u64>,
    /// Disk in use.
    pub disk_bytes: Option<u64>,
    /// Disk size.
    pub disk_total_bytes: Option<u64>,
    /// Bytes received.
    pub network_in_bytes: Option<u64>,
    /// Bytes sent.
    pub network_out_bytes: Option<u64>,
    /// Seconds since its start.
    pub uptime_s: Option<u64>,
    /// The node's subscription level.
    pub level: Option<Arc<str>>,
}

/// Reads `/cluster/resources`.
///
/// # Errors
/// The answer is not JSON.
pub fn resources(body: &[u8]) -> Result<Vec<ResourceRow>, DecodeError> {
    let rows = shape::list::<WireResource>(body)?;
    Ok(rows.into_iter().map(resource).collect())
}

fn resource(row: WireResource) -> ResourceRow {
    let id = row.id.0.unwrap_or_default();
    // Old versions and other tools leave members out that the id repeats.
    let mut parts = id.split('/');
    let (prefix, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let kind = row.r#type.filled().unwrap_or_else(|| Arc::from(prefix));
    let vmid = row.vmid.small().or_else(|| second.filter(|_| matches!(prefix, "qemu" | "lxc"))?.parse().ok());
    let node = row.node.filled().or_else(|| match (&*kind, prefix) {
        ("node" | "storage", "node" | "storage") => second.map(Arc::from),
        ("node", _) if second.is_none() => Some(Arc::clone(&id)).filter(|id| !id.is_empty()),
        _ => None,
    });
    let storage = row.storage.filled().or_else(|| third.filter(|_| prefix == "storage").map(Arc::from));
    ResourceRow {
        kind,
        vmid,
        node,
        name: row.name.filled(),
        status: row.status.filled(),
        storage,
        storage_kind: row.plugintype.filled(),
        content: row.content.filled(),
        is_shared: row.shared.get().unwrap_or(false),
        pool: row.pool.filled(),
        tags: row.tags.filled(),
        lock: row.lock.filled(),
        ha_state: row.hastate.filled(),
        is_template: row.template.get().unwrap_or(false),
        cpu: row.cpu.get(),
        cpus: row.maxcpu.get(),
        memory_bytes: row.mem.get(),
        memory_total_bytes: row.maxmem.get(),
        memory_of_host_bytes: row.memhost.get(),
        disk_bytes: row.disk.get(),
        disk_total_bytes: row.maxdisk.get(),
        network_in_bytes: row.netin.get(),
        network_out_bytes: row.netout.get(),
        uptime_s: row.uptime.get(),
        level: row.level.0,
        id,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireStatus {
    r#type: Text,
    name: Text,
    quorate: Flag,
    nodes: Whole,
    online: Flag,
    ip: Text,
}

/// A row of `/cluster/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterRow {
    /// The cluster itself; a single node has no such row.
    Cluster {
        /// Its name.
        name: Option<Arc<str>>,
        /// Whether it is quorate.
        is_quorate: bool,
        /// Members there should be.
        members: u32,
    },
    /// A member.
    Node {
        /// Its name.
        name: Arc<str>,
        /// Whether it is there; `None` where it was not told.
        is_online: Option<bool>,
        /// Its address.
        ip: Option<Arc<str>>,
    },
}

/// Reads `/cluster/status`.
///
/// # Errors
/// The answer is not JSON.
pub fn cluster_status(body: &[u8]) -> Result<Vec<ClusterRow>, DecodeError> {
    let row = |row: WireStatus| match row.r#type.as_str() {
        "cluster" => Some(ClusterRow::Cluster {
            name: row.name.filled(),
            is_quorate: row.quorate.get().unwrap_or(false),
            members: row.nodes.small().unwrap_or(0),
        }),
        "node" => Some(ClusterRow::Node { name: row.name.filled()?, is_online: row.online.get(), ip: row.ip.filled() }),
        _ => None,
    };
    Ok(shape::list::<WireStatus>(body)?.into_iter().filter_map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_whatever_its_numbers_look_like() {
        let body = br#"{"data":[
            {"id":"lxc/101","type":"lxc","vmid":"101","node":"pve1","status":"running","cpu":"0.5","maxcpu":"2","mem":"1048576","maxmem":2097152.0,"template":"","uptime":"77","tags":"a;b","lock":""},
            {"id":"qemu/102","type":"qemu","node":"pve1","status":"unknown","vmid":102},
            {"id":"storage/pve1/local","type":"storage","shared":"0","disk":5,"maxdisk":"10","status":"available"},
            {"id":"sdn/pve1/localnetwork","type":"sdn","node":"pve1","status":"ok"}
        ]}"#;
        let rows = resources(body).unwrap();
        assert_eq!(
            (rows[0].vmid, rows[0].cpu, rows[0].cpus, rows[0].uptime_s),
            (Some(101), Some(0.5), Some(2.0), Some(77))
        );
        assert_eq!((rows[0].memory_bytes, rows[0].memory_total_bytes), (Some(1 << 20), Some(2 << 20)));
        assert_eq!((rows[0].is_template, rows[0].lock.clone()), (false, None));
        assert_eq!((rows[1].name.clone(), rows[1].cpu), (None, None));
        assert_eq!((rows[2].node.as_deref(), rows[2].storage.as_deref()), (Some("pve1"), Some("local")));
        assert_eq!(&*rows[3].kind, "sdn");
    }

    #[test]
    fn the_cluster_and_its_members() {
        let rows = cluster_status(br#"{"data":[{"type":"cluster","name":"lab","quorate":"1","nodes":3},{"type":"node","name":"a","online":0,"ip":"10.0.0.1"},{"type":"qdevice"}]}"#).unwrap();
        assert_eq!(
            rows,
            [
                ClusterRow::Cluster { name: Some("lab".into()), is_quorate: true, members: 3 },
                ClusterRow::Node { name: "a".into(), is_online: Some(false), ip: Some("10.0.0.1".into()) },
            ]
        );
    }
}

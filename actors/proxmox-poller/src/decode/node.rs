//! A node in detail, and the storages as one node sees them.

use super::scalar::{Flag, Number, Text, Whole};
use super::shape::{self, DecodeError, Object};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    cpu: Number,
    wait: Number,
    memory: Object<Amount>,
    swap: Object<Amount>,
    rootfs: Object<Amount>,
    loadavg: serde_json::Value,
    uptime: Whole,
    pveversion: Text,
    kversion: Text,
    cpuinfo: Object<Processor>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Amount {
    total: Whole,
    used: Whole,
    available: Whole,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Processor {
    model: Text,
    cpus: Whole,
    sockets: Whole,
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeDetail {
    /// Use of all threads, 0 to 1.
    pub cpu: Option<f64>,
    /// Share of time that waits for disks, 0 to 1.
    pub io_wait: Option<f64>,
    /// Memory there is.
    pub memory_total_bytes: Option<u64>,
    /// Memory in use.
    pub memory_used_bytes: Option<u64>,
    /// Memory that programs could still get (version 9).
    pub memory_available_bytes: Option<u64>,
    /// Swap there is.
    pub swap_total_bytes: Option<u64>,
    /// Swap in use.
    pub swap_used_bytes: Option<u64>,
    /// Root file system size.
    pub root_total_bytes: Option<u64>,
    /// Root file system in use.
    pub root_used_bytes: Option<u64>,
    /// Load over 1, 5 and 15 minutes.
    pub load: Vec<f64>,
    /// Seconds since its start.
    pub uptime_s: Option<u64>,
    /// The version of Proxmox VE (`pve-manager/8.4-1/…`).
    pub version: Option<Arc<str>>,
    /// The kernel.
    pub kernel: Option<Arc<str>>,
    /// The processor's model.
    pub processor: Option<Arc<str>>,
    /// Processor threads.
    pub cpus: Option<u32>,
    /// Processor sockets.
    pub sockets: Option<u32>,
}

/// Reads `/nodes/{n}/status`. The load comes as texts.
///
/// # Errors
/// The answer is not JSON.
pub fn node_detail(body: &[u8]) -> Result<NodeDetail, DecodeError> {
    let wire = shape::object::<Wire>(body)?;
    let (memory, swap) = (wire.memory.0.unwrap_or_default(), wire.swap.0.unwrap_or_default());
    let (root, processor) = (wire.rootfs.0.unwrap_or_default(), wire.cpuinfo.0.unwrap_or_default());
    let load = wire.loadavg.as_array().into_iter().flatten();
    Ok(NodeDetail {
        cpu: wire.cpu.get(),
        io_wait: wire.wait.get(),
        memory_total_bytes: memory.total.get(),
        memory_used_bytes: memory.used.get(),
        memory_available_bytes: memory.available.get(),
        swap_total_bytes: swap.total.get(),
        swap_used_bytes: swap.used.get(),
        root_total_bytes: root.total.get(),
        root_used_bytes: root.used.get(),
        load: load.filter_map(|one| one.as_f64().or_else(|| one.as_str()?.parse().ok())).collect(),
        uptime_s: wire.uptime.get(),
        version: wire.pveversion.filled(),
        kernel: wire.kversion.filled(),
        processor: processor.model.filled(),
        cpus: processor.cpus.small(),
        sockets: processor.sockets.small(),
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireStorage {
    storage: Text,
    r#type: Text,
    content: Text,
    active: Flag,
    enabled: Flag,
    shared: Flag,
    total: Whole,
    used: Whole,
}

/// A storage as one node sees it: the truth on whether it works, where `/cluster/resources` may show old data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStorage {
    /// Its name.
    pub name: Arc<str>,
    /// Its type.
    pub kind: Option<Arc<str>>,
    /// What it may hold.
    pub content: Option<Arc<str>>,
    /// Whether it can be used now.
    pub is_active: bool,
    /// Whether it is switched on.
    pub is_enabled: bool,
    /// Whether all nodes see the same one.
    pub is_shared: bool,
    /// Its size.
    pub total_bytes: Option<u64>,
    /// In use.
    pub used_bytes: Option<u64>,
}

/// Reads `/nodes/{n}/storage`.
///
/// # Errors
/// The answer is not JSON.
pub fn node_storages(body: &[u8]) -> Result<Vec<NodeStorage>, DecodeError> {
    let storage = |row: WireStorage| {
        Some(NodeStorage {
            name: row.storage.filled()?,
            kind: row.r#type.filled(),
            content: row.content.filled(),
            is_active: row.active.get().unwrap_or(false),
            is_enabled: row.enabled.get().unwrap_or(true),
            is_shared: row.shared.get().unwrap_or(false),
            total_bytes: row.total.get(),
            used_bytes: row.used.get(),
        })
    };
    Ok(shape::list::<WireStorage>(body)?.into_iter().filter_map(storage).collect())
}

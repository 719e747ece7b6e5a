//! A guest in detail: what it does now, its configuration, its snapshots.

use super::scalar::{Flag, Number, Signed, Text, Whole};
use super::shape::{self, DecodeError, Object};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire {
    status: Text,
    qmpstatus: Text,
    name: Text,
    cpu: Number,
    cpus: Number,
    mem: Whole,
    maxmem: Whole,
    freemem: Whole,
    ballooninfo: Object<Balloon>,
    disk: Whole,
    maxdisk: Whole,
    swap: Whole,
    maxswap: Whole,
    uptime: Whole,
    lock: Text,
    agent: Flag,
    ha: Object<Ha>,
    netin: Whole,
    netout: Whole,
    diskread: Whole,
    diskwrite: Whole,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Balloon {
    total_mem: Whole,
    free_mem: Whole,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ha {
    managed: Flag,
    state: Text,
}

/// What a guest does now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GuestDetail {
    /// `running` or `stopped`.
    pub status: Option<Arc<str>>,
    /// QEMU's own word.
    pub qemu_status: Option<Arc<str>>,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Use of its processors, 0 to 1.
    pub cpu: Option<f64>,
    /// Processors.
    pub cpus: Option<f64>,
    /// Memory in use; of a VM only with balloon data.
    pub memory_bytes: Option<u64>,
    /// Memory it may use.
    pub memory_total_bytes: Option<u64>,
    /// Root file system in use (containers).
    pub disk_bytes: Option<u64>,
    /// Its size.
    pub disk_total_bytes: Option<u64>,
    /// Swap in use (containers).
    pub swap_bytes: Option<u64>,
    /// Swap it may use (containers).
    pub swap_total_bytes: Option<u64>,
    /// Seconds since its start.
    pub uptime_s: Option<u64>,
    /// The lock on it.
    pub lock: Option<Arc<str>>,
    /// Whether a guest agent is configured.
    pub has_agent: bool,
    /// What HA says, when HA manages it.
    pub ha_state: Option<Arc<str>>,
    /// Bytes received since its start.
    pub network_in_bytes: Option<u64>,
    /// Bytes sent since its start.
    pub network_out_bytes: Option<u64>,
    /// Bytes read since its start.
    pub disk_read_bytes: Option<u64>,
    /// Bytes written since its start.
    pub disk_written_bytes: Option<u64>,
}

/// Reads `/nodes/{n}/{qemu|lxc}/{id}/status/current`.
///
/// # Errors
/// The answer is not JSON.
pub fn guest_detail(body: &[u8], is_vm: bool) -> Result<GuestDetail, DecodeError> {
    let wire = shape::object::<Wire>(body)?;
    let balloon = wire.ballooninfo.0.unwrap_or_default();
    let ballooned = balloon.total_mem.get().zip(balloon.free_mem.get().or(wire.freemem.get()));
    let memory = if is_vm { ballooned.map(|(total, free)| total.saturating_sub(free)) } else { wire.mem.get() };
    let ha = wire.ha.0.filter(|ha| ha.managed.get() == Some(true));
    Ok(GuestDetail {
        status: wire.status.filled(),
        qemu_status: wire.qmpstatus.filled(),
        name: wire.name.filled(),
        cpu: wire.cpu.get(),
        cpus: wire.cpus.get(),
        memory_bytes: memory,
        memory_total_bytes: wire.maxmem.get(),
        disk_bytes: wire.disk.get().filter(|_| !is_vm),
        disk_total_bytes: wire.maxdisk.get(),
        swap_bytes: wire.swap.get(),
        swap_total_bytes: wire.maxswap.get(),
        uptime_s: wire.uptime.get(),
        lock: wire.lock.filled(),
        has_agent: wire.agent.get().unwrap_or(false),
        ha_state: ha.map(|ha| ha.state.filled().unwrap_or_else(|| "managed".into())),
        network_in_bytes: wire.netin.get(),
        network_out_bytes: wire.netout.get(),
        disk_read_bytes: wire.diskread.get(),
        disk_written_bytes: wire.diskwrite.get(),
    })
}

/// A guest's configuration, as far as HAIA reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestConfig {
    /// Whether it starts with its node. Absent in the configuration means no.
    pub starts_with_node: bool,
    /// The operating system's type.
    pub system: Option<Arc<str>>,
    /// Somebody's notes. Data, never instruction.
    pub notes: Option<Arc<str>>,
    /// Disks by their slot (`scsi0`, `rootfs`, `mp0`), as Proxmox writes them.
    pub disks: Vec<(Arc<str>, Arc<str>)>,
    /// Network interfaces by their slot (`net0`), as Proxmox writes them.
    pub networks: Vec<(Arc<str>, Arc<str>)>,
    /// Devices of its node that it uses (`hostpci0`, `usb0`), by their slot.
    pub devices: Vec<Arc<str>>,
    /// Changes with every change of it.
    pub digest: Option<Arc<str>>,
}

/// Reads `/nodes/{n}/{qemu|lxc}/{id}/config`.
///
/// # Errors
/// The answer is not JSON.
pub fn guest_config(body: &[u8]) -> Result<GuestConfig, DecodeError> {
    let mut config = GuestConfig::default();
    for (key, value) in shape::table::<Text>(body)? {
        let Some(value) = value.filled() else { continue };
        let slot = key.trim_end_matches(|c: char| c.is_ascii_digit());
        match key.as_str() {
            "digest" => config.digest = Some(value),
            "onboot" => config.starts_with_node = &*value == "1",
            "ostype" => config.system = Some(value),
            "description" => config.notes = Some(value),
            "rootfs" => config.disks.push((key.into(), value)),
            _ if slot.len() == key.len() => {}
            _ if matches!(slot, "scsi" | "virtio" | "sata" | "ide" | "mp") => config.disks.push((key.into(), value)),
            _ if matches!(slot, "hostpci" | "usb") => config.devices.push(key.into()),
            _ if slot == "net" => config.networks.push((key.into(), value)),
            _ => {}
        }
    }
    config.disks.sort();
    config.networks.sort();
    config.devices.sort();
    Ok(config)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireFeature {
    has_feature: Flag,
}

/// Reads `/nodes/{n}/{qemu|lxc}/{id}/feature`; `None` when it does not say.
///
/// # Errors
/// The answer is not JSON.
pub fn has_feature(body: &[u8]) -> Result<Option<bool>, DecodeError> {
    shape::object::<WireFeature>(body).map(|wire| wire.has_feature.get())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WirePoint {
    name: Text,
    description: Text,
    snaptime: Signed,
    vmstate: Flag,
    parent: Text,
}

/// A snapshot of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotPoint {
    /// Its name.
    pub name: Arc<str>,
    /// Somebody's words.
    pub description: Option<Arc<str>>,
    /// When it was made, seconds since 1970.
    pub created_s: Option<i64>,
    /// Whether it holds the guest's memory.
    pub holds_memory: bool,
    /// The snapshot before it.
    pub parent: Option<Arc<str>>,
}

/// Reads `/nodes/{n}/{qemu|lxc}/{id}/snapshot`. The entry `current` is the present and no snapshot.
///
/// # Errors
/// The answer is not JSON.
pub fn snapshot_points(body: &[u8]) -> Result<Vec<SnapshotPoint>, DecodeError> {
    let point = |row: WirePoint| {
        let name = row.name.filled().filter(|name| &**name != "current")?;
        Some(SnapshotPoint {
            name,
            description: row.description.filled(),
            created_s: row.snaptime.get().filter(|time| *time > 0),
            holds_memory: row.vmstate.get().unwrap_or(false),
            parent: row.parent.filled(),
        })
    };
    let mut points: Vec<SnapshotPoint> = shape::list::<WirePoint>(body)?.into_iter().filter_map(point).collect();
    points.sort_by_key(|point| point.created_s);
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_vm_is_known_only_with_balloon_data() {
        let opaque = guest_detail(br#"{"data":{"mem":900,"maxmem":1000,"status":"running"}}"#, true).unwrap();
        assert_eq!((opaque.memory_bytes, opaque.memory_total_bytes), (None, Some(1000)));
        let clear =
            br#"{"data":{"mem":900,"maxmem":1000,"freemem":600,"ballooninfo":{"total_mem":1000,"free_mem":"700"}}}"#;
        assert_eq!(guest_detail(clear, true).unwrap().memory_bytes, Some(300));
        assert_eq!(guest_detail(br#"{"data":{"mem":900,"maxmem":1000}}"#, false).unwrap().memory_bytes, Some(900));
    }

    #[test]
    fn a_configuration_gives_its_disks_and_networks() {
        let body = br#"{"data":{"onboot":"1","memory":"2048","scsi0":"local-lvm:vm-1-disk-0,size=32G","scsihw":"virtio","net0":"virtio=AA,bridge=vmbr0","numa":1,"unused0":"x"}}"#;
        let config = guest_config(body).unwrap();
        assert!(config.starts_with_node);
        assert_eq!(config.disks.len(), 1);
        assert_eq!(&*config.networks[0].0, "net0");
        assert!(!guest_config(br#"{"data":{}}"#).unwrap().starts_with_node);
    }

    #[test]
    fn the_present_is_no_snapshot() {
        let body = br#"{"data":[{"name":"b","snaptime":2,"parent":"a"},{"name":"current","running":1},{"name":"a","snaptime":"1","vmstate":1}]}"#;
        let names: Vec<_> = snapshot_points(body)
            .unwrap()
            .into_iter()
            .map(|point| (point.name.to_string(), point.holds_memory))
            .collect();
        assert_eq!(names, [("a".to_owned(), true), ("b".to_owned(), false)]);
    }
}

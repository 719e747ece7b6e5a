//! Disks, ZFS pools and LVM thin pools of a node.

use super::scalar::{Number, Signed, Text, Whole};
use super::shape::{self, DecodeError};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireDisk {
    devpath: Text,
    size: Whole,
    model: Text,
    serial: Text,
    r#type: Text,
    health: Text,
    wearout: Number,
    used: Text,
    osdid: Signed,
}

/// A disk of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Disk {
    /// `/dev/sda`.
    pub device: Arc<str>,
    /// `ssd`, `hdd`, `nvme`, …
    pub kind: Option<Arc<str>>,
    /// Its size.
    pub size_bytes: Option<u64>,
    /// Its model.
    pub model: Option<Arc<str>>,
    /// Its serial number.
    pub serial: Option<Arc<str>>,
    /// SMART's word: `PASSED`, `OK`, `FAILED`, `UNKNOWN`.
    pub health: Option<Arc<str>>,
    /// Life left in per cent, where it tells.
    pub life_left_percent: Option<f64>,
    /// What it is used for (`LVM`, `ZFS`, `mounted`).
    pub used_for: Option<Arc<str>>,
    /// The Ceph storage daemon on it.
    pub osd: Option<i64>,
}

/// Reads `/nodes/{n}/disks/list`.
///
/// # Errors
/// The answer is not JSON.
pub fn disks(body: &[u8]) -> Result<Vec<Disk>, DecodeError> {
    let disk = |row: WireDisk| {
        Some(Disk {
            device: row.devpath.filled()?,
            kind: row.r#type.filled(),
            size_bytes: row.size.get(),
            model: row.model.filled(),
            serial: row.serial.filled(),
            health: row.health.filled(),
            life_left_percent: row.wearout.get(),
            used_for: row.used.filled(),
            osd: row.osdid.get().filter(|osd| *osd >= 0),
        })
    };
    Ok(shape::list::<WireDisk>(body)?.into_iter().filter_map(disk).collect())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireZfs {
    name: Text,
    health: Text,
    size: Whole,
    alloc: Whole,
    frag: Number,
}

/// A ZFS pool of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct ZfsPool {
    /// Its name.
    pub name: Arc<str>,
    /// `ONLINE`, `DEGRADED`, …
    pub health: Option<Arc<str>>,
    /// Its size.
    pub size_bytes: Option<u64>,
    /// In use.
    pub used_bytes: Option<u64>,
    /// How fragmented the free space is, in per cent.
    pub fragmented_percent: Option<f64>,
}

/// Reads `/nodes/{n}/disks/zfs`.
///
/// # Errors
/// The answer is not JSON.
pub fn zfs_pools(body: &[u8]) -> Result<Vec<ZfsPool>, DecodeError> {
    let pool = |row: WireZfs| {
        Some(ZfsPool {
            name: row.name.filled()?,
            health: row.health.filled(),
            size_bytes: row.size.get(),
            used_bytes: row.alloc.get(),
            fragmented_percent: row.frag.get(),
        })
    };
    Ok(shape::list::<WireZfs>(body)?.into_iter().filter_map(pool).collect())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireThin {
    lv: Text,
    vg: Text,
    lv_size: Whole,
    used: Whole,
    metadata_size: Whole,
    metadata_used: Whole,
}

/// An LVM thin pool of a node. When its metadata is full it stops, whatever space is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThinPool {
    /// Its name.
    pub name: Arc<str>,
    /// Its volume group.
    pub volume_group: Option<Arc<str>>,
    /// Its size.
    pub size_bytes: Option<u64>,
    /// In use.
    pub used_bytes: Option<u64>,
    /// Room for metadata.
    pub metadata_bytes: Option<u64>,
    /// Metadata in use.
    pub metadata_used_bytes: Option<u64>,
}

/// Reads `/nodes/{n}/disks/lvmthin`.
///
/// # Errors
/// The answer is not JSON.
pub fn thin_pools(body: &[u8]) -> Result<Vec<ThinPool>, DecodeError> {
    let pool = |row: WireThin| {
        Some(ThinPool {
            name: row.lv.filled()?,
            volume_group: row.vg.filled(),
            size_bytes: row.lv_size.get(),
            used_bytes: row.used.get(),
            metadata_bytes: row.metadata_size.get(),
            metadata_used_bytes: row.metadata_used.get(),
        })
    };
    Ok(shape::list::<WireThin>(body)?.into_iter().filter_map(pool).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_left_is_a_number_a_text_or_nothing() {
        let body = br#"{"data":[{"devpath":"/dev/sda","wearout":"97","osdid":"4","osdid-list":["4"]},{"devpath":"/dev/sdb","wearout":"N/A","osdid":-1},{"devpath":"/dev/nvme0n1","wearout":69},{}]}"#;
        let disks = disks(body).unwrap();
        let left: Vec<Option<f64>> = disks.iter().map(|disk| disk.life_left_percent).collect();
        assert_eq!(left, [Some(97.0), None, Some(69.0)]);
        assert_eq!((disks[0].osd, disks[1].osd), (Some(4), None));
    }
}

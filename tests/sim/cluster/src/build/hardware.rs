//! Nodes and storages to begin with.

use super::{GIB, TIB};
use crate::figures::{fraction, mix};
use crate::model::{Disk, Level, Node, Storage, ThinPool, Update, ZfsPool};
use std::collections::BTreeMap;

const DAY: i64 = 86_400;

pub(super) fn nodes(names: &[String], homelab: bool, ceph: bool, now: i64) -> Vec<Node> {
    let made = names.iter().enumerate().map(|(at, name)| {
        let drawn = mix(at as u64 + 77);
        let number = u32::try_from(at).unwrap_or(0) + 1;
        Node {
            name: name.clone(),
            id: number,
            address: format!("10.0.0.{}", 10 + number),
            online: true,
            booted: now - 20 * DAY - (drawn % 900_000) as i64,
            silent: None,
            frozen: BTreeMap::new(),
            frozen_boot: 0,
            maintenance: false,
            restarting: false,
            manager_stuck: None,
            processors: if homelab { [16, 12, 12][at % 3] } else { 64 },
            processor: if homelab { "13th Gen Intel(R) Core(TM) i5-13500T" } else { "AMD EPYC 7543 32-Core Processor" },
            memory: if homelab { 64 * GIB } else { 768 * GIB },
            root_disk: 94 * GIB,
            load: 0.03 + 0.05 * fraction(drawn),
            memory_level: None,
            cache: if homelab { 4 * GIB } else { 32 * GIB },
            drift: 0,
            disks: disks(number, ceph),
            pools: vec![ZfsPool {
                name: "rpool".into(),
                size: 952 * GIB,
                used: (300 + drawn % 200) * GIB,
                health: "ONLINE".into(),
                disks: vec![
                    format!("nvme-eui.{:016x}-part3", mix(drawn)),
                    format!("nvme-eui.{:016x}-part3", mix(drawn ^ 1)),
                ],
                scrubbed: now - 12 * DAY,
                errors: 0,
            }],
            thin_pools: vec![ThinPool {
                group: "pve",
                name: "data",
                size: 348 * GIB,
                metadata: 4 * GIB,
                used: 0.21 + 0.1 * fraction(drawn ^ 9),
                metadata_used: 0.02 + 0.02 * fraction(drawn ^ 10),
            }],
            updates: vec![
                Update { package: "pve-manager", old: "9.0.10", new: "9.0.11" },
                Update { package: "libssl3t64", old: "3.5.1-1", new: "3.5.1-1+deb13u1" },
            ],
            subscription: "notfound".into(),
            certificate_ends: now + (400 + number as i64 * 3) * DAY,
        }
    });
    made.collect()
}

fn disks(node: u32, ceph: bool) -> Vec<Disk> {
    let serial = |at: u32| format!("S4EV{:08X}", mix(u64::from(node * 16 + at)) as u32);
    let disk = |device: &str, model, at, kind, size, life_left, used_for, osd| Disk {
        device: device.to_owned(),
        model,
        serial: serial(at),
        kind,
        size,
        health: "PASSED".into(),
        life_left,
        used_for,
        osd,
    };
    let mut disks = vec![
        disk("/dev/nvme0n1", "Samsung SSD 980 PRO 1TB", 0, "nvme", 953 * GIB, Some(94), "ZFS", None),
        disk("/dev/nvme1n1", "Samsung SSD 980 PRO 1TB", 1, "nvme", 953 * GIB, Some(91), "ZFS", None),
    ];
    if ceph {
        let first = (node - 1) * 2;
        disks.push(disk("/dev/sda", "Micron_5300_MTFDDAK1T9TDS", 2, "ssd", 2 * TIB, Some(88), "LVM", Some(first)));
        disks.push(disk("/dev/sdb", "Micron_5300_MTFDDAK1T9TDS", 3, "ssd", 2 * TIB, Some(86), "LVM", Some(first + 1)));
    }
    disks.push(disk("/dev/sdc", "WDC WD40EFRX-68N32N0", 4, "hdd", 4 * TIB, None, "ext4", None));
    disks
}

pub(super) fn storages(nodes: &[String], homelab: bool, ceph: bool) -> Vec<Storage> {
    let big = if homelab { 1 } else { 20 };
    let each = |middle: f64| {
        let level = |(at, node): (usize, &String)| {
            (node.clone(), Level::at(middle + 0.12 * (fraction(mix(at as u64 + 5)) - 0.5)))
        };
        nodes.iter().enumerate().map(level).collect()
    };
    let one = |fraction: f64| [(String::new(), Level::at(fraction))].into_iter().collect();
    let storage = |name: &str, kind, content, shared, total, levels| Storage {
        name: name.to_owned(),
        kind,
        content,
        shared,
        total,
        levels,
        inactive: BTreeMap::new(),
    };
    let mut storages = vec![
        storage("local", "dir", "backup,iso,vztmpl,import", false, 94 * GIB, each(0.31)),
        storage("local-zfs", "zfspool", "images,rootdir", false, 922 * GIB * big, each(0.44)),
        storage("nas-nfs", "nfs", "backup,images,iso", true, 8 * TIB * big, one(0.712)),
        storage("pbs", "pbs", "backup", true, 4 * TIB * big, one(0.578)),
    ];
    if ceph {
        storages.push(storage("ceph-rbd", "rbd", "images,rootdir", true, 4 * TIB * big, one(0.362)));
    }
    storages
}

//! Guests to begin with: the homelab's thirty by name, or any number by number.

use super::GIB;
use crate::figures::{fraction, mix};
use crate::model::{Guest, Kind, Run, Snapshot};

/// VMID, kind, name, node, cores, memory and disk in GiB, storage, pool, tags, load in per cent of its cores; a load of 0 is a stopped guest.
type Row = (u32, Kind, &'static str, &'static str, u32, u64, u64, &'static str, &'static str, &'static str, u32);

const Q: Kind = Kind::Qemu;
const C: Kind = Kind::Lxc;

const HOMELAB: [Row; 31] = [
    (101, Q, "web-01", "pve1", 4, 4, 32, "local-zfs", "production", "prod;web", 14),
    (102, Q, "web-02", "pve2", 4, 4, 32, "ceph-rbd", "production", "prod;web", 12),
    (103, Q, "db-01", "pve1", 8, 16, 120, "ceph-rbd", "production", "db;prod", 22),
    (104, Q, "db-02", "pve2", 8, 16, 120, "ceph-rbd", "production", "db;prod", 17),
    (105, C, "dns-01", "pve3", 1, 1, 4, "ceph-rbd", "production", "always-on;dns;prod", 2),
    (106, C, "dns-02", "pve1", 1, 1, 4, "local-zfs", "production", "always-on;dns;prod", 2),
    (107, C, "proxy-01", "pve2", 2, 1, 8, "ceph-rbd", "production", "prod;web", 5),
    (108, Q, "mail-01", "pve3", 4, 8, 100, "ceph-rbd", "production", "mail;prod", 9),
    (109, Q, "nextcloud", "pve3", 4, 8, 64, "ceph-rbd", "production", "prod", 11),
    (110, Q, "homeassistant", "pve2", 2, 4, 32, "local-zfs", "production", "always-on;home;prod", 8),
    (111, C, "mqtt", "pve2", 1, 1, 4, "local-zfs", "production", "home;prod", 3),
    (112, C, "zigbee2mqtt", "pve2", 1, 1, 4, "local-zfs", "production", "home;prod", 3),
    (113, Q, "gitea", "pve1", 2, 4, 64, "ceph-rbd", "production", "dev;prod", 6),
    (114, C, "media-01", "pve3", 6, 8, 48, "local-zfs", "media", "media", 18),
    (115, C, "photos", "pve3", 4, 6, 64, "local-zfs", "media", "media", 12),
    (116, C, "downloads", "pve3", 2, 2, 32, "local-zfs", "media", "media", 7),
    (117, C, "music", "pve1", 2, 2, 16, "local-zfs", "media", "media", 4),
    (118, Q, "monitoring", "pve1", 4, 8, 80, "ceph-rbd", "production", "monitoring;prod", 20),
    (119, C, "grafana", "pve1", 2, 1, 8, "ceph-rbd", "production", "monitoring;prod", 4),
    (120, Q, "k3s-01", "pve1", 4, 8, 60, "local-zfs", "lab", "k3s;lab", 31),
    (121, Q, "k3s-02", "pve2", 4, 8, 60, "local-zfs", "lab", "k3s;lab", 28),
    (122, Q, "k3s-03", "pve3", 4, 8, 60, "local-zfs", "lab", "k3s;lab", 27),
    (123, C, "wiki", "pve2", 1, 1, 8, "ceph-rbd", "production", "prod", 2),
    (124, C, "vaultwarden", "pve1", 1, 1, 4, "ceph-rbd", "production", "always-on;prod", 2),
    (125, C, "paperless", "pve3", 2, 3, 24, "ceph-rbd", "production", "prod", 5),
    (126, Q, "runner-01", "pve2", 8, 8, 80, "local-zfs", "lab", "dev;lab", 36),
    (130, Q, "win11-lab", "pve3", 4, 8, 80, "local-zfs", "lab", "lab;windows", 0),
    (131, Q, "gitlab-old", "pve1", 4, 8, 100, "local-zfs", "lab", "lab", 0),
    (132, C, "test-ct", "pve2", 1, 1, 8, "local-zfs", "lab", "lab", 0),
    (900, Q, "debian-13-template", "pve1", 2, 2, 8, "local-zfs", "lab", "template", 0),
    (901, C, "alpine-template", "pve2", 1, 1, 2, "local-zfs", "lab", "template", 0),
];

pub(super) fn homelab(now: i64, ceph: bool) -> Vec<Guest> {
    HOMELAB.iter().map(|row| guest(*row, now, ceph)).collect()
}

fn guest(row: Row, now: i64, ceph: bool) -> Guest {
    let (vmid, kind, name, node, cores, memory, disk, storage, pool, tags, load) = row;
    let drawn = mix(u64::from(vmid));
    let since = now - 3_600 - (drawn % 1_500_000) as i64;
    let day = 86_400;
    let snapshot = |name: &str, age: i64, description: &str| Snapshot {
        name: name.to_owned(),
        at: now - age * day,
        description: description.to_owned(),
        with_memory: false,
    };
    let snapshots = match vmid {
        103 => vec![snapshot("before-pg17", 6, "before the upgrade to PostgreSQL 17")],
        109 => vec![snapshot("before-upgrade", 64, "Nextcloud 30"), snapshot("nextcloud-31", 9, "")],
        _ => Vec::new(),
    };
    Guest {
        run: if load == 0 { Run::Stopped } else { Run::Up { since, status: "running".into() } },
        cores,
        memory: memory * GIB,
        disk: disk * GIB,
        storage: if ceph { storage } else { "local-zfs" }.to_owned(),
        pool: Some(pool.to_owned()),
        tags: tags.split(';').map(str::to_owned).collect(),
        onboot: load > 0,
        template: vmid >= 900,
        // Windows without the guest agent, and the old CI runner: their memory is opaque.
        agent: kind == Kind::Qemu && !matches!(vmid, 126 | 130),
        load: f64::from(load.max(5)) / 100.0,
        memory_use: 0.35 + 0.4 * fraction(drawn ^ 7),
        disk_use: 0.3 + 0.4 * fraction(drawn ^ 8),
        snapshots,
        ..Guest::new(vmid, kind, name, node)
    }
}

/// So many guests on these nodes, one in five stopped, one in four a container.
pub(super) fn many(count: usize, nodes: &[String], now: i64) -> Vec<Guest> {
    let roles = ["app", "web", "db", "cache", "queue", "batch", "build", "mail"];
    let pools = ["production", "lab", "media"];
    let made = (0..count).map(|at| {
        let drawn = mix(at as u64 + 1_000);
        let kind = if drawn.is_multiple_of(4) { Kind::Lxc } else { Kind::Qemu };
        let running = !(drawn >> 8).is_multiple_of(5) || at < 3;
        let role = roles[(drawn >> 16) as usize % roles.len()];
        let pool = pools[(drawn >> 24) as usize % pools.len()];
        let node = nodes.get(at % nodes.len().max(1)).map(String::as_str).unwrap_or_default();
        let vmid = 100 + u32::try_from(at).unwrap_or(0);
        Guest {
            run: if running {
                Run::Up { since: now - 600 - (drawn % 5_000_000) as i64, status: "running".into() }
            } else {
                Run::Stopped
            },
            cores: 1 << ((drawn >> 32) % 4),
            memory: GIB << ((drawn >> 36) % 5),
            disk: (8 << ((drawn >> 40) % 5)) * GIB,
            pool: Some(pool.to_owned()),
            tags: vec![pool.to_owned(), role.to_owned()],
            onboot: running,
            agent: kind == Kind::Qemu && !(drawn >> 44).is_multiple_of(3),
            load: 0.02 + 0.25 * fraction(drawn),
            memory_use: 0.3 + 0.5 * fraction(drawn ^ 7),
            disk_use: 0.2 + 0.5 * fraction(drawn ^ 8),
            ..Guest::new(vmid, kind, &format!("{role}-{at:04}"), node)
        }
    });
    made.collect()
}

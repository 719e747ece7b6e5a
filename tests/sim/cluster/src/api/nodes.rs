//! `/nodes/{node}/…`: what a node tells of itself. Calls are answered by the node they are for, so they fail when it is gone.

use super::{Context, Outcome, ceph, disks, guests, index, replication, storage, tasks};
use crate::config::Version;
use crate::model::{Kind, Node};
use serde_json::{Value, json};

pub(super) fn route(context: &Context<'_>, name: &str, rest: &[&str]) -> Option<Outcome> {
    if rest.is_empty() {
        return Some(Ok(index("name", &["status", "storage", "qemu", "lxc", "tasks", "disks", "version"])));
    }
    let node = match context.reach(name) {
        Ok(node) => node,
        Err(answer) => return Some(Err(answer)),
    };
    let path = format!("/nodes/{name}");
    let audited = |data: Value| context.need(&path, "Sys.Audit").map(|()| data.into());
    let outcome = match rest {
        ["version"] => Ok(version(context).into()),
        ["status"] => audited(status(context, node)),
        ["time"] => {
            let time = context.now() + node.drift;
            audited(json!({ "time": time, "localtime": time, "timezone": "UTC" }))
        }
        ["dns"] => audited(json!({ "search": "home.arpa", "dns1": "10.0.0.53" })),
        ["services"] => audited(services()),
        ["netstat"] => audited(json!([])),
        ["network"] => Ok(network(node).into()),
        ["rrddata"] => audited(history(context, node)),
        ["subscription"] => Ok(subscription(context, node).into()),
        ["certificates"] => Ok(index("name", &["acme", "custom", "info"])),
        ["certificates", "info"] => Ok(certificates(context, node).into()),
        ["apt"] => Ok(index("id", &["changelog", "repositories", "update", "versions"])),
        ["apt", "update"] => context.need(&path, "Sys.Modify").map(|()| updates(node).into()),
        ["apt", "versions"] => audited(versions()),
        ["journal"] => {
            context.need(&path, "Sys.Syslog").map(|()| json!(["systemd[1]: Reached target multi-user.target"]).into())
        }
        ["syslog"] => context
            .need(&path, "Sys.Syslog")
            .map(|()| tasks::lines(vec!["systemd[1]: Started pveproxy.service".into()], 0, 50)),
        ["tasks"] => tasks::of_node(context, node),
        ["tasks", _] => Ok(index("name", &["log", "status"])),
        ["tasks", upid, "status"] => tasks::status(context, node, upid),
        ["tasks", upid, "log"] => tasks::log(context, node, upid),
        ["qemu", rest @ ..] => return guests::route(context, node, Kind::Qemu, rest),
        ["lxc", rest @ ..] => return guests::route(context, node, Kind::Lxc, rest),
        ["storage", rest @ ..] => return storage::route(context, node, rest),
        ["disks", rest @ ..] => return disks::route(context, node, rest),
        ["ceph", rest @ ..] => return ceph::of_node(context, node, rest),
        ["replication", rest @ ..] => return replication::route(context, node, rest),
        _ => return None,
    };
    Some(outcome)
}

pub(super) fn version(context: &Context<'_>) -> Value {
    let (version, release) = context.version.numbers();
    json!({ "version": version, "release": release, "repoid": "deb1ca707ec72a89", "console": "html5" })
}

fn status(context: &Context<'_>, node: &Node) -> Value {
    let (cluster, now) = (context.cluster, context.now());
    let guests = cluster.guests_on(&node.name);
    let (cpu, used) = (node.cpu(&guests, now), node.memory_used(&guests, now));
    let free = node.memory - used;
    let load = |factor: f64| format!("{:.2}", cpu * f64::from(node.processors) * factor);
    let root = node.root_disk;
    let mut memory = json!({ "total": node.memory, "used": used, "free": free });
    if context.version == Version::V9 {
        // ZFS's cache counts as used and is available all the same. Older versions do not tell.
        memory["available"] = json!(node.memory - node.memory_needed(&guests, now));
    }
    json!({
        "uptime": node.uptime(now), "cpu": cpu, "wait": 0.002, "idle": 0,
        "cpuinfo": {
            "model": node.processor, "sockets": 1, "cores": node.processors / 2, "cpus": node.processors, "mhz": "2400.000",
            "hvm": "1", "user_hz": 100,
        },
        "loadavg": [load(1.1), load(1.0), load(0.9)],
        "memory": memory,
        "swap": { "total": 8_589_934_592_u64, "used": 0, "free": 8_589_934_592_u64 },
        "rootfs": { "total": root, "used": root / 5, "free": root - root / 5, "avail": root - root / 5 - root / 20 },
        "ksm": { "shared": 0 },
        "pveversion": format!("pve-manager/{}/deb1ca707ec72a89", context.version.numbers().0),
        "kversion": "Linux 6.14.11-2-pve #1 SMP PREEMPT_DYNAMIC PMX 6.14.11-2 (2025-09-12T09:46Z)",
        "current-kernel": {
            "machine": "x86_64", "release": "6.14.11-2-pve", "sysname": "Linux",
            "version": "#1 SMP PREEMPT_DYNAMIC PMX 6.14.11-2 (2025-09-12T09:46Z)",
        },
        "boot-info": { "mode": "efi", "secureboot": 0 },
    })
}

fn services() -> Value {
    let service = |name: &str, description: &str| {
        json!({
            "service": name, "name": name, "desc": description, "state": "running", "active-state": "active", "unit-state": "enabled",
        })
    };
    json!([
        service("corosync", "Corosync Cluster Engine"),
        service("pve-cluster", "The Proxmox VE cluster filesystem"),
        service("pvedaemon", "PVE API Daemon"),
        service("pveproxy", "PVE API Proxy Server"),
        service("pvestatd", "PVE Status Daemon"),
        service("pve-ha-crm", "PVE Cluster HA Resource Manager Daemon"),
        service("pve-ha-lrm", "PVE Local HA Resource Manager Daemon"),
    ])
}

fn network(node: &Node) -> Value {
    json!([{
        "iface": "vmbr0", "type": "bridge", "active": 1, "autostart": 1, "method": "static", "address": node.address,
        "netmask": "24", "cidr": format!("{}/24", node.address), "gateway": "10.0.0.1", "bridge_ports": "enp2s0",
    }])
}

/// The last hour in minutes.
fn history(context: &Context<'_>, node: &Node) -> Value {
    let guests = context.cluster.guests_on(&node.name);
    let last = context.now() - context.now().rem_euclid(60);
    let rows = (0..60).rev().map(|back| {
        let at = last - back * 60;
        json!({
            "time": at, "cpu": node.cpu(&guests, at), "maxcpu": node.processors, "memused": node.memory_used(&guests, at),
            "memtotal": node.memory, "rootused": node.root_disk / 5, "roottotal": node.root_disk,
        })
    });
    rows.collect()
}

fn subscription(context: &Context<'_>, node: &Node) -> Value {
    let status = node.subscription.as_str();
    if status == "notfound" {
        return json!({
            "status": status, "message": "There is no subscription key", "serverid": "00000000000000000000000000000000",
            "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
        });
    }
    let days = if status == "expired" { -3 } else { 200 };
    json!({
        "status": status, "key": "pve2c-0123456789", "level": "c", "productname": "Proxmox VE Community Subscription 2 CPUs/year",
        "sockets": 1, "nextduedate": crate::text::date(context.now() + days * 86_400),
        "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
    })
}

fn certificates(context: &Context<'_>, node: &Node) -> Value {
    let day = 86_400;
    let names = json!([format!("DNS:{}", node.name), "DNS:localhost", "IP:127.0.0.1", format!("IP:{}", node.address)]);
    json!([
        {
            "filename": "pve-root-ca.pem", "fingerprint": context.cluster.fingerprint, "issuer": "/CN=Proxmox Virtual Environment",
            "subject": "/CN=Proxmox Virtual Environment", "notbefore": node.certificate_ends - 730 * day,
            "notafter": node.certificate_ends + 3_000 * day, "public-key-bits": 4096, "public-key-type": "rsaEncryption", "san": [],
        },
        {
            "filename": "pve-ssl.pem", "fingerprint": context.cluster.fingerprint, "issuer": "/CN=Proxmox Virtual Environment",
            "subject": format!("/OU=PVE Cluster Node/CN={}.home.arpa", node.name), "notbefore": node.certificate_ends - 730 * day,
            "notafter": node.certificate_ends, "public-key-bits": 2048, "public-key-type": "rsaEncryption", "san": names,
        },
    ])
}

fn updates(node: &Node) -> Value {
    let rows = node.updates.iter().map(|update| {
        json!({
            "Package": update.package, "Title": update.package, "Description": "", "OldVersion": update.old, "Version": update.new,
            "Origin": "Proxmox", "Arch": "amd64", "Section": "admin", "Priority": "optional",
        })
    });
    rows.collect()
}

fn versions() -> Value {
    json!([{
        "Package": "pve-manager", "Title": "Proxmox VE Manager", "Description": "", "OldVersion": "9.0.10", "Version": "9.0.10",
        "Origin": "Proxmox", "Arch": "amd64", "Section": "admin", "Priority": "optional", "CurrentState": "Installed",
        "RunningKernel": "6.14.11-2-pve", "ManagerVersion": "9.0.10",
    }])
}

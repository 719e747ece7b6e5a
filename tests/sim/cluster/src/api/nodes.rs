//! `/nodes/{node}/…`: what a node tells of itself. Calls are answered by the node they are for, so they fail when it is gone.

use super::{Answer, Context, Outcome, Reply, ceph, disks, guests, index, storage, tasks};
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
        ["version"] => Ok(version().into()),
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
        ["subscription"] => Ok(subscription(node).into()),
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
        ["replication"] => replication(context, node),
        ["replication", id, "status"] => replication_status(context, node, id),
        ["replication", id, "log"] => replication_log(context, node, id),
        _ => return None,
    };
    Some(outcome)
}

pub(super) fn version() -> Value {
    json!({ "version": "9.0.10", "release": "9.0", "repoid": "deb1ca707ec72a89", "console": "html5" })
}

fn status(context: &Context<'_>, node: &Node) -> Value {
    let (cluster, now) = (context.cluster, context.now());
    let guests = cluster.guests_on(&node.name);
    let (cpu, used) = (node.cpu(&guests, now), node.memory_used(&guests, now));
    let free = node.memory - used;
    // ZFS's cache counts as used and is available all the same.
    let available = free + used / 8;
    let load = |factor: f64| format!("{:.2}", cpu * f64::from(node.processors) * factor);
    let root = node.root_disk;
    json!({
        "uptime": node.uptime(now), "cpu": cpu, "wait": 0.002, "idle": 0,
        "cpuinfo": {
            "model": node.processor, "sockets": 1, "cores": node.processors / 2, "cpus": node.processors, "mhz": "2400.000",
            "hvm": "1", "user_hz": 100,
        },
        "loadavg": [load(1.1), load(1.0), load(0.9)],
        "memory": { "total": node.memory, "used": used, "free": free, "available": available },
        "swap": { "total": 8_589_934_592_u64, "used": 0, "free": 8_589_934_592_u64 },
        "rootfs": { "total": root, "used": root / 5, "free": root - root / 5, "avail": root - root / 5 - root / 20 },
        "ksm": { "shared": 0 },
        "pveversion": "pve-manager/9.0.10/deb1ca707ec72a89",
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

fn subscription(node: &Node) -> Value {
    match node.subscription {
        Some(level) => {
            json!({ "status": "active", "level": level, "productname": "Proxmox VE Community Subscription 1 CPU/year" })
        }
        None => json!({
            "status": "notfound", "message": "There is no subscription key", "serverid": "00000000000000000000000000000000",
            "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
        }),
    }
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

fn replication_row(context: &Context<'_>, node: &Node, job: &crate::model::Replication) -> Value {
    let now = context.now();
    let (last_sync, last_try, fails) = job.runs(now);
    let next = if fails > 0 {
        last_try + crate::model::Replication::RETRY
    } else {
        last_sync + crate::model::Replication::PERIOD
    };
    let mut row = json!({
        "id": job.id(), "type": "local", "guest": job.vmid, "vmtype": context.cluster.guests.get(&job.vmid).map(|guest| guest.kind.word()),
        "jobnum": 0, "source": node.name, "target": job.target, "schedule": "*/15", "last_sync": last_sync,
        "last_try": last_try, "next_sync": next, "duration": 3.271_52, "fail_count": fails,
    });
    if fails > 0 {
        row["error"] = json!(replication_error(context, job));
    }
    row
}

fn replication_error(context: &Context<'_>, job: &crate::model::Replication) -> String {
    let volume = context.cluster.guests.get(&job.vmid).map(crate::model::Guest::volume).unwrap_or_default();
    format!(
        "command 'set -o pipefail && pvesm export {volume} zfs - -with-snapshots 1 | /usr/bin/ssh -e none -o 'BatchMode=yes' root@{} -- pvesm import {volume} zfs -' failed: exit code 255",
        job.target
    )
}

/// The jobs whose guest is on this node.
fn jobs<'a>(context: &'a Context<'_>, node: &'a Node) -> impl Iterator<Item = &'a crate::model::Replication> {
    let cluster = context.cluster;
    let here = |vmid: u32| cluster.guests.get(&vmid).is_some_and(|guest| guest.node == node.name);
    cluster.services.replications.iter().filter(move |job| here(job.vmid) && context.sees_guest(job.vmid))
}

fn replication(context: &Context<'_>, node: &Node) -> Outcome {
    Ok(jobs(context, node).map(|job| replication_row(context, node, job)).collect::<Vec<_>>().into())
}

fn find<'a>(context: &'a Context<'_>, node: &'a Node, id: &str) -> Result<&'a crate::model::Replication, Answer> {
    jobs(context, node)
        .find(|job| job.id() == id)
        .ok_or_else(|| Answer::error(500, &format!("no such replication job '{id}'")))
}

fn replication_status(context: &Context<'_>, node: &Node, id: &str) -> Outcome {
    let job = find(context, node, id)?;
    Ok(replication_row(context, node, job).into())
}

fn replication_log(context: &Context<'_>, node: &Node, id: &str) -> Result<Reply, Answer> {
    let job = find(context, node, id)?;
    let (_, at, fails) = job.runs(context.now());
    let line = |after: i64, text: &str| format!("{} {id}: {text}", crate::text::log_time(at + after));
    let noun = context.cluster.guests.get(&job.vmid).map_or("VM", |guest| guest.kind.noun());
    let mut log =
        vec![line(0, "start replication job"), line(0, &format!("guest => {noun} {}, running => 1", job.vmid))];
    if fails > 0 {
        log.push(line(1, &format!("end replication job with error: {}", replication_error(context, job))));
    } else {
        log.push(line(1, "create snapshot '__replicate_'"));
        log.push(line(3, "end replication job"));
    }
    Ok(tasks::lines(log, 0, 50))
}

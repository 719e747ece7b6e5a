//! `/nodes/{node}/qemu` and `/lxc`: lists, state, configuration, snapshots, agent. A guest is only found on its own node.

use super::{Answer, Context, Outcome, flag, index};
use crate::config::Version;
use crate::model::{Guest, Kind, Node};
use serde_json::{Value, json};

pub(super) fn route(context: &Context<'_>, node: &Node, kind: Kind, rest: &[&str]) -> Option<Outcome> {
    let [id, rest @ ..] = rest else { return Some(Ok(list(context, node, kind).into())) };
    let guest = match find(context, node, kind, id) {
        Ok(guest) => guest,
        Err(answer) => return Some(Err(answer)),
    };
    let now = context.now();
    let data = match rest {
        [] => return Some(Ok(index("subdir", &["config", "pending", "snapshot", "status"]))),
        ["status"] => return Some(Ok(index("subdir", &["current"]))),
        ["status", "current"] => current(context, guest),
        ["config"] => config(guest),
        ["pending"] => pending(guest),
        ["snapshot"] => snapshots(guest, now),
        ["rrddata"] => history(guest, now),
        ["interfaces"] if kind == Kind::Lxc => interfaces(guest),
        ["agent", command] if kind == Kind::Qemu => return Some(agent(context, guest, command)),
        _ => return None,
    };
    Some(Ok(data.into()))
}

/// How pveproxy says that a guest is not on the node that was asked.
pub(crate) fn no_configuration(node: &str, kind: Kind, vmid: u32) -> Answer {
    let folder = if kind == Kind::Qemu { "qemu-server" } else { "lxc" };
    Answer::error(500, &format!("Configuration file 'nodes/{node}/{folder}/{vmid}.conf' does not exist"))
}

fn find<'a>(context: &'a Context<'_>, node: &Node, kind: Kind, id: &str) -> Result<&'a Guest, Answer> {
    let vmid: u32 = id.parse().map_err(|_| super::bad_parameter("vmid", "type check ('integer') failed"))?;
    context.need_guest(vmid)?;
    let found = context.cluster.guests.get(&vmid).filter(|guest| guest.node == node.name && guest.kind == kind);
    found.ok_or_else(|| no_configuration(&node.name, kind, vmid))
}

fn list(context: &Context<'_>, node: &Node, kind: Kind) -> Vec<Value> {
    let guests = context.cluster.guests_on(&node.name);
    let visible = guests.into_iter().filter(|guest| guest.kind == kind && context.sees_guest(guest.vmid));
    visible.map(|guest| listed(context, guest)).collect()
}

/// A row of the list. Old versions write some numbers of containers as text.
fn listed(context: &Context<'_>, guest: &Guest) -> Value {
    let mut row = figures(context, guest);
    if context.version == Version::V7 && guest.kind == Kind::Lxc {
        for name in ["vmid", "disk", "maxdisk"] {
            row[name] = json!(row[name].to_string());
        }
    }
    row
}

/// What both the list and the state tell.
fn figures(context: &Context<'_>, guest: &Guest) -> Value {
    let now = context.now();
    let mut row = json!({
        "vmid": guest.vmid, "name": guest.name, "status": guest.plain_status(), "cpus": guest.cores, "cpu": guest.cpu(now),
        "maxmem": guest.memory, "mem": guest.memory_used(now), "maxdisk": guest.disk, "disk": guest.disk_used(),
        "uptime": guest.uptime(now), "netin": guest.counter(1, now), "netout": guest.counter(2, now),
        "diskread": guest.counter(3, now), "diskwrite": guest.counter(4, now),
    });
    if guest.is_up() {
        row["pid"] = json!(guest.process());
        let names = ["pressurecpusome", "pressureiosome", "pressureiofull", "pressurememorysome", "pressurememoryfull"];
        for name in names.into_iter().filter(|_| context.version == Version::V9) {
            row[name] = json!(0);
        }
    }
    if guest.kind == Kind::Qemu {
        if context.version == Version::V9 {
            row["memhost"] = json!(guest.memory_host(now));
        }
    } else {
        row["type"] = json!("lxc");
        row["swap"] = json!(0);
        row["maxswap"] = json!(guest.memory / 2);
    }
    if guest.template {
        row["template"] = flag(true);
    }
    if !guest.tags.is_empty() {
        row["tags"] = json!(guest.tags.join(";"));
    }
    if let Some(lock) = &guest.lock {
        row["lock"] = json!(lock);
    }
    row
}

fn current(context: &Context<'_>, guest: &Guest) -> Value {
    let now = context.now();
    let mut data = figures(context, guest);
    let service = context.cluster.services.ha.iter().find(|service| service.vmid == guest.vmid);
    data["ha"] = match service {
        Some(service) => json!({ "managed": 1, "state": service.state }),
        None => json!({ "managed": 0 }),
    };
    if guest.kind == Kind::Qemu {
        data["qmpstatus"] = json!(guest.status());
        if guest.agent {
            data["agent"] = flag(true);
        }
        if guest.is_up() {
            data["running-machine"] = json!("pc-i440fx-10.0+pve0");
            data["running-qemu"] = json!("10.0.2");
            if guest.agent {
                let free = guest.memory.saturating_sub(guest.memory_used(now));
                data["freemem"] = json!(free);
                data["ballooninfo"] = json!({ "actual": guest.memory, "max_mem": guest.memory, "total_mem": guest.memory, "free_mem": free });
            }
        }
    }
    data
}

fn digest(guest: &Guest) -> String {
    let drawn = crate::figures::seed(&guest.name);
    format!("{drawn:016x}{:016x}{:08x}", crate::figures::mix(drawn), guest.vmid)
}

fn config(guest: &Guest) -> Value {
    let size = guest.disk >> 30;
    let mut data = json!({ "digest": digest(guest), "cores": guest.cores, "tags": guest.tags.join(";") });
    if guest.kind == Kind::Qemu {
        data["name"] = json!(guest.name);
        // Version 9 writes it as text.
        data["memory"] = json!((guest.memory >> 20).to_string());
        data["sockets"] = json!(1);
        data["ostype"] = json!(if guest.tags.iter().any(|tag| tag == "windows") { "win11" } else { "l26" });
        data["scsihw"] = json!("virtio-scsi-single");
        data["boot"] = json!("order=scsi0;net0");
        data["scsi0"] = json!(format!("{},discard=on,iothread=1,size={size}G,ssd=1", guest.volume()));
        data["net0"] = json!(format!("virtio={},bridge=vmbr0,firewall=1", guest.mac()));
        if guest.agent {
            data["agent"] = json!("1");
        } else {
            data["balloon"] = json!(0);
        }
    } else {
        data["hostname"] = json!(guest.name);
        data["memory"] = json!(guest.memory >> 20);
        data["swap"] = json!(guest.memory >> 21);
        data["arch"] = json!("amd64");
        data["ostype"] = json!("debian");
        data["unprivileged"] = flag(true);
        data["rootfs"] = json!(format!("{},size={size}G", guest.volume()));
        data["net0"] = json!(format!("name=eth0,bridge=vmbr0,firewall=1,hwaddr={},ip=dhcp,type=veth", guest.mac()));
    }
    if guest.onboot {
        data["onboot"] = flag(true);
    }
    if guest.template {
        data["template"] = flag(true);
    }
    if let Some(lock) = &guest.lock {
        data["lock"] = json!(lock);
    }
    if !guest.notes.is_empty() {
        data["description"] = json!(guest.notes);
    }
    if let Some(newest) = guest.snapshots.last() {
        data["parent"] = json!(newest.name);
    }
    data
}

fn pending(guest: &Guest) -> Value {
    let config = config(guest);
    let rows = config.as_object().into_iter().flatten().filter(|(key, _)| *key != "digest");
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    rows.map(|(key, value)| json!({ "key": key, "value": text(value) })).collect()
}

fn snapshots(guest: &Guest, now: i64) -> Value {
    let mut rows = Vec::new();
    let mut parent: Option<&str> = None;
    for snapshot in guest.snapshots.iter().filter(|snapshot| snapshot.at <= now) {
        let mut row = json!({ "name": snapshot.name, "description": snapshot.description, "snaptime": snapshot.at });
        if guest.kind == Kind::Qemu {
            row["vmstate"] = flag(snapshot.with_memory);
        }
        if let Some(parent) = parent {
            row["parent"] = json!(parent);
        }
        parent = Some(&snapshot.name);
        rows.push(row);
    }
    // The last row is no snapshot: the guest as it is.
    let mut current = json!({ "name": "current", "description": "You are here!", "digest": digest(guest), "running": flag(guest.is_up()) });
    if let Some(parent) = parent {
        current["parent"] = json!(parent);
    }
    rows.push(current);
    Value::Array(rows)
}

/// The last hour in minutes.
fn history(guest: &Guest, now: i64) -> Value {
    let last = now - now.rem_euclid(60);
    let rows = (0..60).rev().map(|back| {
        let at = last - back * 60;
        json!({
            "time": at, "cpu": guest.cpu(at), "maxcpu": guest.cores, "mem": guest.memory_used(at), "maxmem": guest.memory,
            "disk": guest.disk_used(), "maxdisk": guest.disk,
        })
    });
    rows.collect()
}

fn address(guest: &Guest) -> String {
    format!("10.0.{}.{}", 1 + guest.vmid / 250, guest.vmid % 250)
}

fn interfaces(guest: &Guest) -> Value {
    if !guest.is_up() {
        return json!([]);
    }
    let (mac, address) = (guest.mac().to_lowercase(), address(guest));
    json!([{
        "name": "eth0", "hwaddr": mac, "hardware-address": mac, "inet": format!("{address}/16"),
        "ip-addresses": [{ "ip-address": address, "ip-address-type": "inet", "prefix": 16 }],
    }])
}

fn agent(context: &Context<'_>, guest: &Guest, command: &str) -> Outcome {
    let path = format!("/vms/{}", guest.vmid);
    context.need_any(&path, &["VM.GuestAgent.Audit", "VM.GuestAgent.Unrestricted"])?;
    if !guest.is_up() {
        return Err(Answer::error(500, &format!("VM {} is not running", guest.vmid)));
    }
    if !guest.agent {
        return Err(Answer::error(500, "No QEMU guest agent configured"));
    }
    let result = match command {
        "get-fsinfo" => json!([{
            "name": "sda1", "mountpoint": "/", "type": "ext4", "total-bytes": guest.disk,
            "used-bytes": crate::figures::share(guest.disk, guest.disk_use), "disk": [],
        }]),
        "get-host-name" => json!({ "host-name": guest.name }),
        "get-osinfo" => {
            json!({ "id": "debian", "name": "Debian GNU/Linux", "pretty-name": "Debian GNU/Linux 13 (trixie)", "version-id": "13" })
        }
        "network-get-interfaces" => json!([{
            "name": "eth0", "hardware-address": guest.mac().to_lowercase(),
            "ip-addresses": [{ "ip-address": address(guest), "ip-address-type": "ipv4", "prefix": 16 }],
        }]),
        other => return Err(super::not_implemented("GET", &format!("{path}/agent/{other}"))),
    };
    Ok(json!({ "result": result }).into())
}

//! `/nodes/{node}/disks/…`: disks with SMART, ZFS pools, thin pools.

use super::{Answer, Context, Outcome, bad_parameter, flag, index};
use crate::figures::share;
use crate::model::{Disk, Node, ThinPool, ZfsPool};
use crate::text::date;
use serde_json::{Value, json};

pub(super) fn route(context: &Context<'_>, node: &Node, rest: &[&str]) -> Option<Outcome> {
    let audited = |outcome: Outcome| context.need("/", "Sys.Audit").and(outcome);
    let outcome = match rest {
        [] => Ok(index("name", &["list", "lvm", "lvmthin", "smart", "zfs"])),
        ["list"] => {
            let path = format!("/nodes/{}", node.name);
            let allowed = context.need(&path, "Sys.Audit").or_else(|_| context.need("/", "Sys.Audit"));
            allowed.map(|()| node.disks.iter().map(disk).collect::<Vec<_>>().into())
        }
        ["smart"] => audited(smart(context, node)),
        ["zfs"] => audited(Ok(node.pools.iter().map(pool).collect::<Vec<_>>().into())),
        ["zfs", name] => audited(detail(node, name)),
        ["lvmthin"] => audited(Ok(node.thin_pools.iter().map(thin_pool).collect::<Vec<_>>().into())),
        _ => return None,
    };
    Some(outcome)
}

fn disk(disk: &Disk) -> Value {
    let (osd, osds) = disk.osd.map_or((json!(-1), json!(null)), |osd| (json!(osd), json!([osd])));
    let wearout = disk.life_left.map_or(json!("N/A"), |left| json!(left));
    let mut row = json!({
        "devpath": disk.device, "model": disk.model, "serial": disk.serial, "type": disk.kind, "size": disk.size,
        "health": disk.health, "wearout": wearout, "gpt": 1, "mounted": flag(disk.used_for == "ext4"), "used": disk.used_for,
        "osdid": osd, "vendor": "ATA", "rpm": if disk.kind == "hdd" { 5400 } else { 0 },
    });
    // Null without OSDs: recorded so, though the schema wants a list.
    row["osdid-list"] = osds;
    row
}

fn smart(context: &Context<'_>, node: &Node) -> Outcome {
    let Some(device) = context.query.text("disk") else {
        return Err(bad_parameter("disk", "property is missing and it is not optional"));
    };
    let found = node.disks.iter().find(|disk| disk.device == device);
    let disk = found.ok_or_else(|| Answer::error(500, &format!("disk {device} not found")))?;
    if disk.kind == "nvme" {
        let used = 100 - disk.life_left.unwrap_or(100);
        let text = format!(
            "\nSMART/Health Information (NVMe Log 0x02)\nCritical Warning:                   0x00\nTemperature:                        41 Celsius\nAvailable Spare:                    100%\nPercentage Used:                    {used}%\nMedia and Data Integrity Errors:    0\n"
        );
        return Ok(json!({ "health": disk.health, "type": "text", "text": text }).into());
    }
    let failing = disk.health == "FAILED";
    let attribute = |id: u32, name: &str, value: u32, threshold: u32, raw: &str| {
        let fail = if failing && id == 5 { "FAILING_NOW" } else { "-" };
        json!({
            "id": format!("{id:>3}"), "name": name, "flags": "-O--CK", "value": value, "normalized": value, "worst": value,
            "threshold": threshold, "raw": raw, "fail": fail,
        })
    };
    let sectors = if failing { (4, "2088") } else { (100, "0") };
    let attributes = [
        attribute(5, "Reallocated_Sector_Ct", sectors.0, 10, sectors.1),
        attribute(9, "Power_On_Hours", 91, 0, "21904"),
        attribute(194, "Temperature_Celsius", 66, 0, "34"),
    ];
    Ok(json!({ "health": disk.health, "type": "ata", "attributes": attributes }).into())
}

fn thin_pool(pool: &ThinPool) -> Value {
    json!({
        "lv": pool.name, "vg": pool.group, "lv_size": pool.size, "used": share(pool.size, pool.used),
        "metadata_size": pool.metadata, "metadata_used": share(pool.metadata, pool.metadata_used),
    })
}

fn pool(pool: &ZfsPool) -> Value {
    json!({
        "name": pool.name, "health": pool.health, "size": pool.size, "alloc": pool.used, "free": pool.size - pool.used,
        "frag": 14, "dedup": 1.0,
    })
}

fn detail(node: &Node, name: &str) -> Outcome {
    let found = node.pools.iter().find(|pool| pool.name == name);
    let pool =
        found.ok_or_else(|| Answer::error(500, &format!("command 'zpool status -P {name}' failed: exit code 1")))?;
    let degraded = pool.health != "ONLINE";
    let disk = |at: usize, name: &String| {
        let gone = degraded && at == 0;
        json!({
            "name": format!("/dev/disk/by-id/{name}"), "state": if gone { "FAULTED" } else { "ONLINE" }, "leaf": 1,
            "read": if gone { 12 } else { 0 }, "write": if gone { 48 } else { 0 }, "cksum": if at == 0 { pool.errors } else { 0 }, "msg": if gone { "too many errors" } else { "" },
        })
    };
    let disks: Vec<Value> = pool.disks.iter().enumerate().map(|(at, name)| disk(at, name)).collect();
    let mirror = json!({
        "name": "mirror-0", "state": pool.health, "leaf": 0, "read": 0, "write": 0, "cksum": 0, "msg": "", "children": disks,
    });
    let root = json!({
        "name": pool.name, "state": pool.health, "leaf": 0, "read": 0, "write": 0, "cksum": 0, "msg": "", "children": [mirror],
    });
    let mut data = json!({
        "name": pool.name, "state": pool.health, "errors": "No known data errors",
        "scan": format!("scrub repaired 0B in 00:12:34 with 0 errors on {}", date(pool.scrubbed)), "leaf": 0, "children": [root],
    });
    if !degraded && pool.errors > 0 {
        data["status"] = json!(
            "One or more devices has experienced an unrecoverable error. An attempt was made to correct the error. Applications are unaffected."
        );
        data["action"] =
            json!("Determine if the device needs to be replaced, and clear the errors using 'zpool clear'.");
    }
    if degraded {
        data["status"] = json!(
            "One or more devices are faulted in response to persistent errors. Sufficient replicas exist for the pool to continue functioning in a degraded state."
        );
        data["action"] = json!("Replace the faulted device, or use 'zpool clear' to mark the device repaired.");
    }
    Ok(data.into())
}

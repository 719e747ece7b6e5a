//! Storages as a node sees them, and the backups on them.

use super::{Answer, Context, Outcome, flag, index};
use crate::model::{Node, Storage};
use serde_json::{Value, json};

/// `/storage`
pub(super) fn definitions(context: &Context<'_>) -> Outcome {
    let visible = context.cluster.storages.iter().filter(|storage| sees(context, storage));
    let rows = visible.map(|storage| {
        json!({ "storage": storage.name, "type": storage.kind, "content": storage.content, "shared": flag(storage.shared) })
    });
    Ok(rows.collect::<Vec<_>>().into())
}

fn sees(context: &Context<'_>, storage: &Storage) -> bool {
    context.holds(&format!("/storage/{}", storage.name), "Datastore.Audit")
}

pub(super) fn route(context: &Context<'_>, node: &Node, rest: &[&str]) -> Option<Outcome> {
    let [name, rest @ ..] = rest else { return Some(Ok(list(context, node).into())) };
    let storage = match find(context, name) {
        Ok(storage) => storage,
        Err(answer) => return Some(Err(answer)),
    };
    let outcome = match rest {
        [] => Ok(index("subdir", &["content", "rrddata", "status"])),
        ["status"] => Ok(state(context, node, storage).into()),
        ["content"] => content(context, node, storage),
        ["rrddata"] => Ok(history(context, node, storage).into()),
        _ => return None,
    };
    Some(outcome)
}

fn find<'a>(context: &'a Context<'_>, name: &str) -> Result<&'a Storage, Answer> {
    context.need_any(&format!("/storage/{name}"), &["Datastore.Audit", "Datastore.AllocateSpace"])?;
    let found = context.cluster.storages.iter().find(|storage| storage.name == name);
    found.ok_or_else(|| Answer::error(500, &format!("storage '{name}' does not exist")))
}

/// What a node tells of a storage. One that is not active has no figures.
fn state(context: &Context<'_>, node: &Node, storage: &Storage) -> Value {
    let active = !storage.inactive.contains_key(&node.name);
    let used = if active { storage.used(&node.name, context.now()) } else { 0 };
    let total = if active { storage.total } else { 0 };
    json!({
        "type": storage.kind, "content": storage.content, "shared": flag(storage.shared), "enabled": 1,
        "active": flag(active), "total": total, "used": used, "avail": total - used,
    })
}

fn list(context: &Context<'_>, node: &Node) -> Vec<Value> {
    let visible = context.cluster.storages.iter().filter(|storage| sees(context, storage));
    let rows = visible.map(|storage| {
        let mut row = state(context, node, storage);
        row["storage"] = json!(storage.name);
        let active = !storage.inactive.contains_key(&node.name);
        row["used_fraction"] = json!(if active { storage.fraction(&node.name, context.now()) } else { 0.0 });
        row
    });
    rows.collect()
}

fn content(context: &Context<'_>, node: &Node, storage: &Storage) -> Outcome {
    if storage.inactive.contains_key(&node.name) {
        return Err(Answer::error(500, &format!("storage '{}' is not online", storage.name)));
    }
    let vmid = context.query.number("vmid")?;
    let wanted = context.query.text("content");
    let wants = |kind: &str| wanted.is_none_or(|wanted| wanted == kind);
    let mut rows = Vec::new();
    if wants("backup") {
        let backups = context.cluster.services.backups.iter().filter(|((on, _), _)| *on == storage.name);
        for ((_, guest), kept) in backups {
            if vmid.is_some_and(|vmid| vmid != i64::from(*guest)) || !context.sees_guest(*guest) {
                continue;
            }
            rows.extend(kept.iter().filter(|backup| backup.at <= context.now()).map(|backup| {
                let mut row = json!({
                    "volid": backup.volume, "content": "backup", "format": backup.format, "size": backup.size, "ctime": backup.at,
                    "vmid": backup.vmid, "notes": backup.notes, "subtype": if backup.volume.contains("/vm/") || backup.volume.contains("-qemu-") { "qemu" } else { "lxc" },
                });
                if let Some(state) = backup.verified {
                    row["verification"] = json!({ "state": state, "upid": "UPID:pbs:00000400:00001000:00000001:69A3C500:verify:main:root@pam:" });
                }
                row
            }));
        }
    }
    if wants("images") || wants("rootdir") {
        let here = |guest: &&crate::model::Guest| {
            guest.storage == storage.name
                && (storage.shared || guest.node == node.name)
                && context.sees_guest(guest.vmid)
        };
        let fits = |guest: &&crate::model::Guest| vmid.is_none_or(|vmid| vmid == i64::from(guest.vmid));
        rows.extend(context.cluster.guests.values().filter(here).filter(fits).map(|guest| {
            let kind = if guest.kind == crate::model::Kind::Qemu { "images" } else { "rootdir" };
            let format = if guest.volume().contains("subvol") { "subvol" } else { "raw" };
            json!({ "volid": guest.volume(), "content": kind, "format": format, "size": guest.disk, "vmid": guest.vmid })
        }));
        if let Some(wanted) = wanted {
            rows.retain(|row| row["content"] == wanted);
        }
    }
    Ok(rows.into())
}

/// The last hour in minutes.
fn history(context: &Context<'_>, node: &Node, storage: &Storage) -> Value {
    let last = context.now() - context.now().rem_euclid(60);
    let rows = (0..60).rev().map(|back| {
        let at = last - back * 60;
        json!({ "time": at, "used": storage.used(&node.name, at), "total": storage.total })
    });
    rows.collect()
}

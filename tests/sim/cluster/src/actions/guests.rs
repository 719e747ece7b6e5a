//! Migration, snapshot and backup of a guest.

use super::{Aim, Order, Work, ask_manager, begin, forbidden, is_managed, locked, only};
use crate::api::query::Query;
use crate::api::{Answer, bad_parameter};
use crate::incidents::{Effect, Incident, Trouble, back_up as dump, ha, logs};
use crate::model::{BackupJob, Cluster, Guest, Kind, NewTask};
use crate::task_rule::TaskEnd;
use serde_json::json;

const MISSING: &str = "property is missing and it is not optional";

pub(super) fn migrate(cluster: &mut Cluster, order: &Order<'_>, aim: &Aim<'_>, form: &Query) -> Result<Answer, Answer> {
    let guest = order.guest(cluster, aim, "VM.Migrate")?;
    only(
        form,
        match aim.kind {
            Kind::Qemu => {
                &["target", "online", "force", "with-local-disks", "targetstorage", "bwlimit", "migration_type"]
            }
            Kind::Lxc => &["target", "online", "restart", "timeout", "target-storage", "bwlimit"],
        },
    )?;
    let target = form.text("target").ok_or_else(|| bad_parameter("target", MISSING))?;
    let Some(node) = cluster.node(target) else {
        return Err(Answer::error(500, &format!("no such cluster node '{target}'")));
    };
    let (online, address) = (node.online, node.address.clone());
    if target == guest.node {
        return Err(bad_parameter("target", "target is local node."));
    }
    let live = guest.is_up() && guest.kind == Kind::Qemu;
    if live && !form.flag("online") {
        return Err(bad_parameter("online", "can't migrate running VM without --online"));
    }
    if guest.is_up() && guest.kind == Kind::Lxc && !form.flag("online") && !form.flag("restart") {
        return Err(Answer::error(500, "Can't migrate running container without --online or --restart"));
    }
    if !online {
        return Err(Answer::error(500, &format!("ssh: connect to host {address} port 22: No route to host")));
    }
    if is_managed(cluster, guest.vmid) {
        let begun = ask_manager(cluster, order, &guest, "hamigrate", &format!("migration to node '{target}'"));
        if begun.goes_well {
            let moved =
                Incident::GuestMigrated { vmid: guest.vmid, target: target.to_owned(), user: "root@pam".into() };
            cluster.schedule(begun.ends + ha::ACTS_AFTER, Effect::Incident(moved));
        }
        return Ok(begun.answer());
    }
    Ok(move_it(cluster, order, &guest, target, &address, form))
}

/// A migration of a guest that nobody manages.
fn move_it(
    cluster: &mut Cluster,
    order: &Order<'_>,
    guest: &Guest,
    target: &str,
    address: &str,
    form: &Query,
) -> Answer {
    let start = cluster.now;
    let live = guest.is_up() && guest.kind == Kind::Qemu;
    let kind = guest.kind.task("migrate");
    let shared = cluster.storages.iter().any(|storage| storage.name == guest.storage && storage.shared);
    if live && !shared && !form.flag("with-local-disks") && guest.lock.is_none() {
        let volume = guest.volume();
        let why = format!(
            "can't migrate local disk '{volume}': can't live migrate attached local disks without with-local-disks option"
        );
        let log = logs::migration_failed(guest, target, address, start, 1, &why);
        let work = Work { guest, kind, seconds: 1, error: Some("migration aborted".into()), log };
        return begin(cluster, order, work).answer();
    }
    let restart = guest.is_up() && !live;
    let log = logs::migration(guest, target, address, start);
    let work = Work { guest, kind, seconds: if live { 14 } else { 9 }, error: locked(guest), log };
    let was_locked = guest.lock.is_some();
    let begun = begin(cluster, order, work);
    if was_locked {
        return begun.answer();
    }
    let vmid = guest.vmid;
    cluster.schedule(start, Effect::Lock(vmid, "migrate").of_task(&begun.upid));
    if begun.goes_well && restart {
        cluster.schedule(start.midpoint(begun.ends), Effect::Stop(vmid).of_task(&begun.upid));
    }
    if begun.goes_well {
        begun.then(cluster, Effect::Move { vmid, target: target.to_owned(), restart });
    } else {
        begun.whatever(cluster, Effect::Unlock(vmid));
    }
    begun.answer()
}

pub(super) fn snapshot(
    cluster: &mut Cluster,
    order: &Order<'_>,
    aim: &Aim<'_>,
    form: &Query,
) -> Result<Answer, Answer> {
    let guest = order.guest(cluster, aim, "VM.Snapshot")?;
    only(
        form,
        if aim.kind == Kind::Qemu { &["snapname", "description", "vmstate"] } else { &["snapname", "description"] },
    )?;
    let name = form.text("snapname").ok_or_else(|| bad_parameter("snapname", MISSING))?;
    let legal = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() >= 2
        && name.len() <= 40
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !legal {
        return Err(bad_parameter("snapname", &format!("invalid format - invalid configuration ID '{name}'")));
    }
    if name == "current" {
        return Err(Answer::error(500, "unable to use snapshot name 'current' (reserved name)"));
    }
    let taken = guest.snapshots.iter().any(|snapshot| snapshot.name == name);
    let error = locked(&guest).or_else(|| taken.then(|| format!("snapshot name '{name}' already used")));
    let was_free = error.is_none();
    let log = logs::snapshot(&guest, cluster.now);
    let kind = guest.kind.task("snapshot");
    let begun = begin(cluster, order, Work { guest: &guest, kind, seconds: 3, error, log });
    let vmid = guest.vmid;
    if was_free {
        cluster.schedule(cluster.now, Effect::Lock(vmid, "snapshot").of_task(&begun.upid));
        begun.whatever(cluster, Effect::Unlock(vmid));
    }
    let description = form.text("description").unwrap_or_default().to_owned();
    let with_memory = form.flag("vmstate");
    begun.then(cluster, Effect::Snapshot { vmid, name: name.to_owned(), description, with_memory });
    Ok(begun.answer())
}

pub(super) fn back_up(cluster: &mut Cluster, order: &Order<'_>, node: &str, form: &Query) -> Result<Answer, Answer> {
    let known =
        ["vmid", "storage", "mode", "compress", "notes-template", "protected", "prune-backups", "remove", "mailto"];
    let list = form.text("vmid").unwrap_or_default();
    let vmids: Option<Vec<u32>> = list.split([',', ' ']).map(|one| one.parse().ok()).collect();
    let Some(vmids) = vmids else {
        return Err(bad_parameter("vmid", "invalid format - unable to parse VMID list"));
    };
    for vmid in &vmids {
        order.need(cluster, *vmid, "VM.Backup")?;
    }
    let storage = form.text("storage").unwrap_or("local");
    let path = format!("/storage/{storage}");
    if !order.access.holds(&path, "Datastore.AllocateSpace") {
        return Err(forbidden(&path, "Datastore.AllocateSpace"));
    }
    order.reach(cluster, node)?;
    only(form, &known)?;
    if let Some(mode) = form.text("mode").filter(|mode| !matches!(*mode, "snapshot" | "suspend" | "stop")) {
        let text = format!("value '{mode}' does not have a value in the enumeration 'snapshot, suspend, stop'");
        return Err(bad_parameter("mode", &text));
    }
    let Some(found) = cluster.storages.iter().find(|one| one.name == storage) else {
        return Err(Answer::error(500, &format!("storage '{storage}' does not exist")));
    };
    if !found.content.contains("backup") {
        return Err(Answer::error(500, &format!("storage '{storage}' does not support backups")));
    }
    let inactive = found.inactive.contains_key(node);
    let here = |vmid: &u32| cluster.guests.get(vmid).filter(|guest| guest.node == node).cloned();
    let guests: Vec<Guest> = vmids.iter().filter_map(here).collect();
    if guests.is_empty() {
        // Guests of other nodes are left to those nodes, without a word.
        return Ok(Answer::with(&json!("OK")));
    }
    let job = BackupJob {
        id: "request".into(),
        storage: storage.to_owned(),
        schedule: "",
        second: 0,
        days: 1,
        enabled: true,
        held: false,
        pool: None,
        vmids,
        comment: "",
        prune: "keep-all=1",
        keep: usize::MAX,
    };
    let upid = dump_as_told(cluster, order, &job, &guests, inactive);
    Ok(Answer::with(&json!(upid)))
}

/// Runs vzdump as rules and locks have it.
fn dump_as_told(cluster: &mut Cluster, order: &Order<'_>, job: &BackupJob, guests: &[Guest], inactive: bool) -> String {
    let (start, node) = (cluster.now, guests[0].node.clone());
    let rule = cluster.task_rules.take("vzdump", guests[0].vmid).unwrap_or_default();
    let locked = guests.iter().any(|guest| guest.lock.is_some());
    let trouble = match &rule.end {
        _ if inactive => {
            Trouble::aborts(&format!("could not activate storage '{0}': storage '{0}' is not online", job.storage))
        }
        // As a run fails whose guest fails: its log names the guest, its end says "job errors".
        TaskEnd::Fails(reason) => Trouble::fails(guests.iter().map(|guest| guest.vmid).collect(), reason),
        TaskEnd::Warnings(_) => Trouble::warns(guests[0].vmid),
        TaskEnd::Ok => Trouble::none(),
    };
    match rule.seconds {
        // As long as it was told to take: all its guests are locked until then.
        Some(seconds) if trouble.is_none() && !locked => {
            let (id, seconds) = (guests[0].vmid.to_string(), i64::from(seconds));
            let new = NewTask { node: &node, kind: "vzdump", id: &id, user: order.token, start, seconds, error: None };
            let upid = cluster.task(new, logs::backup_begin(job, &job.vmids, start));
            for guest in guests {
                cluster.schedule(start, Effect::Lock(guest.vmid, "backup").of_task(&upid));
                cluster.schedule(start + seconds, Effect::BackedUp(guest.vmid, guest.disk / 4).of_task(&upid));
                let keep = crate::incidents::kept(job, guest, start);
                cluster.schedule(start + seconds, keep.of_task(&upid));
            }
            upid
        }
        _ => dump(cluster, job, &node, guests, order.token, start, &trouble, true),
    }
}

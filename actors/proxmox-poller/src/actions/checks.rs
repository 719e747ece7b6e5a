//! What speaks for waiting: what depends on a guest, what warns, and what forbids the action now. Pure; it says only what is known.

use super::look::Sight;
use super::plan::{ha, lock, state};
use super::privileges::action_grant_command;
use super::wish::{Deed, Mode, Wish};
use crate::model::{GuestKind, GuestState, Node, NodeState, Storage, StorageState, TaskState};
use crate::tools::words::{size, text};
use contract::approvals::ActionClass;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) dependents: Vec<String>,
    pub(super) warnings: Vec<String>,
    pub(super) blockers: Vec<String>,
}

impl Checks {
    fn block(&mut self, why: impl Into<String>) {
        self.blockers.push(why.into());
    }

    fn warn(&mut self, why: impl Into<String>) {
        self.warnings.push(why.into());
    }
}

pub(super) fn of(sight: &Sight, wish: &Wish, token_id: &str) -> Checks {
    let mut checks = Checks::default();
    privileges(sight, token_id, &mut checks);
    surroundings(sight, wish, &mut checks);
    condition(sight, wish, &mut checks);
    match &wish.deed {
        Deed::Start => room(sight, &sight.guest.node, &mut checks),
        Deed::Migrate { target, copies_disks } => migration(sight, target, *copies_disks, &mut checks),
        Deed::Snapshot { name, with_memory, .. } => snapshot(sight, name, *with_memory, &mut checks),
        Deed::Backup { storage, mode } => backup(sight, storage, *mode, &mut checks),
        _ => {}
    }
    dependents(sight, wish, &mut checks);
    checks
}

fn privileges(sight: &Sight, token_id: &str, checks: &mut Checks) {
    let lacking: Vec<_> = sight.held.iter().filter(|held| held.is_held == Some(false)).collect();
    for held in &lacking {
        let cure = action_grant_command(token_id, lacking.iter().map(|held| held.name));
        checks.block(format!("the token {token_id} lacks {} on {}; on a node run: {cure}", held.name, held.path));
    }
    for held in sight.held.iter().filter(|held| held.is_held.is_none()) {
        checks.warn(format!("whether the token has {} on {} could not be asked", held.name, held.path));
    }
}

/// The node, the cluster, the guest's lock and HA.
fn surroundings(sight: &Sight, wish: &Wish, checks: &mut Checks) {
    let (snapshot, guest) = (&sight.snapshot, &sight.guest);
    if snapshot.quorum.as_ref().is_some_and(|quorum| !quorum.is_quorate) {
        checks.block("the cluster has lost quorum: it takes no orders");
    }
    if snapshot.node(&guest.node).is_none_or(|node| node.state == NodeState::Offline) {
        return checks.block(format!("its node {} is offline", guest.node));
    }
    if let Err(error) = &sight.detail {
        checks.block(format!("it cannot be looked at now: {error}"));
    }
    if guest.is_template {
        checks.block("it is a template");
    }
    let is_suspended_to_disk = matches!(wish.class(), ActionClass::Start | ActionClass::Resume);
    if let Some(lock) = lock(sight).filter(|lock| !(is_suspended_to_disk && &**lock == "suspended")) {
        checks.block(format!("it is locked ({}): something works on it, or was broken off", text(&lock)));
    }
    match ha(sight).as_deref() {
        Some("error") => {
            checks.block("HA has it in the state error: that must be cleared first (ha-manager set … --state disabled)")
        }
        Some(state @ ("fence" | "recovery" | "migrate" | "relocate" | "freeze")) => {
            checks.block(format!("HA works on it now (state {state})"));
        }
        _ => {}
    }
    let running =
        snapshot.tasks.iter().find(|task| task.vmid() == Some(guest.vmid) && task.state == TaskState::Running);
    if let Some(task) = running.filter(|task| !task.kind.ends_with("proxy")) {
        checks.warn(format!("a task works on it now: {} by {}", task.kind, text(&snapshot.doer(task))));
    }
}

/// Whether the guest is in a state that the action makes sense in.
fn condition(sight: &Sight, wish: &Wish, checks: &mut Checks) {
    let state = state(sight);
    let is_suspended = lock(sight).as_deref() == Some("suspended");
    if state == GuestState::Unknown && sight.detail.is_ok() {
        return checks.block("what it does now is not known");
    }
    match wish.class() {
        ActionClass::Start if state == GuestState::Paused => checks.block("it is paused: resume it instead"),
        ActionClass::Start if state.is_up() => checks.block("nothing to do: it runs already"),
        ActionClass::Shutdown | ActionClass::Stop if state == GuestState::Stopped => {
            checks.block("nothing to do: it is stopped already");
        }
        ActionClass::Reboot if state == GuestState::Stopped => checks.block("it is stopped: start it instead"),
        ActionClass::Suspend if state == GuestState::Paused => checks.block("nothing to do: it is paused already"),
        ActionClass::Suspend if state == GuestState::Stopped => {
            checks.block("it is stopped: there is nothing to suspend")
        }
        ActionClass::Resume if state == GuestState::Stopped && !is_suspended => {
            checks.block("it is stopped: start it instead")
        }
        ActionClass::Resume if state == GuestState::Running => checks.block("nothing to do: it runs already"),
        _ => {}
    }
    let cannot_react = match &state {
        GuestState::Paused => Some("it is paused"),
        GuestState::Failed(_) => Some("it hangs after an error"),
        _ => None,
    };
    if let Some(why) = cannot_react.filter(|_| matches!(wish.class(), ActionClass::Shutdown | ActionClass::Reboot)) {
        checks.warn(format!("{why}, so it will hardly react"));
    }
    if wish.class() == ActionClass::Suspend && sight.guest.kind == GuestKind::Container {
        checks.warn("Proxmox can suspend containers only by way of trial: it mostly fails");
    }
}

/// Memory on the node where the guest would run.
fn room(sight: &Sight, node: &str, checks: &mut Checks) {
    let (guest, Some(node)) = (&sight.guest, sight.snapshot.node(node)) else { return };
    let Some(needed) = guest.memory_total_bytes else { return };
    let free = |node: &Node| Some(node.memory_total_bytes?.saturating_sub(node.memory_bytes?));
    if node.memory_total_bytes.is_some_and(|total| needed > total) {
        let total = size(node.memory_total_bytes.unwrap_or(0));
        return checks.block(format!("it may use {} of memory, and {} has {total} in all", size(needed), node.name));
    }
    if let Some(free) = free(node).filter(|free| needed > *free) {
        let name = &node.name;
        checks.warn(format!("it may use {} of memory, and {name} has {} free", size(needed), size(free)));
    }
}

fn migration(sight: &Sight, target: &str, copies_disks: bool, checks: &mut Checks) {
    let (snapshot, guest) = (&sight.snapshot, &sight.guest);
    if target == &*guest.node {
        return checks.block(format!("nothing to do: it is on {target} already"));
    }
    match snapshot.node(target).map(|node| node.state) {
        Some(NodeState::Online) => {}
        Some(state) => checks.block(format!("the target {target} is {}", state.as_str())),
        None => return checks.block(format!("there is no node {}", text(target))),
    }
    let is_up = state(sight).is_up();
    if is_up {
        room(sight, target, checks);
    }
    let Ok(config) = &sight.config else { return checks.warn("its disks could not be looked at") };
    for device in &config.devices {
        let what = format!("it uses a device of {} ({})", guest.node, text(device));
        if is_up { checks.block(format!("{what}, so it cannot move while it runs")) } else { checks.warn(what) }
    }
    for (slot, disk) in &config.disks {
        // `storage:volume,options`; a path or an empty drive is on no storage.
        let volume = disk.split(',').next().unwrap_or_default();
        let Some((storage, _)) = volume.split_once(':').filter(|(storage, _)| !storage.starts_with('/')) else {
            continue;
        };
        let found: Vec<&Storage> = snapshot.storages.iter().filter(|one| *one.name == *storage).collect();
        let is_shared = found.iter().any(|one| one.is_shared);
        let is_there = found.iter().flat_map(|one| &one.nodes).any(|seen| *seen.node == *target);
        let (slot, storage) = (text(slot), text(storage));
        if !found.is_empty() && !is_there {
            checks.block(format!("its disk {slot} lies on {storage}, which {target} does not have"));
        } else if !found.is_empty() && !is_shared && !copies_disks && is_up && guest.kind == GuestKind::Vm {
            checks.block(format!(
                "its disk {slot} lies on {storage}, which is not shared: it moves only with with_local_disks"
            ));
        }
    }
}

fn snapshot(sight: &Sight, name: &str, with_memory: bool, checks: &mut Checks) {
    match &sight.points {
        Some(Ok(points)) if points.iter().any(|point| &*point.name == name) => {
            checks.block(format!("it has a snapshot {name} already"));
        }
        Some(Ok(points)) if points.len() >= 5 => checks.warn(format!("it has {} snapshots already", points.len())),
        Some(Err(error)) => checks.warn(format!("its snapshots could not be read: {error}")),
        _ => {}
    }
    if sight.can_snapshot == Some(false) {
        checks.block("its disks lie on a storage that cannot take snapshots");
    }
    if with_memory && sight.guest.kind == GuestKind::Container {
        checks.block("the memory of a container cannot be kept in a snapshot");
    } else if with_memory && !state(sight).is_up() {
        checks.block("it does not run: there is no memory to keep");
    }
}

fn backup(sight: &Sight, storage: &str, mode: Mode, checks: &mut Checks) {
    let node = &sight.guest.node;
    let shown = text(storage);
    match &sight.storages {
        Some(Ok(storages)) => match storages.iter().find(|one| &*one.name == storage) {
            None => checks.block(format!("{node} has no storage {shown}")),
            Some(found) => {
                let holds = found.content.as_deref().unwrap_or_default().split(',').any(|kind| kind.trim() == "backup");
                if !holds {
                    checks.block(format!("the storage {shown} may not hold backups"));
                } else if !found.is_enabled || !found.is_active {
                    checks.block(format!("the storage {shown} cannot be used on {node} now"));
                }
                let free = found.total_bytes.zip(found.used_bytes).map(|(total, used)| total.saturating_sub(used));
                if let Some(free) = free.filter(|free| sight.guest.disk_total_bytes.is_some_and(|disk| disk > *free)) {
                    checks.warn(format!("{shown} has {} free, less than the guest's disk", size(free)));
                }
            }
        },
        Some(Err(error)) => checks.warn(format!("the storages of {node} could not be looked at: {error}")),
        None => {}
    }
    if mode == Mode::Stop && state(sight).is_up() {
        checks.warn("it is shut down for the backup");
    }
}

/// The storages that a backup of the guest could go to.
pub(super) fn backup_storages(sight_storages: &[Storage], node: &str) -> Vec<String> {
    let is_usable = |storage: &&Storage| {
        storage.holds_backups()
            && storage.nodes.iter().any(|seen| *seen.node == *node && seen.state == StorageState::Available)
    };
    let mut names: Vec<String> =
        sight_storages.iter().filter(is_usable).map(|storage| storage.name.to_string()).collect();
    names.dedup();
    names
}

/// What would notice.
fn dependents(sight: &Sight, wish: &Wish, checks: &mut Checks) {
    let (snapshot, guest) = (&sight.snapshot, &sight.guest);
    let goes_away = match &wish.deed {
        Deed::Shutdown { .. } | Deed::Stop | Deed::Reboot { .. } | Deed::Suspend => true,
        Deed::Migrate { .. } => guest.kind == GuestKind::Container,
        Deed::Backup { mode, .. } => *mode != Mode::Snapshot,
        _ => false,
    };
    if let Some(state) = ha(sight) {
        checks.dependents.push(format!("HA manages it (state {})", text(&state)));
    }
    let jobs = snapshot.replication.value.as_deref().into_iter().flatten();
    for job in jobs.filter(|job| job.vmid == Some(guest.vmid) && !job.is_disabled) {
        checks.dependents.push(format!("it is replicated to {}", text(&job.target)));
        if matches!(&wish.deed, Deed::Migrate { target, .. } if *target == *job.target) {
            checks.warn("its replication turns round with the move");
        }
    }
    if goes_away && state(sight).is_up() {
        for tag in guest.tags.iter() {
            let others = snapshot.guests.iter().filter(|other| other.vmid != guest.vmid && !other.is_template);
            let mut others = others.filter(|other| other.tags.contains(tag)).peekable();
            if others.peek().is_some() && !others.any(|other| other.state == GuestState::Running) {
                checks.dependents.push(format!("no other guest with the tag {} runs", text(tag)));
            }
        }
        if guest.tags.iter().any(|tag| tag.eq_ignore_ascii_case("always-on")) {
            checks.warn("its tag always-on says that it is meant to run always");
        }
    }
}

//! The plan of an action, from what was seen: what would happen, what stands in the way, and the state that it rests on. Pure.

use super::checks::{self, Checks};
use super::look::Sight;
use super::wish::{Deed, Mode, Wish};
use crate::model::{Guest, GuestKind, GuestState, TaskState};
use crate::tools::words::{span, text};
use contract::alerts::{Fact, Labels};
use contract::approvals::ActionPlan;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::Arc;

/// What a shutdown or reboot is waited for beyond the time that the guest itself is given, in seconds.
const BEYOND_WAIT_S: u64 = 60;

fn fact(label: &str, text: impl Into<String>) -> Fact {
    Fact { label: label.into(), text: text.into() }
}

/// What the guest does, from itself; what the cluster's list says where it cannot be asked.
pub(super) fn state(sight: &Sight) -> GuestState {
    match &sight.detail {
        Ok(detail) => {
            let word = detail.qemu_status.as_ref().or(detail.status.as_ref());
            word.map_or(GuestState::Unknown, |word| GuestState::from_word(word))
        }
        Err(_) => sight.guest.state.clone(),
    }
}

/// The lock on the guest.
pub(super) fn lock(sight: &Sight) -> Option<Arc<str>> {
    match &sight.detail {
        Ok(detail) => detail.lock.clone(),
        Err(_) => sight.guest.lock.clone(),
    }
}

/// What HA says of the guest, when HA manages it.
pub(super) fn ha(sight: &Sight) -> Option<Arc<str>> {
    let told = match &sight.detail {
        Ok(detail) => detail.ha_state.clone(),
        Err(_) => sight.guest.ha_state.clone(),
    };
    told.filter(|state| &**state != "ignored")
}

/// The plan. `cluster` is the name in the configuration, `timeout_s` what the class is given.
pub(super) fn plan(sight: &Sight, wish: &Wish, cluster: &str, token_id: &str, timeout_s: u64) -> ActionPlan {
    let guest = &sight.guest;
    let Checks { dependents, warnings, blockers } = checks::of(sight, wish, token_id);
    let state = rests_on(sight, wish);
    let subject = text(&guest.label());
    let wait_s = wish.wait_s();
    ActionPlan {
        tool: wish.tool.name.into(),
        class: wish.class(),
        risk: wish.risk(),
        arguments: wish.canonical(cluster, guest.vmid),
        action: action(&subject, guest, &wish.deed),
        labels: labels(guest, cluster, wish),
        options: options(&wish.deed),
        reason: text(&wish.reason),
        effect: effect(sight, &wish.deed),
        dependents,
        warnings,
        blockers,
        state_digest: digest(&state),
        state,
        evidence: evidence(sight),
        timeout_s: if wait_s == 0 { timeout_s } else { timeout_s.max(wait_s + BEYOND_WAIT_S) },
        subject,
    }
}

fn digest(state: &[Fact]) -> String {
    let mut hasher = Sha256::new();
    for fact in state {
        // Lengths first, so that no two states read the same.
        hasher.update((fact.label.len() as u64).to_be_bytes());
        hasher.update(fact.label.as_bytes());
        hasher.update((fact.text.len() as u64).to_be_bytes());
        hasher.update(fact.text.as_bytes());
    }
    hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The state in kind.
fn rests_on(sight: &Sight, wish: &Wish) -> Vec<Fact> {
    let guest = &sight.guest;
    let none = || "none".to_owned();
    let mut state = vec![
        fact("guest", format!("{} {}", guest.kind.as_str(), text(&guest.label()))),
        fact("node", &*guest.node),
        fact("status", state(sight).as_str()),
        fact("lock", lock(sight).map_or_else(none, |lock| text(&lock))),
        fact("ha", ha(sight).map_or_else(none, |ha| text(&ha))),
    ];
    if let Deed::Migrate { target, .. } = &wish.deed {
        let there = sight.snapshot.node(target).map_or("unknown", |node| node.state.as_str());
        state.push(fact("target", format!("{target} {there}")));
        // Which disks it has decides what is moved.
        if let Ok(config) = &sight.config {
            let disks: Vec<String> = config.disks.iter().map(|(slot, disk)| format!("{slot}={disk}")).collect();
            state.push(fact("disks", text(&disks.join(" "))));
        }
    }
    state
}

fn action(subject: &str, guest: &Guest, deed: &Deed) -> String {
    let node = &guest.node;
    match deed {
        Deed::Start => format!("Start {subject} on {node}"),
        Deed::Shutdown { is_forced: false, .. } => format!("Shut down {subject} on {node}"),
        Deed::Shutdown { is_forced: true, .. } => {
            format!("Shut down {subject} on {node}, by force if it does not react")
        }
        Deed::Stop => format!("Switch off {subject} on {node}"),
        Deed::Reboot { .. } => format!("Reboot {subject} on {node}"),
        Deed::Suspend => format!("Suspend {subject} on {node}"),
        Deed::Resume => format!("Resume {subject} on {node}"),
        Deed::Migrate { target, .. } => format!("Move {subject} from {node} to {}", text(target)),
        Deed::Snapshot { name, .. } => format!("Take the snapshot {name} of {subject} on {node}"),
        Deed::Backup { storage, .. } => format!("Back up {subject} on {node} to {}", text(storage)),
    }
}

fn labels(guest: &Guest, cluster: &str, wish: &Wish) -> Labels {
    let mut labels = Labels::default();
    labels.add("cluster", cluster);
    labels.add("node", Arc::clone(&guest.node));
    labels.add("vmid", guest.vmid.to_string());
    if let Some(name) = &guest.name {
        labels.add("name", Arc::clone(name));
    }
    for tag in guest.tags.iter() {
        labels.add("tag", Arc::clone(tag));
    }
    labels.add("kind", guest.kind.as_str());
    if let Some(storage) = wish.storage() {
        labels.add("storage", storage);
    }
    labels
}

fn options(deed: &Deed) -> Vec<Fact> {
    let yes_no = |truth: &bool| if *truth { "yes" } else { "no" };
    match deed {
        Deed::Start | Deed::Stop | Deed::Suspend | Deed::Resume => Vec::new(),
        Deed::Shutdown { wait_s, is_forced } => {
            let then = if *is_forced { "it is switched off" } else { "it goes on running" };
            vec![fact("time to shut down", format!("{wait_s} s")), fact("afterwards", then)]
        }
        Deed::Reboot { wait_s } => vec![fact("time to shut down", format!("{wait_s} s"))],
        Deed::Migrate { target, copies_disks } => {
            vec![fact("target", text(target)), fact("copies local disks", yes_no(copies_disks))]
        }
        Deed::Snapshot { name, description, with_memory } => {
            let mut options = vec![fact("name", name), fact("with memory", yes_no(with_memory))];
            if !description.is_empty() {
                options.push(fact("description", text(description)));
            }
            options
        }
        Deed::Backup { storage, mode } => vec![fact("storage", text(storage)), fact("mode", mode.as_str())],
    }
}

fn effect(sight: &Sight, deed: &Deed) -> String {
    let is_up = state(sight).is_up();
    let is_vm = sight.guest.kind == GuestKind::Vm;
    let (by, kept) = match ha(sight) {
        Some(_) => (" The HA manager does it, some seconds after the order,", true),
        None => ("", false),
    };
    match deed {
        Deed::Start if kept => format!("It will run.{by} and keeps it running from then on."),
        Deed::Start => "It will run.".to_owned(),
        Deed::Shutdown { wait_s, is_forced } => {
            let otherwise = match is_forced {
                true => "If it does not, it is switched off, and unsaved data may be lost.",
                false => "If it does not, it goes on running.",
            };
            let by = if kept { format!("{by} and leaves it stopped.") } else { String::new() };
            format!("It is asked to shut down and has {} for it; then nothing it serves can be reached. {otherwise}{by}", span(*wait_s))
        }
        Deed::Stop => {
            let by = if kept { format!("{by} and leaves it stopped.") } else { String::new() };
            format!("It is switched off at once, as if its plug was pulled: unsaved data may be lost, and nothing it serves can be reached.{by}")
        }
        Deed::Reboot { wait_s } => format!(
            "It is asked to shut down, has {} for it, and is started again; meanwhile nothing it serves can be reached.",
            span(*wait_s)
        ),
        Deed::Suspend => "It is paused where it is: it keeps its memory, does nothing, and cannot be reached until it is resumed.".to_owned(),
        Deed::Resume => "It goes on where it was suspended.".to_owned(),
        Deed::Migrate { target, copies_disks } => {
            let disks = if *copies_disks { " Disks that are not on shared storage are copied, which can take long." } else { "" };
            let how = match (is_up, is_vm) {
                (true, true) => "It moves while it runs; it may pause for a moment at the end.",
                (true, false) => "It is shut down, moved, and started again: it cannot be reached meanwhile.",
                (false, _) => "It is moved while it is stopped, and stays stopped.",
            };
            format!("{how}{disks} Afterwards it is on {}.", text(target))
        }
        Deed::Snapshot { with_memory, .. } => match *with_memory && is_up {
            true => "Its disks and its memory are kept as they are; it stands still while the memory is written. It goes on running.".to_owned(),
            false => "Its disks are kept as they are now, to go back to later. The snapshot takes up space as the disks change.".to_owned(),
        },
        Deed::Backup { storage, mode } => {
            let meanwhile = match (is_up, mode) {
                (false, _) => "It is stopped and stays so.",
                (true, Mode::Snapshot) => "It goes on running, somewhat slower.",
                (true, Mode::Suspend) => "It is paused for a while.",
                (true, Mode::Stop) => "It is shut down and started again: it cannot be reached meanwhile.",
            };
            format!("A backup of it is written to {}. {meanwhile} Older backups stay.", text(storage))
        }
    }
}

fn evidence(sight: &Sight) -> Vec<Fact> {
    let (snapshot, guest) = (&sight.snapshot, &sight.guest);
    let mut evidence = vec![fact("looked at", snapshot.taken_at.to_string()), fact("answered by", &*snapshot.endpoint)];
    if let Some(uptime_s) = sight.detail.as_ref().ok().and_then(|detail| detail.uptime_s).filter(|uptime| *uptime > 0) {
        evidence.push(fact("runs for", span(uptime_s)));
    }
    if let Some(task) = snapshot.tasks.iter().find(|task| task.vmid() == Some(guest.vmid)) {
        let ago = span(snapshot.seconds_since_s(task.ended_s.unwrap_or(task.started_s), snapshot.taken_at));
        let how =
            if task.state == TaskState::Running { "running".to_owned() } else { format!("{}, {ago} ago", task.state) };
        evidence.push(fact("last task", text(&format!("{} by {}: {how}", task.kind, snapshot.doer(task)))));
    }
    let held = sight.held.iter().filter(|held| held.is_held == Some(true));
    let held: Vec<String> = held.map(|held| format!("{} on {}", held.name, held.path)).collect();
    if !held.is_empty() {
        evidence.push(fact("privileges", held.join(", ")));
    }
    evidence
}

//! From a call to a plan: finds the guest that is meant, looks at it, and plans. It changes nothing.

use super::plan::plan;
use super::timeouts::ActionTimeouts;
use super::wish::{Deed, Wish};
use super::{checks, look};
use crate::model::{BackupSelection, Guest, Snapshot};
use crate::tools::{Desk, Known, View, lookup};
use contract::approvals::ActionPlan;
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
use std::rc::Rc;
use std::sync::Arc;

/// How a cluster may be acted on.
#[derive(Clone, Debug)]
pub(crate) struct Ward {
    pub(crate) cluster: Arc<str>,
    pub(crate) allows_actions: bool,
    pub(crate) timeouts: ActionTimeouts,
}

fn invalid(why: impl Into<String>) -> Failure {
    Failure::new(FailureClass::InvalidRequest, why.into())
}

/// That a cluster takes no actions, for people.
pub(crate) fn not_allowed(cluster: &str) -> Failure {
    Failure::new(
        FailureClass::Permission,
        format!(
            "actions are not allowed on the cluster {cluster} (allow_actions in [proxmox.{cluster}] of haia.toml). Nothing was done."
        ),
    )
}

/// The plan of a call.
///
/// # Errors
/// Why there is none.
pub(crate) async fn propose(
    desk: Rc<Desk>,
    wards: Vec<Ward>,
    wish: Wish,
    clock: SharedClock,
) -> Result<ActionPlan, Failure> {
    let known = desk.choose(wish.cluster.as_deref()).map_err(invalid)?.known;
    // With several clusters the newest look at each says which one is meant; with one the fresh look below is enough.
    let at = if known.len() > 1 { lookup::guest(&known, &wish.guest).map_err(invalid)?.0 } else { 0 };
    let Some(chosen) = known.into_iter().nth(at) else { return Err(invalid("nothing is known of the cluster")) };
    let name = Arc::clone(&chosen.view.name);
    let ward = wards.into_iter().find(|ward| ward.cluster == name).filter(|ward| ward.allows_actions);
    let Some(ward) = ward else { return Err(not_allowed(&name)) };
    let Some(client) = chosen.view.client.clone() else { return Err(invalid("the cluster cannot be asked")) };
    let unseen = |why: String| {
        Failure::new(FailureClass::Unreachable, format!("the cluster {name} cannot be looked at now: {why}"))
    };
    let snapshot = look::cluster(&name, &client, Some(&chosen.snapshot), &clock).await.map_err(unseen)?;
    let guest = fresh_guest(&chosen, &snapshot, &wish.guest)?;
    let wish = settled(wish, &snapshot, &guest)?;
    let sight = look::guest(snapshot, guest, &wish, &client).await;
    let timeout_s = ward.timeouts.of(wish.class()).as_secs();
    Ok(plan(&sight, &wish, &name, client.token_id(), timeout_s))
}

/// The guest that is meant, as it is now.
fn fresh_guest(chosen: &Known, snapshot: &Snapshot, wanted: &str) -> Result<Guest, Failure> {
    let snapshot = Arc::new(snapshot.clone());
    let view = View { snapshot: Some(Arc::clone(&snapshot)), ..chosen.view.clone() };
    let fresh = [Known { view, snapshot: Arc::clone(&snapshot), ..chosen.clone() }];
    let (_, at) = lookup::guest(&fresh, wanted).map_err(invalid)?;
    let guest = snapshot.guests[at].clone();
    // A guest that has just gone is kept in mind for some polls; nothing is done to it.
    match guest.missed_polls {
        0 => Ok(guest),
        _ => Err(Failure::new(FailureClass::NotFound, format!("{} is not in the cluster any more", guest.label()))),
    }
}

/// The wish with everything chosen that it leaves open.
fn settled(wish: Wish, snapshot: &Snapshot, guest: &Guest) -> Result<Wish, Failure> {
    let deed = match wish.deed {
        Deed::Migrate { target, copies_disks } => {
            let found = snapshot.nodes.iter().find(|node| node.name.eq_ignore_ascii_case(&target));
            let Some(found) = found else {
                let names: Vec<&str> = snapshot.nodes.iter().map(|node| &*node.name).collect();
                return Err(invalid(format!("there is no node {target:?}; nodes: {}", names.join(", "))));
            };
            Deed::Migrate { target: found.name.to_string(), copies_disks }
        }
        Deed::Backup { storage, mode } if storage.is_empty() => {
            Deed::Backup { storage: backup_storage(snapshot, guest)?, mode }
        }
        deed => deed,
    };
    Ok(Wish { deed, ..wish })
}

/// The one storage that a backup of the guest can be meant to go to: its backup job's, or the only one there is.
fn backup_storage(snapshot: &Snapshot, guest: &Guest) -> Result<String, Failure> {
    let usable = checks::backup_storages(&snapshot.storages, &guest.node);
    let jobs = snapshot.backup_jobs.value.as_deref().into_iter().flatten();
    let covers = |selection: &BackupSelection| match selection {
        BackupSelection::All { except } => !except.contains(&guest.vmid),
        BackupSelection::Guests(guests) => guests.contains(&guest.vmid),
        BackupSelection::Pool(pool) => guest.pool.as_ref() == Some(pool),
    };
    let mut of_jobs: Vec<String> = jobs
        .filter(|job| job.is_enabled && covers(&job.selection))
        .filter_map(|job| job.storage.as_deref().map(str::to_owned))
        .filter(|storage| usable.contains(storage))
        .collect();
    of_jobs.sort();
    of_jobs.dedup();
    match (of_jobs.as_slice(), usable.as_slice()) {
        ([one], _) | ([], [one]) => Ok(one.clone()),
        (_, []) => Err(invalid(format!("{} has no storage for backups that can be used now", guest.node))),
        (_, several) => Err(invalid(format!("to which storage? Give one of {}", several.join(", ")))),
    }
}

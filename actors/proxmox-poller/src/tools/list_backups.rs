//! `list_backups`: the backups that there are, asked of the storages that hold them.
//!
//! Result: `{data, total, total_size, backups: [{volid, guest?: {vmid, name?}, storage, node? (local storages), cluster?, created?: {at, ago_s, ago}, size?, protected?, verification?, notes?}],
//! next_offset?, problems?: [text]}`, the newest first. `problems` names storages that could not be asked: then the list is not whole.

use super::desk::Known;
use super::words::{self, Page, arguments, moment, size, text as short};
use super::{Begun, Desk, ReadTool, lookup, ready};
use crate::client::segment;
use crate::decode::{self, Text, Volume};
use crate::model::{NodeState, Storage, StorageState};
use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};
use std::rc::Rc;
use std::sync::Arc;

pub(super) const TOOL: ReadTool = ReadTool {
    name: "list_backups",
    title: "Looking at the backups",
    description: "Existing backups with guest, age, size and verification, the newest first; of one guest or storage, or all. For which guests have none call backup_coverage; for failed backup runs list_tasks.",
    parameters: r#"{"type":"object","properties":{"guest":{"type":["string","null"],"description":"Only backups of this guest: its name or VMID."},"storage":{"type":["string","null"],"description":"Only backups in this storage."},"cluster":{"type":["string","null"],"description":"Only this cluster."},"limit":{"type":["integer","null"],"description":"How many to show: 30 by default, 200 at most."},"offset":{"type":["integer","null"],"description":"Where to begin: next_offset of the page before."}},"required":["guest","storage","cluster","limit","offset"],"additionalProperties":false}"#,
    begin,
};

/// The most storages asked for one answer.
const STORAGES: usize = 24;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    guest: Option<Text>,
    storage: Option<String>,
    cluster: Option<String>,
    limit: Option<u64>,
    offset: Option<u64>,
}

/// A backup and where it is.
pub(super) struct Backup {
    pub(super) storage: Arc<str>,
    /// The node of a local storage.
    pub(super) node: Option<Arc<str>>,
    pub(super) volume: Volume,
}

fn begin(desk: &Rc<Desk>, text: &str) -> Result<Begun, String> {
    let wanted: Arguments = arguments(text)?;
    let found = desk.choose(wanted.cluster.as_deref()).and_then(|chosen| {
        let guest = wanted.guest.as_ref().map(Text::as_str).filter(|guest| !guest.is_empty());
        let only = match guest {
            None => None,
            // A guest that is gone may still have backups under its number.
            Some(guest) => match (lookup::guest(&chosen.known, guest), guest.parse::<u32>()) {
                (Ok((cluster, at)), _) => Some((Some(cluster), chosen.known[cluster].snapshot.guests[at].vmid)),
                (Err(_), Ok(vmid)) => Some((None, vmid)),
                (Err(said), Err(_)) => return Err(said),
            },
        };
        Ok((chosen, only))
    });
    let (chosen, only) = match found {
        Ok(found) => found,
        Err(said) => return Ok(ready(Err(said))),
    };
    Ok(Box::pin(async move {
        let vmid = only.map(|(_, vmid)| vmid);
        let known: Vec<&Known> = chosen
            .known
            .iter()
            .enumerate()
            .filter(|(at, _)| only.is_none_or(|(cluster, _)| cluster.is_none_or(|cluster| cluster == *at)))
            .map(|(_, known)| known)
            .collect();
        let asked = join_all(known.iter().map(|known| fetch(known, vmid, wanted.storage.as_deref()))).await;
        let mut backups: Vec<(&Known, Backup)> = Vec::new();
        let mut problems = Vec::new();
        for (known, (found, wrong)) in known.into_iter().zip(asked) {
            backups.extend(found.into_iter().map(|backup| (known, backup)));
            problems.extend(wrong);
        }
        backups.sort_by_key(|(_, backup)| std::cmp::Reverse(backup.volume.created_s));
        let page = Page::of(wanted.limit, wanted.offset, 30, 200);
        let total_size: u64 = backups.iter().filter_map(|(_, backup)| backup.volume.size_bytes).sum();
        words::result(Ok(json!({
            "data": chosen.data,
            "total": backups.len(),
            "total_size": size(total_size),
            "backups": page.items(&backups).map(|(known, backup)| row(known, backup)).collect::<Vec<_>>(),
            "next_offset": page.next(backups.len()),
            "problems": Some(problems).filter(|problems| !problems.is_empty()),
        })))
    }))
}

/// Asks the storages of a cluster that may hold backups: one node for a shared one, its own for a local one. And what could not be asked.
pub(super) async fn fetch(known: &Known, vmid: Option<u32>, storage: Option<&str>) -> (Vec<Backup>, Vec<String>) {
    let Some(client) = &known.view.client else {
        return (Vec::new(), vec![format!("the cluster {} cannot be asked", known.view.name)]);
    };
    let wanted = |one: &&Storage| {
        one.holds_backups()
            && storage.is_none_or(|storage| storage.is_empty() || one.name.eq_ignore_ascii_case(storage))
    };
    let storages: Vec<&Storage> = known.snapshot.storages.iter().filter(wanted).collect();
    let mut problems = Vec::new();
    if storages.is_empty() {
        problems.push(match storage.filter(|storage| !storage.is_empty()) {
            Some(storage) => format!("no storage {storage:?} of the cluster {} holds backups", known.view.name),
            None => format!("no storage of the cluster {} that the token can see holds backups", known.view.name),
        });
    }
    if storages.len() > STORAGES {
        problems.push(format!("only {STORAGES} of {} storages were asked: name one", storages.len()));
    }
    let asked = storages.into_iter().take(STORAGES).map(|storage| async move {
        let usable = |node: &Arc<str>| known.snapshot.node(node).is_none_or(|node| node.state == NodeState::Online);
        let node = storage.nodes.iter().find(|seen| seen.state == StorageState::Available && usable(&seen.node));
        let Some(node) = node.map(|seen| &seen.node) else {
            return Err(format!("storage {} cannot be used now", storage.label()));
        };
        let only = vmid.map(|vmid| format!("&vmid={vmid}")).unwrap_or_default();
        let path = format!("/nodes/{}/storage/{}/content?content=backup{only}", segment(node), segment(&storage.name));
        let volumes = client
            .slow(&path, decode::volumes)
            .await
            .map_err(|error| format!("storage {}: {error}", storage.label()))?;
        let of_guest = |volume: &Volume| volume.is_backup() && vmid.is_none_or(|vmid| volume.vmid == Some(vmid));
        let backup = |volume| Backup { storage: Arc::clone(&storage.name), node: storage.node().cloned(), volume };
        Ok(volumes.into_iter().filter(of_guest).map(backup).collect::<Vec<_>>())
    });
    let mut backups = Vec::new();
    for answer in join_all(asked).await {
        match answer {
            Ok(found) => backups.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    (backups, problems)
}

fn row(known: &Known, backup: &Backup) -> Value {
    let volume = &backup.volume;
    let guest = volume
        .vmid
        .map(|vmid| json!({"vmid": vmid, "name": known.snapshot.guest(vmid).and_then(|guest| guest.name.clone())}));
    json!({
        "volid": volume.volid,
        "guest": guest,
        "storage": backup.storage,
        "node": backup.node,
        "cluster": known.shown,
        "created": volume.created_s.map(|created| moment(created, &known.snapshot, known.now)),
        "size": volume.size_bytes.map(size),
        "protected": volume.is_protected.then_some(true),
        "verification": volume.verification,
        "notes": volume.notes.as_deref().map(short),
    })
}

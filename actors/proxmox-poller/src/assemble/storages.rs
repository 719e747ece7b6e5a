//! Storages: the rows of a shared one are one storage; figures of one that cannot be seen are kept.

use crate::decode::ResourceRow;
use crate::model::{Node, NodeState, Storage, StorageState, StorageUse};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(super) fn assemble(rows: Vec<ResourceRow>, nodes: &[Node], before: &[Storage], now: Timestamp) -> Vec<Storage> {
    let is_online: HashMap<&str, bool> =
        nodes.iter().map(|node| (&*node.name, node.state != NodeState::Offline)).collect();
    let mut storages: BTreeMap<(Arc<str>, Option<Arc<str>>), Storage> = BTreeMap::new();
    for row in rows {
        let (Some(name), Some(node)) = (row.storage, row.node) else { continue };
        let is_available = row.status.as_deref() == Some("available") && is_online.get(&*node).copied().unwrap_or(true);
        let state = if is_available { StorageState::Available } else { StorageState::Unknown };
        let key = (Arc::clone(&name), Some(Arc::clone(&node)).filter(|_| !row.is_shared));
        let storage = storages.entry(key).or_insert_with(|| Storage {
            name,
            is_shared: row.is_shared,
            nodes: Vec::new(),
            state: StorageState::Unknown,
            kind: None,
            content: None,
            used_bytes: None,
            total_bytes: None,
            figures_at: None,
        });
        storage.nodes.push(StorageUse { node, state });
        storage.kind = row.storage_kind.or_else(|| storage.kind.take());
        storage.content = row.content.or_else(|| storage.content.take());
        if is_available {
            storage.state = StorageState::Available;
            if row.disk_total_bytes.is_some() {
                (storage.used_bytes, storage.total_bytes) = (row.disk_bytes, row.disk_total_bytes);
                storage.figures_at = Some(now);
            }
        }
    }
    let known: HashMap<String, &Storage> = before.iter().map(|old| (old.label(), old)).collect();
    let mut storages: Vec<Storage> = storages.into_values().collect();
    for storage in &mut storages {
        storage.nodes.sort_by(|a, b| a.node.cmp(&b.node));
        let Some(old) = known.get(&storage.label()).filter(|_| storage.figures_at.is_none()) else { continue };
        (storage.used_bytes, storage.total_bytes) = (old.used_bytes, old.total_bytes);
        storage.figures_at = old.figures_at;
        storage.kind = storage.kind.take().or_else(|| old.kind.clone());
        storage.content = storage.content.take().or_else(|| old.content.clone());
    }
    storages.sort_by_key(Storage::label);
    storages
}

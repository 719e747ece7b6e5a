//! `/nodes/{n}/disks/zfs/{pool}`: one pool with its disks.

use super::scalar::{Text, Whole};
use super::shape::{self, DecodeError, List};
use serde::Deserialize;
use std::sync::Arc;

/// The deepest tree that is read: pool, mirror, disk, and room for more.
const DEEPEST: usize = 12;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Branch {
    name: Text,
    state: Text,
    status: Text,
    action: Text,
    scan: Text,
    errors: Text,
    read: Whole,
    write: Whole,
    cksum: Whole,
    children: List<Branch>,
}

/// A disk of a pool that made errors or is not online.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZfsMember {
    /// Its name.
    pub name: Arc<str>,
    /// `ONLINE`, `FAULTED`, …
    pub state: Arc<str>,
    /// Errors of reading, writing and checksums together.
    pub errors: u64,
}

/// A pool in detail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZfsState {
    /// What it complains about.
    pub status: Option<Arc<str>>,
    /// What it asks for.
    pub action: Option<Arc<str>>,
    /// The scrub or resilver, as it says.
    pub scan: Option<Arc<str>>,
    /// Its sentence on lost data.
    pub errors: Option<Arc<str>>,
    /// Its disks that are not well.
    pub ill: Vec<ZfsMember>,
}

/// Reads `/nodes/{n}/disks/zfs/{pool}`.
///
/// # Errors
/// The answer is not JSON.
pub fn zfs_state(body: &[u8]) -> Result<ZfsState, DecodeError> {
    let pool = shape::object::<Branch>(body)?;
    let mut ill = Vec::new();
    for child in pool.children.0 {
        gather(child, 0, &mut ill);
    }
    Ok(ZfsState {
        status: pool.status.filled(),
        action: pool.action.filled(),
        scan: pool.scan.filled(),
        errors: pool.errors.filled(),
        ill,
    })
}

fn gather(branch: Branch, depth: usize, ill: &mut Vec<ZfsMember>) {
    let count = |errors: &Whole| errors.get().unwrap_or(0);
    let errors = count(&branch.read).saturating_add(count(&branch.write)).saturating_add(count(&branch.cksum));
    let is_leaf = branch.children.0.is_empty();
    let state = branch.state.as_str();
    // Spare disks are available or in use; both are well.
    let is_well = matches!(state, "" | "ONLINE" | "AVAIL" | "INUSE");
    if is_leaf && (errors > 0 || !is_well) {
        if let Some(name) = branch.name.filled() {
            ill.push(ZfsMember { name, state: branch.state.filled().unwrap_or_default(), errors });
        }
    } else if depth < DEEPEST {
        for child in branch.children.0 {
            gather(child, depth + 1, ill);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ill_is_kept() {
        let body = br#"{"data":{"name":"rpool","status":"one device is bad","children":[{"name":"mirror-0","state":"DEGRADED","children":[
            {"name":"/dev/sda","state":"ONLINE","read":0,"cksum":"3"},{"name":"/dev/sdb","state":"UNAVAIL"},{"name":"/dev/sdc","state":"ONLINE","write":0}]}]}}"#;
        let state = zfs_state(body).unwrap();
        let ill: Vec<(&str, u64)> = state.ill.iter().map(|one| (&*one.name, one.errors)).collect();
        assert_eq!(ill, [("/dev/sda", 3), ("/dev/sdb", 0)]);
        assert_eq!(zfs_state(br#"{"data":[]}"#).unwrap(), ZfsState::default());
    }
}

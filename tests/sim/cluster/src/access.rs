//! What the token may see: privileges by path, as `/access/permissions` tells them. It grants nothing that was not given.

use std::collections::{BTreeMap, BTreeSet};

/// What the role PVEAuditor holds on Proxmox VE 9.
const AUDITOR: [&str; 7] =
    ["Datastore.Audit", "Mapping.Audit", "Pool.Audit", "SDN.Audit", "Sys.Audit", "VM.Audit", "VM.GuestAgent.Audit"];

/// Privileges by path. As on a real cluster they hold for everything below, and a deeper path replaces what a higher one gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    grants: BTreeMap<String, BTreeSet<String>>,
}

impl Access {
    /// The role PVEAuditor on `/`.
    pub fn auditor() -> Self {
        Self::none().grant("/", &AUDITOR)
    }

    /// An auditor that may also do everything to guests that the simulation lets a request do.
    pub fn operator() -> Self {
        let actions = ["VM.PowerMgmt", "VM.Migrate", "VM.Snapshot", "VM.Backup", "Datastore.AllocateSpace"];
        Self::auditor().with("/", &actions)
    }

    /// A token with privilege separation and no permissions of its own: the usual mistake.
    pub fn none() -> Self {
        Self::default()
    }

    /// Gives these privileges on a path, in place of what was given there.
    pub fn grant(mut self, path: &str, privileges: &[&str]) -> Self {
        self.grants.insert(path.to_owned(), privileges.iter().map(|one| (*one).to_owned()).collect());
        self
    }

    /// Adds these privileges to what is given on a path.
    pub fn with(mut self, path: &str, privileges: &[&str]) -> Self {
        self.grants.entry(path.to_owned()).or_default().extend(privileges.iter().map(|one| (*one).to_owned()));
        self
    }

    /// Takes a privilege away everywhere.
    pub fn without(mut self, privilege: &str) -> Self {
        self.grants.values_mut().for_each(|held| held.retain(|one| one != privilege));
        self
    }

    /// Whether `privilege` is held on `path`.
    pub fn holds(&self, path: &str, privilege: &str) -> bool {
        let covers = |granted: &str| {
            granted == "/" || path == granted || path.strip_prefix(granted).is_some_and(|rest| rest.starts_with('/'))
        };
        let deepest =
            self.grants.iter().filter(|(granted, _)| covers(granted)).max_by_key(|(granted, _)| granted.len());
        deepest.is_some_and(|(_, held)| held.contains(privilege))
    }

    /// The paths with something granted, each with its privileges.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&String, &BTreeSet<String>)> {
        self.grants.iter().filter(|(_, held)| !held.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deeper_path_replaces_a_higher_one() {
        let access = Access::auditor().grant("/vms/101", &[]).grant("/nodes/pve1", &["Sys.Modify"]);
        assert!(access.holds("/", "Sys.Audit"));
        assert!(access.holds("/vms/102", "VM.Audit"));
        assert!(!access.holds("/vms/101", "VM.Audit"));
        assert!(access.holds("/vms/1011", "VM.Audit"), "101 is no folder of 1011");
        assert!(access.holds("/nodes/pve1", "Sys.Modify") && !access.holds("/nodes/pve1", "Sys.Audit"));
        assert!(!Access::none().holds("/", "Sys.Audit"));
        let more = access.clone().with("/vms/101", &["VM.PowerMgmt"]).with("/vms/101", &["VM.Audit"]);
        assert!(more.holds("/vms/101", "VM.PowerMgmt") && more.holds("/vms/101", "VM.Audit"));
        assert!(Access::operator().holds("/vms/101", "VM.Migrate") && Access::operator().holds("/", "Sys.Audit"));
        assert!(!access.without("Sys.Audit").holds("/", "Sys.Audit"));
    }
}

//! The privileges that HAIA's reading needs, what each is for, and the command that grants them.

/// A privilege of Proxmox VE that HAIA uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Privilege {
    /// Its name.
    pub name: &'static str,
    /// What cannot be seen without it.
    pub lost_without: &'static str,
}

/// Every privilege that HAIA's reading needs, on `/`. The role PVEAuditor holds them all.
pub const PRIVILEGES: &[Privilege] = &[
    Privilege {
        name: "Sys.Audit",
        lost_without: "quorum, the figures of nodes, the tasks of other users (who stopped a guest), HA, Ceph, disks and backup jobs",
    },
    Privilege { name: "VM.Audit", lost_without: "guests, their snapshots and replication" },
    Privilege { name: "Datastore.Audit", lost_without: "storages, how full they are, and the backups in them" },
];

/// A privilege that the token lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MissingPrivilege(pub Privilege);

impl MissingPrivilege {
    /// The missing privilege of that name, where HAIA uses it.
    pub fn named(name: &str) -> Option<Self> {
        PRIVILEGES.iter().find(|privilege| privilege.name == name).map(|privilege| Self(*privilege))
    }
}

/// The commands that let a token read everything, to be run on a node. With privilege separation a token can do what both it and its
/// user may do, so both are granted the role.
pub fn grant_command(token_id: &str) -> String {
    let user = token_id.split('!').next().unwrap_or(token_id);
    format!(
        "pveum acl modify / --users '{user}' --roles PVEAuditor && pveum acl modify / --tokens '{token_id}' --roles PVEAuditor"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_user_and_token() {
        let command = grant_command("haia@pve!monitor");
        assert!(
            command.contains("--users 'haia@pve' ") && command.contains("--tokens 'haia@pve!monitor' "),
            "{command}"
        );
        assert_eq!(MissingPrivilege::named("VM.Audit").map(|missing| missing.0.name), Some("VM.Audit"));
        assert_eq!(MissingPrivilege::named("VM.Clone"), None);
    }
}

//! The privileges that each class of action needs, and the command that grants them.

use contract::approvals::ActionClass;

/// What a privilege is needed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeededOn {
    /// `/vms/<vmid>`, or the guest's pool.
    Guest,
    /// `/storage/<name>`.
    Storage,
}

/// A privilege that a class of action needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionPrivilege {
    /// The class.
    pub class: ActionClass,
    /// The privilege's name.
    pub name: &'static str,
    /// On what.
    pub on: NeededOn,
}

const fn on_guest(class: ActionClass, name: &'static str) -> ActionPrivilege {
    ActionPrivilege { class, name, on: NeededOn::Guest }
}

/// Everything that actions need beyond reading. Source: the permission checks in the published API schema.
pub const ACTION_PRIVILEGES: &[ActionPrivilege] = &[
    on_guest(ActionClass::Start, "VM.PowerMgmt"),
    on_guest(ActionClass::Shutdown, "VM.PowerMgmt"),
    on_guest(ActionClass::Stop, "VM.PowerMgmt"),
    on_guest(ActionClass::Reboot, "VM.PowerMgmt"),
    on_guest(ActionClass::Suspend, "VM.PowerMgmt"),
    on_guest(ActionClass::Resume, "VM.PowerMgmt"),
    on_guest(ActionClass::Migrate, "VM.Migrate"),
    on_guest(ActionClass::Snapshot, "VM.Snapshot"),
    on_guest(ActionClass::Backup, "VM.Backup"),
    ActionPrivilege { class: ActionClass::Backup, name: "Datastore.AllocateSpace", on: NeededOn::Storage },
];

/// The privileges that a class needs.
pub fn needed(class: ActionClass) -> impl Iterator<Item = &'static ActionPrivilege> {
    ACTION_PRIVILEGES.iter().filter(move |one| one.class == class)
}

/// The role that the command makes.
const ROLE: &str = "HAIAActions";

/// The commands that let a token run actions that need `privileges` on all guests, to be run on a node. A role on a deeper path replaces what a
/// higher one gives, so it is granted where the reading role is, beside it.
pub fn action_grant_command<'a>(token_id: &str, privileges: impl IntoIterator<Item = &'a str>) -> String {
    let user = token_id.split('!').next().unwrap_or(token_id);
    let names = privileges.into_iter().collect::<Vec<_>>().join(" ");
    format!(
        "pveum role add {ROLE}; pveum role modify {ROLE} --append 1 --privs '{names}' && pveum acl modify / --users '{user}' --roles {ROLE} && pveum acl modify / --tokens '{token_id}' --roles {ROLE}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_of_a_guest_has_its_privileges() {
        for class in ActionClass::ALL {
            let is_of_guests = !crate::model::task_kinds(class).is_empty();
            assert_eq!(needed(class).next().is_some(), is_of_guests, "{class:?}");
        }
    }

    #[test]
    fn the_command_names_role_user_and_token() {
        let command = action_grant_command("haia@pve!monitor", ["VM.PowerMgmt", "VM.Backup"]);
        for part in
            ["--privs 'VM.PowerMgmt VM.Backup'", "--users 'haia@pve' ", "--tokens 'haia@pve!monitor' ", "--append 1"]
        {
            assert!(command.contains(part), "{part}: {command}");
        }
    }
}

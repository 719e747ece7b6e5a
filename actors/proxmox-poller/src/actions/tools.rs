//! The tools that change something, as models are told of them. Calling one does nothing: it only leads to a plan.

use contract::approvals::ActionClass;
use contract::tools::{Risk, Tool};
use serde_json::value::RawValue;
use std::sync::Arc;

/// A tool that changes something.
pub struct ActionTool {
    /// Its name.
    pub name: &'static str,
    /// What kind of action it is.
    pub class: ActionClass,
    /// What it can do at the least; a plan may say more.
    pub risk: Risk,
    /// The words a person sees while it is planned.
    pub title: &'static str,
    /// What it does and when to use it.
    pub description: &'static str,
    /// The members of its arguments beside `guest`, `cluster` and `reason`, as JSON.
    members: &'static str,
}

/// What every one of them takes.
const COMMON: &str = r#""guest":{"type":"string","description":"The guest's name or VMID."},"cluster":{"type":["string","null"],"description":"Its cluster, if several have such a guest."},"reason":{"type":"string","description":"Why, in a sentence, for the person who decides."}"#;
/// What the description of every one of them ends with.
const ENDING: &str = " It is only proposed: nothing happens until a person approves it.";

const WAIT: &str = r#""timeout_s":{"type":["integer","null"],"description":"Seconds that the guest is given to shut down: 180 by default, 10 to 3600."}"#;
const SHUTDOWN: &str = r#""timeout_s":{"type":["integer","null"],"description":"Seconds that the guest is given to shut down: 180 by default, 10 to 3600."},"force_stop":{"type":["boolean","null"],"description":"Whether to switch it off when it has not shut down by then: false by default."}"#;
const MIGRATE: &str = r#""target":{"type":"string","description":"The node to move it to."},"with_local_disks":{"type":["boolean","null"],"description":"Whether disks that are not on shared storage may be copied, which can take long: false by default."}"#;
const SNAPSHOT: &str = r#""name":{"type":"string","description":"The snapshot's name: a letter, then letters, digits, - and _; 2 to 40 characters."},"description":{"type":["string","null"],"description":"What it is for."},"with_memory":{"type":["boolean","null"],"description":"Whether to keep the memory of a running virtual machine too: false by default."}"#;
const BACKUP: &str = r#""storage":{"type":["string","null"],"description":"The storage for the backup; null where only one can be meant."},"mode":{"type":["string","null"],"enum":["snapshot","suspend","stop",null],"description":"snapshot (default): it goes on running; suspend; stop: it is shut down meanwhile."}"#;

/// Every tool that changes something, sorted by name.
pub const ACTION_TOOLS: &[ActionTool] = &[
    ActionTool {
        name: "backup_guest",
        class: ActionClass::Backup,
        risk: Risk::Write,
        title: "Planning a backup",
        description: "Backs a virtual machine or container up to a storage now. No older backup is removed.",
        members: BACKUP,
    },
    ActionTool {
        name: "migrate_guest",
        class: ActionClass::Migrate,
        risk: Risk::Write,
        title: "Planning a migration",
        description: "Moves a virtual machine or container to another node: a running VM goes on running, a running container is restarted there.",
        members: MIGRATE,
    },
    ActionTool {
        name: "reboot_guest",
        class: ActionClass::Reboot,
        risk: Risk::Write,
        title: "Planning a reboot",
        description: "Asks a running virtual machine or container to shut down and starts it again.",
        members: WAIT,
    },
    ActionTool {
        name: "resume_guest",
        class: ActionClass::Resume,
        risk: Risk::Write,
        title: "Planning to resume a guest",
        description: "Lets a suspended virtual machine or container go on.",
        members: "",
    },
    ActionTool {
        name: "shutdown_guest",
        class: ActionClass::Shutdown,
        risk: Risk::Write,
        title: "Planning a shutdown",
        description: "Asks a running virtual machine or container to shut down in order. Prefer it to stop_guest.",
        members: SHUTDOWN,
    },
    ActionTool {
        name: "snapshot_guest",
        class: ActionClass::Snapshot,
        risk: Risk::Write,
        title: "Planning a snapshot",
        description: "Takes a snapshot of a virtual machine or container, to go back to later.",
        members: SNAPSHOT,
    },
    ActionTool {
        name: "start_guest",
        class: ActionClass::Start,
        risk: Risk::Write,
        title: "Planning to start a guest",
        description: "Starts a stopped virtual machine or container.",
        members: "",
    },
    ActionTool {
        name: "stop_guest",
        class: ActionClass::Stop,
        risk: Risk::Destructive,
        title: "Planning to switch a guest off",
        description: "Switches a virtual machine or container off at once, as if its plug was pulled: unsaved data may be lost. Only for guests that do not react to shutdown_guest.",
        members: "",
    },
    ActionTool {
        name: "suspend_guest",
        class: ActionClass::Suspend,
        risk: Risk::Write,
        title: "Planning to suspend a guest",
        description: "Pauses a running virtual machine; it keeps its memory and does nothing until resumed.",
        members: "",
    },
];

/// The tool of that name.
pub(crate) fn find(name: &str) -> Option<&'static ActionTool> {
    ACTION_TOOLS.iter().find(|tool| tool.name == name)
}

impl ActionTool {
    /// JSON schema of its arguments: every member required, optional ones nullable, nothing beside them.
    pub fn parameters(&self) -> String {
        let separator = if self.members.is_empty() { "" } else { "," };
        let properties = format!("{{{COMMON}{separator}{}}}", self.members);
        let names: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&properties).unwrap_or_default();
        let names: Vec<String> = names.keys().map(|name| format!("{name:?}")).collect();
        format!(
            r#"{{"type":"object","properties":{properties},"required":[{}],"additionalProperties":false}}"#,
            names.join(",")
        )
    }

    /// The tool as the catalogue holds it.
    pub fn offer(&self) -> Tool {
        // Made of constants that a test reads.
        let parameters = RawValue::from_string(self.parameters()).unwrap_or_else(|_| RawValue::NULL.to_owned());
        Tool {
            name: self.name.into(),
            description: format!("{}{ENDING}", self.description).into(),
            parameters: Arc::from(parameters),
            risk: self.risk,
            title: self.title.into(),
        }
    }

    /// Whether it takes an argument of that name.
    pub(crate) fn takes(&self, name: &str) -> bool {
        matches!(name, "guest" | "cluster" | "reason") || self.members.contains(&format!("\"{name}\":{{"))
    }
}

//! What a call asks for, read strictly, and the same as canonical JSON. Pure.

use super::tools::ActionTool;
use crate::decode::Text;
use contract::approvals::ActionClass;
use contract::tools::Risk;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Seconds that a guest is given to shut down.
const WAIT_S: u64 = 180;
const SHORTEST_WAIT_S: u64 = 10;
const LONGEST_WAIT_S: u64 = 3600;
/// The longest description of a snapshot, in characters.
const DESCRIPTION: usize = 200;

/// What is to be done to a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Start,
    Shutdown {
        wait_s: u64,
        is_forced: bool,
    },
    Stop,
    Reboot {
        wait_s: u64,
    },
    Suspend,
    Resume,
    Migrate {
        target: String,
        copies_disks: bool,
    },
    Snapshot {
        name: String,
        description: String,
        with_memory: bool,
    },
    /// `storage` is empty until it is chosen.
    Backup {
        storage: String,
        mode: Mode,
    },
}

/// How a backup treats a guest that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    #[default]
    Snapshot,
    Suspend,
    Stop,
}

impl Mode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Mode::Snapshot => "snapshot",
            Mode::Suspend => "suspend",
            Mode::Stop => "stop",
        }
    }
}

/// A call, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) tool: &'static ActionTool,
    pub(crate) guest: String,
    pub(crate) cluster: Option<String>,
    pub(crate) reason: String,
    pub(crate) deed: Deed,
}

impl PartialEq for ActionTool {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ActionTool {}

impl std::fmt::Debug for ActionTool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    guest: Text,
    cluster: Option<String>,
    reason: Option<String>,
    timeout_s: Option<u64>,
    force_stop: Option<bool>,
    target: Option<String>,
    with_local_disks: Option<bool>,
    name: Option<String>,
    description: Option<String>,
    with_memory: Option<bool>,
    storage: Option<String>,
    mode: Option<Mode>,
}

impl Wish {
    /// Reads the arguments of a tool.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn read(tool: &'static ActionTool, text: &str) -> Result<Self, String> {
        let members: BTreeMap<String, Value> = crate::tools::words::arguments(text)?;
        if let Some(name) = members.keys().find(|name| !tool.takes(name)) {
            return Err(format!("the arguments are wrong: {} takes no {name:?}", tool.name));
        }
        let wire: Wire = crate::tools::words::arguments(text)?;
        let filled = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let guest = wire.guest.as_str().trim().to_owned();
        if guest.is_empty() {
            return Err("which guest? Give its name or its VMID".to_owned());
        }
        let wait_s = wire.timeout_s.unwrap_or(WAIT_S);
        if !(SHORTEST_WAIT_S..=LONGEST_WAIT_S).contains(&wait_s) {
            return Err(format!("timeout_s is {wait_s}: give {SHORTEST_WAIT_S} to {LONGEST_WAIT_S} seconds"));
        }
        let deed = match tool.class {
            ActionClass::Start => Deed::Start,
            ActionClass::Shutdown => Deed::Shutdown { wait_s, is_forced: wire.force_stop.unwrap_or(false) },
            ActionClass::Stop => Deed::Stop,
            ActionClass::Reboot => Deed::Reboot { wait_s },
            ActionClass::Suspend => Deed::Suspend,
            ActionClass::Resume => Deed::Resume,
            ActionClass::Migrate => Deed::Migrate {
                target: filled(wire.target).ok_or("to which node? Give target")?,
                copies_disks: wire.with_local_disks.unwrap_or(false),
            },
            ActionClass::Snapshot => {
                let description = filled(wire.description).unwrap_or_default();
                Deed::Snapshot {
                    name: snapshot_name(&filled(wire.name).ok_or("which name shall the snapshot have? Give name")?)?,
                    description: description
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" ")
                        .chars()
                        .take(DESCRIPTION)
                        .collect(),
                    with_memory: wire.with_memory.unwrap_or(false),
                }
            }
            ActionClass::Backup => {
                Deed::Backup { storage: filled(wire.storage).unwrap_or_default(), mode: wire.mode.unwrap_or_default() }
            }
            ActionClass::AlertmanagerSilence | ActionClass::Tool => {
                return Err("this is no action on a guest".to_owned());
            }
        };
        Ok(Self { tool, guest, cluster: filled(wire.cluster), reason: filled(wire.reason).unwrap_or_default(), deed })
    }

    pub(crate) fn class(&self) -> ActionClass {
        self.tool.class
    }

    /// What it can do, its options considered.
    pub(crate) fn risk(&self) -> Risk {
        match self.deed {
            Deed::Shutdown { is_forced: true, .. } => Risk::Destructive,
            _ => self.tool.risk,
        }
    }

    /// Exactly what is run: the guest by its number, every option with its value, no reason.
    pub(crate) fn canonical(&self, cluster: &str, vmid: u32) -> String {
        let mut members: BTreeMap<&str, Value> =
            [("cluster", json!(cluster)), ("guest", json!(vmid.to_string()))].into();
        match &self.deed {
            Deed::Start | Deed::Stop | Deed::Suspend | Deed::Resume => {}
            Deed::Shutdown { wait_s, is_forced } => {
                members.extend([("timeout_s", json!(wait_s)), ("force_stop", json!(is_forced))]);
            }
            Deed::Reboot { wait_s } => members.extend([("timeout_s", json!(wait_s))]),
            Deed::Migrate { target, copies_disks } => {
                members.extend([("target", json!(target)), ("with_local_disks", json!(copies_disks))]);
            }
            Deed::Snapshot { name, description, with_memory } => members.extend([
                ("name", json!(name)),
                ("description", json!(description)),
                ("with_memory", json!(with_memory)),
            ]),
            Deed::Backup { storage, mode } => {
                members.extend([("storage", json!(storage)), ("mode", json!(mode.as_str()))]);
            }
        }
        serde_json::to_string(&members).unwrap_or_default()
    }

    /// Seconds that the guest itself is given.
    pub(crate) fn wait_s(&self) -> u64 {
        match self.deed {
            Deed::Shutdown { wait_s, .. } | Deed::Reboot { wait_s } => wait_s,
            _ => 0,
        }
    }

    /// The storage that it writes to.
    pub(crate) fn storage(&self) -> Option<Arc<str>> {
        match &self.deed {
            Deed::Backup { storage, .. } if !storage.is_empty() => Some(storage.as_str().into()),
            _ => None,
        }
    }
}

/// Checks a snapshot's name by Proxmox's rules.
fn snapshot_name(name: &str) -> Result<String, String> {
    let is_legal = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && (2..=40).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && !matches!(name, "current" | "pending");
    match is_legal {
        true => Ok(name.to_owned()),
        false => Err(format!(
            "{name:?} cannot be a snapshot's name: write a letter, then letters, digits, - and _, 2 to 40 in all, and neither \"current\" nor \"pending\""
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tools::{ACTION_TOOLS, find};
    use super::*;

    fn read(tool: &str, text: &str) -> Result<Wish, String> {
        Wish::read(find(tool).unwrap(), text)
    }

    #[test]
    fn schemas_are_strict_and_name_what_is_read() {
        let names: Vec<&str> = ACTION_TOOLS.iter().map(|tool| tool.name).collect();
        assert!(names.is_sorted() && names.len() == 9, "{names:?}");
        for tool in ACTION_TOOLS {
            let schema: Value = serde_json::from_str(&tool.parameters()).expect(tool.name);
            assert_eq!(schema["additionalProperties"], Value::Bool(false), "{}", tool.name);
            let mut properties: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
            let mut required: Vec<&str> =
                schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            properties.sort();
            required.sort_unstable();
            assert_eq!(properties, required, "{}", tool.name);
            assert!(required.iter().all(|name| tool.takes(name)) && !tool.takes("node"), "{}", tool.name);
            assert_ne!(tool.offer().risk, Risk::Read, "{}", tool.name);
            // What it offers can be sent back as it stands.
            let wish = match tool.class {
                ActionClass::Migrate => read(tool.name, r#"{"guest":"a","target":"pve2"}"#),
                ActionClass::Snapshot => read(tool.name, r#"{"guest":"a","name":"before"}"#),
                _ => read(tool.name, r#"{"guest":"a"}"#),
            };
            let wish = wish.unwrap();
            let canonical = wish.canonical("lab", 101);
            let again = Wish::read(tool, &canonical).unwrap();
            assert_eq!((again.canonical("lab", 101), &again.deed), (canonical.clone(), &wish.deed), "{}", tool.name);
            let members: BTreeMap<String, Value> = serde_json::from_str(&canonical).unwrap();
            assert_eq!(members.len() + 1, required.len(), "{canonical}: every member but the reason");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (tool, text, said) in [
            ("start_guest", "{}", "which guest"),
            ("start_guest", "[]", "arguments are wrong"),
            ("start_guest", r#"{"guest":"a","node":"pve1"}"#, "takes no \"node\""),
            ("start_guest", r#"{"guest":"a","force_stop":true}"#, "takes no \"force_stop\""),
            ("shutdown_guest", r#"{"guest":"a","timeout_s":5}"#, "10 to 3600"),
            ("shutdown_guest", r#"{"guest":"a","timeout_s":-5}"#, "arguments are wrong"),
            ("migrate_guest", r#"{"guest":"a"}"#, "to which node"),
            ("snapshot_guest", r#"{"guest":"a","name":null}"#, "which name"),
            ("snapshot_guest", r#"{"guest":"a","name":"9 lives"}"#, "cannot be a snapshot's name"),
            ("snapshot_guest", r#"{"guest":"a","name":"current"}"#, "cannot be a snapshot's name"),
            ("backup_guest", r#"{"guest":"a","mode":"fast"}"#, "arguments are wrong"),
        ] {
            let error = read(tool, text).unwrap_err();
            assert!(error.contains(said), "{tool} {text}: {error}");
        }
    }

    #[test]
    fn the_canonical_form_is_sorted_and_has_no_reason() {
        let wish =
            read("shutdown_guest", r#"{"reason":"x","guest":101,"cluster":"lab","force_stop":true,"timeout_s":null}"#)
                .unwrap();
        assert_eq!(wish.canonical("lab", 101), r#"{"cluster":"lab","force_stop":true,"guest":"101","timeout_s":180}"#);
        assert_eq!((wish.reason.as_str(), wish.risk()), ("x", Risk::Destructive));
        assert_eq!(read("shutdown_guest", r#"{"guest":"a"}"#).unwrap().risk(), Risk::Write);
    }
}

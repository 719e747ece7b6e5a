//! An action that HAIA ran after a person approved it, as rules and verdicts know of it: what HAIA did itself is no alert.

use super::Task;
use contract::approvals::ActionClass;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Clocks of a cluster's members may differ by so much, in seconds.
const CLOCKS_S: i64 = 60;
/// As whom the HA manager works.
const HA_USER: &str = "root@pam";

/// An action that HAIA ran, or runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OwnAction {
    /// The proposal's number.
    pub proposal: u64,
    /// What kind of action.
    pub class: ActionClass,
    /// The guest.
    pub vmid: u32,
    /// Who approved it.
    pub approved_by: Arc<str>,
    /// The token that did it, as tasks name it.
    pub user: Arc<str>,
    /// When it began, seconds since 1970 by the server's clock.
    pub began_s: i64,
    /// When HAIA saw its end; `None` while it runs.
    pub ended_s: Option<i64>,
    /// The task, once known.
    pub upid: Option<Arc<str>>,
}

impl OwnAction {
    /// Whether a task is this action, or what the HA manager did because of it.
    pub fn did(&self, task: &Task) -> bool {
        if self.upid.as_ref() == Some(&task.upid) {
            return true;
        }
        let is_in_time = task.started_s >= self.began_s.saturating_sub(CLOCKS_S)
            && self.ended_s.is_none_or(|ended_s| task.started_s <= ended_s.saturating_add(CLOCKS_S));
        if task.vmid() != Some(self.vmid) || !is_in_time || !task_kinds(self.class).contains(&&*task.kind) {
            return false;
        }
        let known =
            self.upid.as_deref().map(|upid| super::Upid::parse(upid).is_some_and(|upid| upid.kind.starts_with("ha")));
        match known {
            None => task.user == self.user,
            Some(is_through_ha) => is_through_ha && &*task.user == HA_USER,
        }
    }
}

/// The types of the tasks that an action of this class leads to; none for classes that are not a guest's.
pub fn task_kinds(class: ActionClass) -> &'static [&'static str] {
    match class {
        ActionClass::Start => &["qmstart", "vzstart", "hastart"],
        ActionClass::Shutdown => &["qmshutdown", "vzshutdown", "hastop"],
        // The manager may end a guest in its own way.
        ActionClass::Stop => &["qmstop", "vzstop", "hastop", "qmshutdown", "vzshutdown"],
        ActionClass::Reboot => &["qmreboot", "vzreboot"],
        ActionClass::Suspend => &["qmpause", "qmsuspend", "vzsuspend"],
        ActionClass::Resume => &["qmresume", "vzresume"],
        ActionClass::Migrate => &["qmigrate", "vzmigrate", "hamigrate"],
        ActionClass::Snapshot => &["qmsnapshot", "vzsnapshot"],
        ActionClass::Backup => &["vzdump"],
        ActionClass::AlertmanagerSilence | ActionClass::Tool => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TaskState;

    fn task(kind: &str, user: &str, started_s: i64) -> Task {
        Task {
            upid: format!("UPID:pve1:1:1:{started_s:X}:{kind}:101:{user}:").into(),
            node: "pve1".into(),
            kind: kind.into(),
            id: "101".into(),
            user: user.into(),
            started_s,
            ended_s: None,
            state: TaskState::Running,
        }
    }

    #[test]
    fn only_its_own_tasks_are_an_actions() {
        let token = "haia@pve!monitor";
        let action = OwnAction {
            proposal: 7,
            class: ActionClass::Shutdown,
            vmid: 101,
            approved_by: "anna".into(),
            user: token.into(),
            began_s: 1000,
            ended_s: Some(1100),
            upid: None,
        };
        assert!(action.did(&task("qmshutdown", token, 1000)));
        for (kind, user, started_s) in [
            ("qmshutdown", "root@pam", 1000),
            ("qmstop", token, 1000),
            ("qmshutdown", token, 900),
            ("qmshutdown", token, 1200),
        ] {
            assert!(!action.did(&task(kind, user, started_s)), "{kind} {user} {started_s}");
        }
        let direct = OwnAction { upid: Some(task("qmshutdown", token, 1000).upid), ..action.clone() };
        assert!(direct.did(&task("qmshutdown", token, 1000)) && !direct.did(&task("qmshutdown", token, 1010)));
        assert!(!direct.did(&task("qmshutdown", "root@pam", 1010)), "somebody else's, at the same time");
        let through_ha = OwnAction { upid: Some(task("hastop", token, 1000).upid), ..action };
        assert!(through_ha.did(&task("qmshutdown", "root@pam", 1010)));
        assert!(!through_ha.did(&task("qmshutdown", "bob@pve", 1010)));
    }
}

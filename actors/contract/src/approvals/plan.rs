//! What would be done, exactly; and the messages by which a tool's owner plans it and does it.

use crate::alerts::{Fact, Labels};
use crate::failure::Failure;
use crate::message::Msg;
use crate::tools::{CallTool, Risk};
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use std::sync::Arc;

/// What kind of action it is: what the policy allows is said by class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionClass {
    /// Start a guest.
    Start,
    /// Ask a guest to shut down.
    Shutdown,
    /// Switch a guest off.
    Stop,
    /// Ask a guest to restart.
    Reboot,
    /// Suspend a guest.
    Suspend,
    /// Resume a suspended guest.
    Resume,
    /// Move a guest to another node.
    Migrate,
    /// Take a snapshot of a guest.
    Snapshot,
    /// Back a guest up.
    Backup,
    /// Silence alerts in Alertmanager.
    AlertmanagerSilence,
    /// Any other tool that changes something: those of MCP servers.
    Tool,
}

impl ActionClass {
    /// Every class.
    pub const ALL: [ActionClass; 11] = [
        ActionClass::Start,
        ActionClass::Shutdown,
        ActionClass::Stop,
        ActionClass::Reboot,
        ActionClass::Suspend,
        ActionClass::Resume,
        ActionClass::Migrate,
        ActionClass::Snapshot,
        ActionClass::Backup,
        ActionClass::AlertmanagerSilence,
        ActionClass::Tool,
    ];

    /// The class as the configuration writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ActionClass::Start => "start",
            ActionClass::Shutdown => "shutdown",
            ActionClass::Stop => "stop",
            ActionClass::Reboot => "reboot",
            ActionClass::Suspend => "suspend",
            ActionClass::Resume => "resume",
            ActionClass::Migrate => "migrate",
            ActionClass::Snapshot => "snapshot",
            ActionClass::Backup => "backup",
            ActionClass::AlertmanagerSilence => "alertmanager_silence",
            ActionClass::Tool => "tool",
        }
    }
}

/// What would be done, and what it rests on: the outcome of a dry run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionPlan {
    /// The tool.
    pub tool: Arc<str>,
    /// What kind of action it is.
    pub class: ActionClass,
    /// What it can do: [`Risk::Destructive`] may need a second approval.
    pub risk: Risk,
    /// The arguments as canonical JSON: every member, defaults filled in, sorted by name, no space. Exactly this is run; it holds what finds the
    /// thing again (cluster and VMID, never a node that may have changed), and no `reason`.
    pub arguments: String,
    /// What would be done, in one line for people, as an imperative (`Shut down web-01 (101) on pve1`).
    pub action: String,
    /// What it is about, for people (`web-01 (101)`).
    pub subject: String,
    /// For the policy's patterns, as in findings: `cluster`, `node`, `vmid`, `name`, `tag` (one each), `storage`; `tool` for other tools.
    pub labels: Labels,
    /// Options that matter to whoever decides (`timeout`: `60 s`, `then`: `stop`).
    pub options: Vec<Fact>,
    /// Why, in the proposer's words; empty where nothing was said.
    pub reason: String,
    /// What will probably happen, in one or two sentences.
    pub effect: String,
    /// What depends on it, as far as known.
    pub dependents: Vec<String>,
    /// What speaks against it without forbidding it.
    pub warnings: Vec<String>,
    /// Why it cannot be done now: a lock, a missing privilege, no room. Not empty: it is neither proposed nor run.
    pub blockers: Vec<String>,
    /// The state that it rests on, in kind (`status`: `running`, `node`: `pve1`, `lock`: `none`): no figures that change all the time.
    pub state: Vec<Fact>,
    /// SHA-256 of `state` in hex (or any other digest that changes exactly when `state` does).
    pub state_digest: String,
    /// What was looked at, for the record (`last task`, `age of the data`).
    pub evidence: Vec<Fact>,
    /// How long the work may take, in seconds of real time; afterwards its result counts as unknown.
    pub timeout_s: u64,
}

/// Asks the owner of a tool what a call would do, without doing it: it checks privileges, locks, high availability and free resources, and
/// says what stands in the way in [`ActionPlan::blockers`]. Answered within the call's timeout; asked again, with the plan's own arguments, when
/// a person has approved.
///
/// A failure says why there is no plan: wrong arguments, nothing of that name, actions are not allowed there.
#[derive(Clone, Debug)]
pub struct PlanAction {
    /// The call.
    pub call: CallTool,
}

impl Msg for PlanAction {
    type Reply = Result<ActionPlan, Failure>;
    const NAME: &'static str = "PlanAction";
}

/// Something that a person approved. It can be neither copied nor read from anywhere.
#[derive(Debug, PartialEq)]
pub struct Approved<T>(T);

impl<T> Approved<T> {
    /// For the approvals desk alone, once the approval and the beginning are stored. clippy.toml bans it everywhere else.
    pub fn by_the_desk(action: T) -> Self {
        Self(action)
    }

    /// What was approved.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Approved<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Does what was approved, once, and answers when the work has ended. The approval and the beginning are stored already.
///
/// A failure is an end too: nothing was done, or it went wrong, as its message says. Whoever cannot know answers [`ActionEnd::Unknown`].
#[derive(Debug)]
pub struct RunAction {
    /// What, with the plan as it was made after the approval.
    pub approved: Approved<ActionPlan>,
    /// The proposal's number: for [`ActionProgress`] and logs.
    pub proposal: u64,
    /// The request that proposed it, for logs.
    pub request_id: Arc<str>,
    /// Who approved it, for the other side's own records where it has any.
    pub approved_by: Arc<str>,
}

impl Msg for RunAction {
    type Reply = Result<ActionOutcome, Failure>;
    const NAME: &'static str = "RunAction";
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionEnd {
    /// It was done.
    Done,
    /// It failed.
    Failed,
    /// Nobody knows: its end could not be seen.
    Unknown,
}

/// What an action led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionOutcome {
    /// How it ended.
    pub end: ActionEnd,
    /// What happened, in one or two sentences for people, without a secret.
    pub text: String,
    /// What the other side calls it (a UPID).
    pub reference: Option<Arc<str>>,
}

/// Tells the approvals desk how an action is getting on: told, kept, and not answered. The first one should bring the reference as soon as
/// there is one, so that a restart can name it.
#[derive(Clone, Debug)]
pub struct ActionProgress {
    /// The proposal's number.
    pub proposal: u64,
    /// What happens now, in a few words.
    pub text: String,
    /// What the other side calls it (a UPID).
    pub reference: Option<Arc<str>>,
}

impl Msg for ActionProgress {
    type Reply = ();
    const NAME: &'static str = "ActionProgress";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_written_as_they_are_read() {
        for class in ActionClass::ALL {
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{}\"", class.as_str()));
        }
    }
}

//! A proposal in its life, and what people and programs ask the approvals desk.

use super::plan::ActionPlan;
use crate::caller::{Caller, Origin, Scope};
use crate::failure::Failure;
use crate::ids::RequestId;
use crate::message::Msg;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where a proposal is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProposalState {
    /// It waits for a person.
    Proposed,
    /// It was approved and is being looked at once more.
    Approved,
    /// A person said no.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// What it rested on has changed: it was not run.
    Stale,
    /// It is being done.
    Running,
    /// It was done.
    Done,
    /// It failed, or was not begun.
    Failed,
    /// It was approved, and nobody knows what became of it.
    Unknown,
}

impl ProposalState {
    /// Every state, in the order of life.
    pub const ALL: [ProposalState; 9] = [
        ProposalState::Proposed,
        ProposalState::Approved,
        ProposalState::Denied,
        ProposalState::Expired,
        ProposalState::Stale,
        ProposalState::Running,
        ProposalState::Done,
        ProposalState::Failed,
        ProposalState::Unknown,
    ];

    /// The state as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            ProposalState::Proposed => "proposed",
            ProposalState::Approved => "approved",
            ProposalState::Denied => "denied",
            ProposalState::Expired => "expired",
            ProposalState::Stale => "stale",
            ProposalState::Running => "running",
            ProposalState::Done => "done",
            ProposalState::Failed => "failed",
            ProposalState::Unknown => "unknown",
        }
    }

    /// Whether something may still become of it.
    pub fn is_open(self) -> bool {
        matches!(self, ProposalState::Proposed | ProposalState::Approved | ProposalState::Running)
    }
}

/// Through what a person decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalChannel {
    /// A button or command in a Telegram chat.
    Telegram,
    /// The command line.
    Cli,
    /// The HTTP API.
    Api,
    /// A line typed in a chat.
    Chat,
}

impl ApprovalChannel {
    /// The channel as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            ApprovalChannel::Telegram => "telegram",
            ApprovalChannel::Cli => "cli",
            ApprovalChannel::Api => "api",
            ApprovalChannel::Chat => "chat",
        }
    }
}

/// Who decides. Made by whoever checked the identity: the gateway its keys, the notifier its chat and users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    /// The key's name, `socket` for the command line, the user's name for Telegram.
    pub name: Arc<str>,
    /// Through what.
    pub channel: ApprovalChannel,
    /// What the caller's key allows; for Telegram what the channel gives its users.
    pub scope: Scope,
    /// Telegram's number of the user; `None` elsewhere.
    pub telegram_user: Option<i64>,
    /// Whether the channel's configuration names this Telegram user as one who may approve. Users that the policy names need it not.
    pub is_named_telegram_user: bool,
}

impl Approver {
    /// Somebody who came with a key, or over the socket.
    pub fn caller(caller: &Caller, channel: ApprovalChannel) -> Self {
        Self {
            name: Arc::clone(&caller.name),
            channel,
            scope: caller.scope,
            telegram_user: None,
            is_named_telegram_user: false,
        }
    }

    /// Who it is, over every channel: the same person has the same identity. Two approvals need two.
    pub fn identity(&self) -> Arc<str> {
        match (self.channel, self.telegram_user) {
            (ApprovalChannel::Telegram, Some(user)) => format!("telegram:{user}").into(),
            (ApprovalChannel::Telegram, None) => "telegram:?".into(),
            (ApprovalChannel::Cli, _) => "cli".into(),
            // A key of that name is not the command line, and a name is no number of Telegram's.
            (ApprovalChannel::Api | ApprovalChannel::Chat, _)
                if &*self.name == "cli" || self.name.starts_with("telegram:") =>
            {
                format!("key:{}", self.name).into()
            }
            (ApprovalChannel::Api | ApprovalChannel::Chat, _) => Arc::clone(&self.name),
        }
    }
}

/// One person's word on a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Yes or no.
    pub approve: bool,
    /// Who, for people.
    pub by: Arc<str>,
    /// Who, over every channel (`telegram:123`, `cli`, a key's name).
    pub identity: Arc<str>,
    /// Through what.
    pub channel: ApprovalChannel,
    /// When, in HAIA's time.
    pub at: Timestamp,
}

/// One step of an action that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressStep {
    /// When, in HAIA's time.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

/// A proposal as people, programs and the agent see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProposalView {
    /// Its number: what people write in commands.
    pub id: u64,
    /// Where it is in its life.
    pub state: ProposalState,
    /// What would be done.
    pub plan: ActionPlan,
    /// Who offers the tool.
    pub owner: Arc<str>,
    /// Whose turn proposed it.
    pub proposed_by: Arc<str>,
    /// What kind of thing caused that turn.
    pub origin: Origin,
    /// That turn's request.
    pub request_id: Arc<str>,
    /// When it was proposed.
    pub proposed: Timestamp,
    /// When it can no longer be approved.
    pub expires: Timestamp,
    /// How many people must approve.
    pub approvals_needed: u8,
    /// Who said what, in order.
    pub decisions: Vec<Decision>,
    /// When it began to run.
    pub began: Option<Timestamp>,
    /// When it ended, however.
    pub ended: Option<Timestamp>,
    /// How it got on; the newest steps of many.
    pub progress: Vec<ProgressStep>,
    /// What the other side calls the work (a UPID).
    pub reference: Option<Arc<str>>,
    /// What came of it, in one or two sentences.
    pub result: Option<String>,
}

impl ProposalView {
    /// Tells this proposal from another that has its number: a button of a time before the store was made anew must not decide about what is
    /// called so now.
    pub fn tag(&self) -> u32 {
        let parts = format!("{} {} {}", self.id, self.request_id, self.proposed);
        // FNV-1a: it keeps apart what chance would mix up, and guards nothing.
        parts.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }
}

/// Proposes an action. Answered once it is stored; a failure says why it may not be proposed.
#[derive(Clone, Debug)]
pub struct Propose {
    /// Who offers the tool: the desk asks the owner of that name.
    pub owner: Arc<str>,
    /// What would be done.
    pub plan: ActionPlan,
    /// Whose turn it is.
    pub caller: Caller,
    /// Its request.
    pub request_id: RequestId,
}

impl Msg for Propose {
    type Reply = Result<Proposed, Failure>;
    const NAME: &'static str = "Propose";
}

/// What was proposed.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposed {
    /// The proposal; the open one when the same was proposed before.
    pub view: ProposalView,
    /// What to tell the model: the number, that nothing was done, how a person decides.
    pub said: String,
}

/// A person decides. Answered once the decision is stored; the action then runs by itself.
#[derive(Clone, Debug)]
pub struct DecideProposal {
    /// The proposal's number. One that nobody knows is `NotFound`.
    pub id: u64,
    /// Which of that number: for what is pressed long after it was shown. A wrong one is `InvalidRequest`.
    pub tag: Option<u32>,
    /// Yes or no.
    pub approve: bool,
    /// Who. Somebody who may not is `Permission`.
    pub by: Approver,
    /// The request that brought it, for the record.
    pub request_id: RequestId,
}

impl Msg for DecideProposal {
    type Reply = Result<Decided, Failure>;
    const NAME: &'static str = "DecideProposal";
}

/// What a decision led to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decided {
    /// Whether this decision counted. `false`: it was decided before, or it is too late.
    pub counted: bool,
    /// One or two sentences for the person who decided: what happens now, or who decided before.
    pub said: String,
    /// The proposal.
    pub proposal: ProposalView,
}

/// Lists proposals, newest first.
#[derive(Clone, Debug, Default)]
pub struct ListProposals {
    /// Only those in one of these states; empty: in any.
    pub states: Vec<ProposalState>,
    /// The most proposals; 0: 100.
    pub limit: u32,
}

impl Msg for ListProposals {
    type Reply = Result<Vec<ProposalView>, Failure>;
    const NAME: &'static str = "ListProposals";
}

/// Shows one proposal by its number. One that nobody knows is `NotFound`.
#[derive(Clone, Debug)]
pub struct ShowProposal {
    /// The number.
    pub id: u64,
}

impl Msg for ShowProposal {
    type Reply = Result<ProposalView, Failure>;
    const NAME: &'static str = "ShowProposal";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_as_they_are_read() {
        for state in ProposalState::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.as_str()));
        }
    }

    #[test]
    fn one_person_has_one_identity() {
        let caller = Caller { name: "anna".into(), scope: Scope::Admin, origin: Origin::Chat };
        let of = |channel| Approver::caller(&caller, channel);
        assert_eq!(of(ApprovalChannel::Api).identity(), of(ApprovalChannel::Chat).identity());
        let socket = Approver { name: "socket".into(), ..of(ApprovalChannel::Cli) };
        assert_eq!(&*socket.identity(), "cli");
        for name in ["cli", "telegram:7"] {
            let key = Approver { name: name.into(), ..of(ApprovalChannel::Api) };
            assert_eq!(*key.identity(), *format!("key:{name}"));
        }
        let phone = Approver { telegram_user: Some(7), ..of(ApprovalChannel::Telegram) };
        assert_eq!(&*phone.identity(), "telegram:7");
        assert_ne!(of(ApprovalChannel::Telegram).identity(), of(ApprovalChannel::Api).identity());
    }
}

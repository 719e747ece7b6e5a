//! The desks and the agent, as the notifier and its inbox need them.

use contract::alerts::{Acknowledge, AddSilence, ExpectAlert, ListAlerts, ListSilences, ReportFindings};
use contract::approvals::{DecideProposal, ListProposals};
use contract::chat::RunTurn;
use contract::cluster::ListClusters;
use runtime::Port;

/// Ports to those who need the notifier first.
#[derive(Clone)]
pub struct Desk {
    /// Takes what channels fail.
    pub report: Port<ReportFindings>,
    /// Takes notice of an alert.
    pub acknowledge: Port<Acknowledge>,
    /// An alert was meant to happen.
    pub expect: Port<ExpectAlert>,
    /// Silences.
    pub silence: Port<AddSilence>,
    /// Lists silences.
    pub silences: Port<ListSilences>,
    /// Lists alerts.
    pub alerts: Port<ListAlerts>,
    /// Lists clusters, for `/status`.
    pub clusters: Port<ListClusters>,
    /// Takes a person's decision on a proposal.
    pub decide: Port<DecideProposal>,
    /// Lists proposals.
    pub proposals: Port<ListProposals>,
    /// Asks the agent.
    pub ask: Port<RunTurn>,
}

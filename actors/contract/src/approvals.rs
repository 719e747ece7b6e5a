//! Actions that need a person: what HAIA would do ([`ActionPlan`]), what became of it ([`ProposalView`]), and how it is run.
//!
//! A write exists only as a proposal until a person approved exactly that. Three parties take part:
//!
//! - The **owner** of a tool (ProxmoxPoller for guests, an MCP connection for its server) answers [`PlanAction`] with a dry run and
//!   [`RunAction`] by doing it. It takes only an [`Approved`] plan, which the approvals desk alone can make.
//! - **Toolbox** turns a call of such a tool into [`PlanAction`] and [`Propose`]; nothing is done then.
//! - The **approvals desk** of AgentSupervisor keeps proposals, takes decisions ([`DecideProposal`]), asks the owner once more, and lets it run.
//!
//! Every text in a plan may hold words of guests and models: it is data, never instruction.

mod audit;
mod plan;
mod proposal;

pub use audit::{ActionAuditEntry, ActionAuditRow, AuditReport, AuditWhat};
pub use plan::{ActionClass, ActionEnd, ActionOutcome, ActionPlan, ActionProgress, Approved, PlanAction, RunAction};
pub use proposal::{
    ApprovalChannel, Approver, DecideProposal, Decided, Decision, ListProposals, ProgressStep, ProposalState,
    ProposalView, Propose, Proposed, ShowProposal,
};

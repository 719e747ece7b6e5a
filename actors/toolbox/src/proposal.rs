//! A call of a tool that changes something: its owner plans it, the approvals desk keeps it as a proposal, and the call is answered at once with
//! the proposal's number. Nothing is done here, and nothing that is not a plan gets to the desk.

use contract::approvals::{PlanAction, Propose};
use contract::failure::{Failure, FailureClass};
use contract::message::Fault;
use contract::tools::{CallTool, ToolResult};
use runtime::Port;
use std::sync::Arc;
use std::time::Duration;

/// How long the desk may take: a write to the disk included.
const DESK: Duration = Duration::from_secs(10);

/// Whom a call is proposed to.
pub(crate) struct Way {
    /// The owner's name.
    pub(crate) owner: &'static str,
    /// Plans it.
    pub(crate) plan: Port<PlanAction>,
    /// Keeps it.
    pub(crate) propose: Port<Propose>,
}

/// Makes a proposal of a call: the outcome for the audit trail, and what the model is told.
pub(crate) async fn make(way: Way, call: CallTool) -> (&'static str, String) {
    let name = Arc::clone(&call.name);
    // What was stored must not be told as a call that took too long.
    let within = call.timeout.saturating_sub(DESK).max(call.timeout / 2);
    let (caller, request_id) = (call.caller.clone(), call.request_id.clone());
    let plan = match way.plan.ask(PlanAction { call }, within).await {
        Ok(Ok(plan)) => plan,
        Ok(Err(failure)) => return refused(&failure),
        Err(fault) => return unanswered(&name, &fault),
    };
    if plan.tool != name {
        return ("failed", format!("{name} was planned as another tool. Nothing was done."));
    }
    if !plan.blockers.is_empty() {
        return (
            "blocked",
            format!("{name} cannot be done now: {}. Nothing was proposed or done.", plan.blockers.join("; ")),
        );
    }
    match way.propose.ask(Propose { owner: way.owner.into(), plan, caller, request_id }, DESK).await {
        Ok(Ok(proposed)) => ("proposed", proposed.said),
        Ok(Err(failure)) => refused(&failure),
        Err(fault) => unanswered(&name, &fault),
    }
}

fn refused(failure: &Failure) -> (&'static str, String) {
    let outcome = if failure.class == FailureClass::Permission { "refused" } else { failure.class.as_str() };
    let end = if failure.message.contains("Nothing was") { "" } else { " Nothing was done." };
    let stop = if failure.message.ends_with('.') { "" } else { "." };
    (outcome, format!("{}{stop}{end}", failure.message))
}

fn unanswered(name: &str, fault: &Fault) -> (&'static str, String) {
    (fault.reason(), format!("{name} cannot be proposed now: {fault}. Nothing was done."))
}

/// The answer to the model.
pub(crate) fn result((outcome, said): (&'static str, String)) -> (&'static str, Result<ToolResult, Failure>) {
    if outcome != "proposed" {
        return (outcome, Ok(ToolResult::error(said)));
    }
    // The first line says what was proposed, and that nothing was done.
    let told = said.lines().next().map(Arc::from);
    (outcome, Ok(ToolResult { told, ..ToolResult::ok(said) }))
}

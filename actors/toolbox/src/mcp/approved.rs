//! Calls of MCP tools that may change something: planned for a person, and run once a person has approved exactly that.
//!
//! What such a tool does only its server knows, so a plan can say little: the server, the tool in the server's own words, the arguments. It is
//! never run but from an approval.

use super::calls::read_arguments;
use super::definition;
use super::host::Host;
use super::text::clean_line;
use contract::alerts::{Fact, Labels};
use contract::approvals::{ActionClass, ActionEnd, ActionOutcome, ActionPlan, PlanAction, RunAction};
use contract::caller::{Caller, Origin, Scope};
use contract::failure::{Failure, FailureClass};
use contract::ids::RequestId;
use contract::tools::CallTool;
use runtime::{Context, Handle, Reply};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// The longest text of a result that is kept, in characters.
const SHOWN: usize = 600;
/// The longest text of arguments that a person is shown, in characters: less than any channel cuts.
const SHOWN_ARGUMENTS: usize = 250;

impl Host {
    fn plan(&mut self, call: &CallTool) -> Result<ActionPlan, Failure> {
        let name = clean_line(&call.name, 64);
        let known = self.tool_of(call)?;
        read_arguments(&call.arguments, &known.tool)
            .map_err(|said| Failure::new(FailureClass::InvalidRequest, format!("{name}: {said}")))?;
        let arguments = canonical(&call.arguments)?;
        let described = clean_line(&known.described, 300);
        let fact = |label: &str, text: String| Fact { label: label.into(), text };
        // A definition that the server has changed meanwhile is another tool.
        let state = vec![fact("server", known.server.to_string()), fact("definition", known.definition.clone())];
        let digest = Sha256::digest(state.iter().map(|fact| fact.text.as_str()).collect::<Vec<_>>().join("\n"));
        let mut labels = Labels::default();
        labels.add("tool", name.as_str());
        labels.add("server", &*known.server);
        let shown: String = arguments.chars().take(SHOWN_ARGUMENTS).collect();
        let is_cut = shown.len() < arguments.len();
        // Nobody may approve what was cut off without knowing that there is more.
        let warnings = is_cut.then(|| {
            let all = arguments.chars().count();
            format!("only {SHOWN_ARGUMENTS} of {all} characters of the arguments are shown here; `haia approvals show` has them all")
        });
        Ok(ActionPlan {
            tool: call.name.clone(),
            class: ActionClass::Tool,
            risk: known.risk,
            action: format!("Call {name} of the MCP server {}", known.server),
            subject: name,
            arguments,
            labels,
            options: vec![fact("arguments", if is_cut { format!("{shown} …") } else { shown })],
            reason: String::new(),
            effect: format!("What it does only its server knows. In the server's words: {described}"),
            dependents: Vec::new(),
            warnings: warnings.into_iter().collect(),
            blockers: Vec::new(),
            state,
            state_digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            evidence: Vec::new(),
            timeout_s: known.timeout.as_secs().max(1),
        })
    }
}

/// Arguments sorted by name and without space, so that the same call is the same text.
fn canonical(text: &str) -> Result<String, Failure> {
    let text = if text.trim().is_empty() { "{}" } else { text };
    let wrong = |error: serde_json::Error| {
        Failure::new(FailureClass::InvalidRequest, format!("the arguments are wrong: {error}"))
    };
    let value: Value = serde_json::from_str(text).map_err(wrong)?;
    Ok(definition::canonical(&value))
}

impl Handle<PlanAction> for Host {
    fn handle(&mut self, PlanAction { call }: PlanAction, _: &Context<Self>) -> Reply<Result<ActionPlan, Failure>> {
        Reply::Now(self.plan(&call))
    }
}

impl Handle<RunAction> for Host {
    fn handle(&mut self, asked: RunAction, context: &Context<Self>) -> Reply<Result<ActionOutcome, Failure>> {
        let plan = asked.approved.into_inner();
        let call = CallTool {
            request_id: RequestId::new(asked.request_id),
            caller: Caller { name: asked.approved_by, scope: Scope::Admin, origin: Origin::Internal },
            name: plan.tool,
            arguments: plan.arguments,
            timeout: Duration::from_secs(plan.timeout_s),
        };
        let answer = self.call_approved(call, context);
        Reply::later(async move {
            let answer = match answer {
                Reply::Now(answer) => answer,
                Reply::Later(answer) => answer.await,
            };
            let (end, text) = match answer {
                Ok(result) if result.is_error => {
                    (ActionEnd::Failed, format!("The tool says that it failed: {}", result.text))
                }
                Ok(result) => (ActionEnd::Done, result.text),
                // The server may have done it all the same.
                Err(failure) if may_have_begun(&failure) => (ActionEnd::Unknown, failure.message.to_string()),
                Err(failure) => return Err(failure),
            };
            Ok(ActionOutcome { end, text: text.chars().take(SHOWN).collect(), reference: None })
        })
    }
}

/// Whether the server may have begun: there was no answer, or the connection ended in the middle.
fn may_have_begun(failure: &Failure) -> bool {
    matches!(failure.class, FailureClass::Timeout | FailureClass::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_call_is_the_same_text() {
        let one = canonical(r#"{"b": [ {"y":1, "x":2} ], "a": null}"#).unwrap();
        assert_eq!(one, r#"{"a":null,"b":[{"x":2,"y":1}]}"#);
        assert_eq!(canonical(" ").unwrap(), "{}");
        assert!(canonical("{").is_err());
    }
}

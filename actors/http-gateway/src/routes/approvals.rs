//! `/api/approvals`: what waits for a person, and a person's decision. Who decides is the caller's key; the approvals desk judges it.

use super::operate::{ask, number, query};
use super::{About, Answer, Endpoint, Verb};
use crate::answers;
use crate::audit::record;
use crate::openai::error::Refusal;
use crate::thread::Call;
use actix_web::HttpResponse;
use contract::approvals::{
    ApprovalChannel, Approver, DecideProposal, ListProposals, ProposalState, ProposalView, ShowProposal,
};
use contract::caller::{Origin, Scope};
use serde::{Deserialize, Serialize};

const PROPOSAL: (&str, &str, &str) = ("path", "proposal", "The proposal's number");

const fn endpoint(
    method: Verb,
    path: &'static str,
    handler: fn(Call) -> Answer,
    summary: &'static str,
    parameters: &'static [(&'static str, &'static str, &'static str)],
    gives: &'static str,
) -> Endpoint {
    let scope = match method {
        Verb::Get => Scope::Read,
        Verb::Post | Verb::Delete => Scope::Admin,
    };
    let about = About { summary, parameters, takes: None, gives: ("application/json", Some(gives)), status: 200 };
    Endpoint { method, path, scope: Some(scope), starts_work: matches!(method, Verb::Post), handler, about }
}

pub(super) const ENDPOINTS: &[Endpoint] = &[
    endpoint(
        Verb::Get,
        "/api/approvals",
        |call| Box::pin(list(call)),
        "Proposals, newest first",
        &[
            (
                "query",
                "state",
                "open, or one state: proposed, approved, denied, expired, stale, running, done, failed, unknown",
            ),
            ("query", "limit", "The most proposals, 1 to 1000; 100 if not told"),
        ],
        "Proposals",
    ),
    endpoint(
        Verb::Get,
        "/api/approvals/{proposal}",
        |call| Box::pin(show(call)),
        "One proposal with everything it rests on",
        &[PROPOSAL],
        "Proposal",
    ),
    endpoint(
        Verb::Post,
        "/api/approvals/{proposal}/approve",
        |call| Box::pin(decide(call, true)),
        "Approves a proposal; the action is then run by itself",
        &[PROPOSAL],
        "Decided",
    ),
    endpoint(
        Verb::Post,
        "/api/approvals/{proposal}/deny",
        |call| Box::pin(decide(call, false)),
        "Denies a proposal",
        &[PROPOSAL],
        "Decided",
    ),
];

#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    State(ProposalState),
    Word(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    state: Option<Wanted>,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct Proposals {
    proposals: Vec<ProposalView>,
}

async fn list(call: Call) -> Result<HttpResponse, Refusal> {
    let wanted: ListQuery = query(&call)?;
    let limit = wanted.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Refusal::invalid("\"limit\" must be from 1 to 1000").with_param("limit"));
    }
    let states = match wanted.state {
        None => Vec::new(),
        Some(Wanted::State(state)) => vec![state],
        Some(Wanted::Word(word)) if word == "open" => {
            ProposalState::ALL.into_iter().filter(|state| state.is_open()).collect()
        }
        Some(Wanted::Word(_)) => {
            let words: Vec<&str> = ProposalState::ALL.iter().map(|state| state.as_str()).collect();
            return Err(Refusal::invalid(format!("\"state\" must be open, {}", words.join(", "))).with_param("state"));
        }
    };
    let proposals = ask(&call.ports().approvals.list, ListProposals { states, limit }).await?;
    answers::json(&Proposals { proposals })
}

async fn show(call: Call) -> Result<HttpResponse, Refusal> {
    let id = number(&call, "proposal")?;
    answers::json(&ask(&call.ports().approvals.show, ShowProposal { id }).await?)
}

async fn decide(call: Call, approve: bool) -> Result<HttpResponse, Refusal> {
    let (id, caller) = (number(&call, "proposal")?, call.caller()?);
    let channel = if caller.origin == Origin::Cli { ApprovalChannel::Cli } else { ApprovalChannel::Api };
    let by = Approver::caller(caller, channel);
    let asked = DecideProposal { id, tag: None, approve, by, request_id: call.access.request_id.clone() };
    let what = format!("{} proposal {id}", if approve { "approve" } else { "deny" });
    let decided = ask(&call.ports().approvals.decide, asked).await.inspect_err(|_| record(&call, &what, "refused"))?;
    if !decided.counted {
        record(&call, &what, "too late");
        return Err(Refusal::conflict(decided.said).with_code("already_decided"));
    }
    record(&call, &what, "ok");
    answers::json(&decided)
}

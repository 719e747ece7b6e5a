//! The routes of the approvals desk and of its record, among scripted neighbours: who may decide, what reaches the desk, what comes back.

use super::stage::{Stage, get, post};
use crate::config::{Config, KeyConfig};
use crate::ports::ApprovalPorts;
use contract::alerts::Labels;
use contract::approvals::{
    ActionAuditEntry, ActionAuditRow, ActionClass, ActionPlan, ApprovalChannel, AuditReport, AuditWhat, DecideProposal,
    Decided, ListProposals, ProposalState, ProposalView, ShowProposal,
};
use contract::caller::{Origin, Scope};
use contract::failure::{Failure, FailureClass};
use contract::secret::Secret;
use contract::store::{ReadActionAudit, VerifyActionAudit};
use contract::tools::Risk;
use runtime::Port;
use runtime::world::{TestClock, World};

const DESK: &str = "approvals-desk";

fn view(id: u64, state: ProposalState) -> ProposalView {
    let plan = ActionPlan {
        tool: "stop_guest".into(),
        class: ActionClass::Stop,
        risk: Risk::Destructive,
        arguments: "{}".into(),
        action: "Stop web-01".into(),
        subject: "web-01".into(),
        labels: Labels::default(),
        options: Vec::new(),
        reason: String::new(),
        effect: String::new(),
        dependents: Vec::new(),
        warnings: Vec::new(),
        blockers: Vec::new(),
        state: Vec::new(),
        state_digest: String::new(),
        evidence: Vec::new(),
        timeout_s: 60,
    };
    ProposalView {
        id,
        state,
        plan,
        owner: "proxmox-poller".into(),
        proposed_by: "web".into(),
        origin: Origin::Chat,
        request_id: "r".into(),
        proposed: TestClock::ORIGIN,
        expires: TestClock::ORIGIN,
        approvals_needed: 1,
        decisions: Vec::new(),
        began: None,
        ended: None,
        progress: Vec::new(),
        reference: None,
        result: None,
    }
}

fn decided(asked: &DecideProposal) -> Result<Decided, Failure> {
    let state = if asked.approve { ProposalState::Approved } else { ProposalState::Denied };
    match asked.id {
        1 => {
            let DecideProposal { by, .. } = asked;
            assert_eq!((by.channel, by.scope), (ApprovalChannel::Api, Scope::Admin));
            Ok(Decided { counted: true, said: format!("decided by {}", by.name), proposal: view(1, state) })
        }
        2 => Ok(Decided { counted: false, said: "Proposal 2 was denied by anna.".into(), proposal: view(2, state) }),
        3 => Err(Failure::new(FailureClass::Permission, "the policy names other people")),
        _ => Err(Failure::new(FailureClass::NotFound, "there is no such proposal")),
    }
}

/// A desk that knows proposal 1, and a record with one row.
pub(crate) fn ports() -> ApprovalPorts {
    ApprovalPorts {
        list: Port::scripted(DESK, |asked: ListProposals| {
            let states = if asked.states.is_empty() { vec![ProposalState::Done] } else { asked.states };
            Ok(states.into_iter().zip(1..).map(|(state, id)| view(id, state)).collect())
        }),
        show: Port::scripted(DESK, |asked: ShowProposal| match asked.id {
            1 => Ok(view(1, ProposalState::Running)),
            id => Err(Failure::new(FailureClass::NotFound, format!("there is no proposal {id}"))),
        }),
        decide: Port::scripted(DESK, |asked: DecideProposal| decided(&asked)),
        record: Port::scripted("store", |asked: ReadActionAudit| {
            let entry = ActionAuditEntry {
                at: TestClock::ORIGIN,
                proposal: asked.proposal.unwrap_or(9),
                what: AuditWhat::Decided,
                who: "anna".into(),
                via: "api".into(),
                request_id: "r".into(),
                text: "approved".into(),
                data: "null".into(),
            };
            Ok(vec![ActionAuditRow { id: 1, entry, hash: "ab".into() }])
        }),
        verify: Port::scripted("store", |_: VerifyActionAudit| {
            Ok(AuditReport { rows: 1, broken: None, head: "ab".into() })
        }),
    }
}

fn keys() -> Config {
    let key = |scope| KeyConfig { key: Secret::new(scope_word(scope)), scope, limits: Default::default() };
    let keys = [Scope::Read, Scope::Control, Scope::Admin].map(|scope| (scope_word(scope).to_owned(), key(scope)));
    Config { keys: keys.into(), ..Config::default() }
}

fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "sk-read",
        Scope::Control => "sk-control",
        Scope::Admin => "sk-admin",
    }
}

#[test]
fn only_the_admin_scope_decides_and_everybody_with_a_key_reads() {
    World::run(async |world| {
        let stage = Stage::new(world, keys()).await;
        for (method, path, least) in [
            ("GET", "/api/approvals", Scope::Read),
            ("GET", "/api/approvals/1", Scope::Read),
            ("POST", "/api/approvals/1/approve", Scope::Admin),
            ("POST", "/api/approvals/1/deny", Scope::Admin),
            ("GET", "/api/audit/actions", Scope::Admin),
            ("GET", "/api/audit/verify", Scope::Admin),
        ] {
            for scope in [Scope::Read, Scope::Control, Scope::Admin] {
                let request = if method == "GET" { get(path) } else { post(path, "") };
                let key = format!("Bearer {}", scope_word(scope));
                let reply = stage.send(request.insert_header(("authorization", key))).await;
                let expected = if scope >= least { 200 } else { 403 };
                assert_eq!(reply.status, expected, "{method} {path} by {scope:?}: {}", reply.body);
            }
        }
    });
}

#[test]
fn a_decision_reaches_the_desk_and_its_answer_comes_back() {
    World::run(async |world| {
        let stage = Stage::new(world, keys()).await;
        let send = async |method: &str, path: &str| {
            let request = if method == "GET" { get(path) } else { post(path, "") };
            stage.send(request.insert_header(("authorization", "Bearer sk-admin"))).await
        };
        let reply = send("POST", "/api/approvals/1/approve").await.json();
        assert_eq!((&reply["said"], &reply["proposal"]["state"]), (&"decided by sk-admin".into(), &"approved".into()));
        let late = send("POST", "/api/approvals/2/approve").await;
        assert_eq!((late.status, late.error().1.as_deref()), (409, Some("already_decided")));
        assert!(late.body.contains("Proposal 2 was denied by anna."), "{}", late.body);
        for (method, path, status) in [
            ("POST", "/api/approvals/3/deny", 403),
            ("POST", "/api/approvals/4/approve", 404),
            ("POST", "/api/approvals/x/approve", 400),
            ("GET", "/api/approvals/4", 404),
            ("GET", "/api/approvals?state=odd", 400),
            ("GET", "/api/approvals?limit=0", 400),
            ("GET", "/api/audit/actions?limit=5000", 400),
            ("GET", "/api/audit/actions?proposal=x", 400),
        ] {
            let reply = send(method, path).await;
            assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
            reply.error();
        }
        let outcomes: Vec<String> = stage
            .props
            .audit
            .lock()
            .expect("audit")
            .iter()
            .map(|row| format!("{} {}", row.what, row.outcome))
            .collect();
        assert_eq!(
            outcomes,
            [
                "approve proposal 1 ok",
                "approve proposal 2 too late",
                "deny proposal 3 refused",
                "approve proposal 4 refused"
            ]
        );
        let states = async |query: &str| -> Vec<String> {
            let reply = send("GET", &format!("/api/approvals{query}")).await.json();
            let states = reply["proposals"].as_array().expect("a list").iter();
            states.filter_map(|proposal| proposal["state"].as_str().map(str::to_owned)).collect()
        };
        assert_eq!(states("").await, ["done"]);
        assert_eq!(states("?state=stale").await, ["stale"]);
        assert_eq!(states("?state=open").await, ["proposed", "approved", "running"]);
        let rows = send("GET", "/api/audit/actions?proposal=7").await.json();
        assert_eq!((&rows["rows"][0]["proposal"], &rows["rows"][0]["what"]), (&7.into(), &"decided".into()));
        assert_eq!(send("GET", "/api/audit/verify").await.json()["head"], "ab");
    });
}

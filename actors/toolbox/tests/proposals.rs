//! Calls of tools that change something: planned by their owner, proposed to the desk, and never made.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use arc_swap::ArcSwap;
use contract::LocalBoxFuture;
use contract::alerts::Labels;
use contract::approvals::{ActionClass, ActionPlan, PlanAction, ProposalState, ProposalView, Propose, Proposed};
use contract::caller::{Caller, Origin, Scope};
use contract::failure::{Failure, FailureClass};
use contract::ids::RequestId;
use contract::message::Lane;
use contract::status::{Status, StatusSource};
use contract::store::{AuditRow, AuditSink};
use contract::tools::{CallTool, ListTools, Risk, SharedCatalogue, Tool, ToolResult};
use runtime::world::World;
use runtime::{Policy, Port};
use serde_json::value::RawValue;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use toolbox::{Config, Owner, Ports, RefreshCatalogue, Toolbox};

#[derive(Clone, Default)]
struct Notes {
    rows: Arc<Mutex<Vec<AuditRow>>>,
    proposed: Arc<Mutex<Vec<Propose>>>,
    called: Arc<Mutex<u32>>,
}

impl AuditSink for Notes {
    fn record(&self, row: AuditRow) {
        self.rows.lock().expect("rows").push(row);
    }
}

impl StatusSource for Notes {
    fn status(&self) -> LocalBoxFuture<'static, Status> {
        Box::pin(std::future::pending())
    }
}

fn tool(name: &str, risk: Risk) -> Tool {
    let schema = RawValue::from_string(r#"{"type":"object","properties":{}}"#.to_owned()).expect("JSON");
    Tool { name: name.into(), description: "d".into(), parameters: Arc::from(schema), risk, title: "t".into() }
}

fn plan(tool: &str, blockers: &[&str]) -> ActionPlan {
    ActionPlan {
        tool: tool.into(),
        class: ActionClass::Start,
        risk: Risk::Write,
        arguments: "{}".into(),
        action: "Start web-01".into(),
        subject: "web-01".into(),
        labels: Labels::default(),
        options: Vec::new(),
        reason: String::new(),
        effect: String::new(),
        dependents: Vec::new(),
        warnings: Vec::new(),
        blockers: blockers.iter().map(|blocker| (*blocker).to_owned()).collect(),
        state: Vec::new(),
        state_digest: String::new(),
        evidence: Vec::new(),
        timeout_s: 60,
    }
}

fn planned(asked: &PlanAction) -> Result<ActionPlan, Failure> {
    match asked.call.arguments.as_str() {
        "{\"vmid\":1}" => Ok(plan("start_guest", &[])),
        "{\"vmid\":2}" => Ok(plan("start_guest", &["it is locked (backup)"])),
        "{\"vmid\":3}" => Ok(plan("stop_guest", &[])),
        "{\"vmid\":4}" => Err(Failure::new(FailureClass::Permission, "actions are not allowed on cluster lab")),
        _ => Err(Failure::new(FailureClass::NotFound, "there is no guest 5.")),
    }
}

fn proposed(asked: &Propose) -> Result<Proposed, Failure> {
    if &*asked.caller.name == "nobody" {
        return Err(Failure::new(FailureClass::Permission, "the policy does not allow it. Nothing was done."));
    }
    let at = runtime::world::TestClock::ORIGIN;
    let view = ProposalView {
        id: 7,
        state: ProposalState::Proposed,
        plan: asked.plan.clone(),
        owner: asked.owner.clone(),
        proposed_by: asked.caller.name.clone(),
        origin: asked.caller.origin,
        request_id: asked.request_id.shared(),
        proposed: at,
        expires: at,
        approvals_needed: 1,
        decisions: Vec::new(),
        began: None,
        ended: None,
        progress: Vec::new(),
        reference: None,
        result: None,
    };
    Ok(Proposed { view, said: "Proposal 7 was made".to_owned() })
}

async fn ask(world: &World, notes: &Notes, is_wired: bool, who: &str, name: &str, arguments: &str) -> ToolResult {
    let (called, heard) = (Arc::clone(&notes.called), Arc::clone(&notes.proposed));
    let owner = Owner {
        name: "machine",
        list: Port::scripted("machine", |_: ListTools| {
            vec![tool("look", Risk::Read), tool("start_guest", Risk::Write), tool("wipe", Risk::Destructive)]
        }),
        call: Port::scripted("machine", move |_: CallTool| {
            *called.lock().expect("count") += 1;
            Ok(ToolResult::ok("looked"))
        }),
        call_for_mcp: None,
        plan: is_wired.then(|| Port::scripted("machine", |asked: PlanAction| planned(&asked))),
    };
    let ports = Ports {
        owners: vec![owner],
        catalogue: SharedCatalogue::default(),
        everything: SharedCatalogue::default(),
        own: SharedCatalogue::default(),
        audit: Arc::new(notes.clone()),
        clock: world.clock.clone(),
        timezone: jiff::tz::TimeZone::UTC,
        status: Arc::new(notes.clone()),
        propose: Some(Port::scripted("approvals-desk", move |asked: Propose| {
            let answer = proposed(&asked);
            heard.lock().expect("proposed").push(asked);
            answer
        })),
    };
    let config = Arc::new(ArcSwap::from_pointee(Config::default()));
    let toolbox =
        world.supervision.start(&world.thread(), "toolbox", Policy::default(), Toolbox::factory(config, ports));
    let wait = Duration::from_secs(60);
    toolbox.port(Lane::Interactive).ask(RefreshCatalogue, wait).await.expect("refreshed");
    let call = CallTool {
        request_id: RequestId::new("r-1"),
        caller: Caller { name: who.into(), scope: Scope::Control, origin: Origin::Chat },
        name: name.into(),
        arguments: arguments.to_owned(),
        timeout: Duration::from_secs(30),
    };
    toolbox.port::<CallTool>(Lane::Interactive).ask(call, wait).await.expect("answered").expect("a result")
}

#[test]
fn a_call_becomes_a_proposal_and_is_never_made() {
    for (is_wired, who, name, arguments, outcome, said) in [
        (true, "anna", "start_guest", "{\"vmid\":1}", "proposed", "Proposal 7 was made"),
        (true, "nobody", "start_guest", "{\"vmid\":1}", "refused", "the policy does not allow it. Nothing was done."),
        (
            true,
            "anna",
            "start_guest",
            "{\"vmid\":2}",
            "blocked",
            "it is locked (backup). Nothing was proposed or done.",
        ),
        (true, "anna", "start_guest", "{\"vmid\":3}", "failed", "planned as another tool"),
        (true, "anna", "start_guest", "{\"vmid\":4}", "refused", "not allowed on cluster lab. Nothing was done."),
        (true, "anna", "start_guest", "{\"vmid\":5}", "not_found", "there is no guest 5. Nothing was done."),
        (true, "anna", "start_guest", "[]", "invalid_arguments", "must be one JSON object"),
        (false, "anna", "start_guest", "{\"vmid\":1}", "refused", "needs an approval by a person"),
        (false, "anna", "wipe", "{}", "refused", "needs an approval by a person"),
    ] {
        World::run(async |world: &World| {
            let notes = Notes::default();
            let result = ask(world, &notes, is_wired, who, name, arguments).await;
            assert!(result.text.contains(said), "{}", result.text);
            assert_eq!(result.told.as_deref(), (outcome == "proposed").then_some("Proposal 7 was made"));
            assert_eq!(result.is_error, outcome != "proposed");
            let rows = notes.rows.lock().expect("rows");
            assert_eq!(rows.iter().map(|row| &*row.outcome).collect::<Vec<_>>(), [outcome]);
            assert_eq!(*notes.called.lock().expect("count"), 0, "the tool was called");
            let heard = notes.proposed.lock().expect("proposed");
            assert_eq!(heard.len(), usize::from(said.contains("Proposal") || who == "nobody"));
            assert!(heard.iter().all(|asked| &*asked.owner == "machine" && asked.request_id.as_str() == "r-1"));
        });
    }
}

#[test]
fn tools_that_only_look_are_called_as_ever() {
    World::run(async |world: &World| {
        let notes = Notes::default();
        assert_eq!(ask(world, &notes, true, "anna", "look", "{}").await, ToolResult::ok("looked"));
        assert_eq!(*notes.called.lock().expect("count"), 1);
        assert!(notes.proposed.lock().expect("proposed").is_empty());
    });
}

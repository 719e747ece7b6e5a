//! What may reach a writing endpoint: only what was approved, and only where actions are allowed.

use crate::stage::{Stage, approved, config};
use contract::alerts::Labels;
use contract::approvals::{ActionClass, ActionPlan};
use contract::failure::FailureClass;
use contract::message::Drain;
use contract::tools::{ListTools, Risk};
use proxmox_poller::actions::ACTION_TOOLS;
use runtime::world::World;
use serde_json::Value;
use sim_cluster::{Access, SimConfig};

fn operator() -> SimConfig {
    SimConfig { access: Access::operator(), ..SimConfig::default() }
}

fn arguments(tool: &str) -> &'static str {
    match tool {
        "migrate_guest" => r#"{"guest":"101","cluster":"homelab","target":"pve2"}"#,
        "snapshot_guest" => r#"{"guest":"101","cluster":"homelab","name":"before"}"#,
        "backup_guest" => r#"{"guest":"101","cluster":"homelab","storage":"pbs"}"#,
        _ => r#"{"guest":"101","cluster":"homelab"}"#,
    }
}

fn some_plan() -> ActionPlan {
    ActionPlan {
        tool: "".into(),
        class: ActionClass::Start,
        risk: Risk::Write,
        arguments: String::new(),
        action: String::new(),
        subject: String::new(),
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
    }
}

#[test]
fn without_allow_actions_nothing_leads_to_a_writing_endpoint() {
    World::run(async |world| {
        let stage = Stage::with(world, operator(), config(false, &Value::Null)).await;
        let offered = stage.ask(ListTools).await;
        assert!(offered.iter().all(|tool| tool.risk == Risk::Read) && offered.len() == 16);
        // A plan as another cluster would have made it.
        let mut plan = some_plan();
        for tool in ACTION_TOOLS {
            let read = stage.read(tool.name, arguments(tool.name)).await;
            assert!(read.is_error && read.text.contains("Nothing was done"), "{}", read.text);
            let failure = stage.try_plan(tool.name, arguments(tool.name)).await.unwrap_err();
            assert_eq!(failure.class, FailureClass::NotFound, "{failure}");
            plan.tool = tool.name.into();
            plan.class = tool.class;
            plan.arguments = arguments(tool.name).to_owned();
            let failure = stage.ask(approved(plan.clone())).await.unwrap_err();
            assert_eq!(failure.class, FailureClass::Permission, "{failure}");
            assert!(
                failure.message.contains("allow_actions") && failure.message.contains("Nothing was done"),
                "{failure}"
            );
        }
        assert_eq!(stage.sim.writes(), []);
    });
}

#[test]
fn planning_and_calling_write_nothing() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        assert_eq!(stage.ask(ListTools).await.len(), 16 + ACTION_TOOLS.len());
        for tool in ACTION_TOOLS {
            let read = stage.read(tool.name, arguments(tool.name)).await;
            assert!(read.is_error && read.text.contains("approved by a person"), "{}", read.text);
            stage.plan(tool.name, arguments(tool.name)).await;
        }
        for (tool, arguments) in [
            ("start_guest", "{}"),
            ("start_guest", r#"{"guest":"101","x":1}"#),
            ("list_vms", "{}"),
            ("reset_guest", "{}"),
        ] {
            assert!(stage.try_plan(tool, arguments).await.is_err(), "{tool} {arguments}");
        }
        assert_eq!(stage.sim.writes(), []);
    });
}

#[test]
fn an_approved_plan_must_be_one_of_ours() {
    World::run(async |world| {
        let stage = Stage::start(world).await;
        let good = stage.clear("shutdown_guest", r#"{"guest":"101"}"#).await;
        for (tool, arguments) in [
            ("list_vms", "{}"),
            ("shutdown_guest", "{}"),
            ("shutdown_guest", r#"{"guest":"web-01","cluster":"homelab"}"#),
            ("shutdown_guest", r#"{"guest":"101"}"#),
            ("shutdown_guest", r#"{"guest":"101","cluster":"other"}"#),
            ("shutdown_guest", r#"{"guest":"../../x","cluster":"homelab"}"#),
        ] {
            let mut plan = good.clone();
            (plan.tool, plan.arguments) = (tool.into(), arguments.to_owned());
            let failure = stage.ask(approved(plan)).await.unwrap_err();
            assert!(failure.message.contains("Nothing was done"), "{failure}");
        }
        stage.ask(Drain).await;
        let failure = stage.ask(approved(good)).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::ShuttingDown);
        assert_eq!(stage.sim.writes(), []);
    });
}

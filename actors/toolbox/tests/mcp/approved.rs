//! Calls that a person approved: planned so that all of it can be seen, made once, and their end told truly.

use crate::rig::{Rig, file, python, run};
use contract::approvals::{ActionClass, ActionEnd, ActionOutcome, ActionPlan, Approved, PlanAction, RunAction};
use contract::caller::{Caller, Origin, Scope};
use contract::failure::Failure;
use contract::ids::RequestId;
use contract::tools::CallTool;
use serde_json::{Value, json};
use std::time::Duration;

async fn plan(rig: &Rig, tool: &str, arguments: &Value) -> Result<ActionPlan, Failure> {
    let call = CallTool {
        request_id: RequestId::new("r-1"),
        caller: Caller { name: "anna".into(), scope: Scope::Control, origin: Origin::Chat },
        name: tool.into(),
        arguments: arguments.to_string(),
        timeout: Duration::from_secs(10),
    };
    rig.ask(PlanAction { call }).await
}

async fn run_it(rig: &Rig, plan: ActionPlan) -> Result<ActionOutcome, Failure> {
    let approved = Approved::by_the_desk(plan);
    rig.ask(RunAction { approved, proposal: 7, request_id: "r-1".into(), approved_by: "anna".into() }).await
}

fn untrusted() -> Value {
    let mut entry = python(&["good"]);
    entry["haia"] = json!({ "trust": "none" });
    entry
}

#[test]
fn an_approved_call_is_made_and_its_end_is_true() {
    run(async {
        let rig = Rig::start(&file([("it", untrusted())])).await;
        rig.until_offered("it__echo", true).await;
        for (tool, arguments, end, said) in [
            ("it__echo", json!({ "text": "done" }), ActionEnd::Done, "done"),
            ("it__fail", json!({}), ActionEnd::Failed, "The tool says that it failed: it failed"),
            // Whether it did its work before it ended nobody knows.
            ("it__crash", json!({}), ActionEnd::Unknown, "whether it__crash did its work is not known"),
        ] {
            let planned = plan(&rig, tool, &arguments).await.expect("a plan");
            assert_eq!((planned.class, planned.warnings.len()), (ActionClass::Tool, 0));
            let outcome = run_it(&rig, planned).await.expect("an outcome");
            assert_eq!(outcome.end, end, "{tool}: {outcome:?}");
            assert!(outcome.text.contains(said), "{tool}: {outcome:?}");
        }
        // A refusal is an answer: nothing was done.
        let planned = plan(&rig, "it__refuse", &json!({})).await.expect("a plan");
        assert!(run_it(&rig, planned).await.is_err());
        rig.drain().await;
    });
}

#[test]
fn what_is_cut_off_is_said_to_be() {
    run(async {
        let rig = Rig::start(&file([("it", untrusted())])).await;
        rig.until_offered("it__echo", true).await;
        let long = json!({ "text": format!("{}; and then destroy everything", "harmless ".repeat(60)) });
        let planned = plan(&rig, "it__echo", &long).await.expect("a plan");
        let shown = &planned.options[0].text;
        assert!(shown.ends_with(" …") && !shown.contains("destroy"), "{shown}");
        assert!(planned.warnings[0].starts_with("only 250 of "), "{:?}", planned.warnings);
        assert!(planned.arguments.contains("destroy everything"), "what is run is whole");
        rig.drain().await;
    });
}

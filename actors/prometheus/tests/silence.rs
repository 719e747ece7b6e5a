//! A silence, from its plan to its end, before a simulated Alertmanager on loopback.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use contract::approvals::{ActionClass, ActionEnd, ActionOutcome, ActionPlan, Approved, PlanAction, RunAction};
use contract::caller::{Caller, Origin, Scope};
use contract::failure::{Failure, FailureClass};
use contract::ids::RequestId;
use contract::message::{Lane, Reconfigure};
use contract::tools::{CallTool, ListTools, Risk};
use prometheus::{AlertmanagerConfig, Config, Ports, Prometheus};
use runtime::{Mailbox, Policy, Supervision, SystemClock};
use serde_json::json;
use sim_receivers::{Alertmanager, Fault, Server};
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const DISK: &str =
    r#"{"matchers":["alertname=\"DiskFull\"","instance=~\"nas.*\""],"duration":"2h","reason":"It is being emptied."}"#;

struct Stage {
    server: Server<Alertmanager>,
    actor: Mailbox<Prometheus>,
}

fn config(server: &Server<Alertmanager>, allow_actions: bool) -> Config {
    let token = Some(contract::secret::Secret::new("tok".to_owned()));
    Config { prometheus: None, alertmanager: Some(AlertmanagerConfig { url: server.url(), token, allow_actions }) }
}

fn with_stage(allow_actions: bool, test: impl AsyncFnOnce(Stage)) {
    let server = Server::start(Alertmanager { token: "tok".to_owned(), ..Alertmanager::default() }).unwrap();
    server.sim().receiver.fire("DiskFull", "nas-1");
    server.sim().receiver.fire("Other", "nas-1");
    actix_rt::System::new().block_on(async move {
        let supervision = Supervision::new(|event| panic!("{event:?}"));
        let ports = Ports { clock: Arc::new(SystemClock::real()) };
        let factory =
            Prometheus::factory(Arc::new(arc_swap::ArcSwap::from_pointee(config(&server, allow_actions))), ports);
        let actor = supervision.start(&actix_rt::Arbiter::current(), "prometheus", Policy::optional(), factory);
        test(Stage { server, actor }).await;
    });
}

fn call(arguments: &str) -> CallTool {
    CallTool {
        request_id: RequestId::new("r-1"),
        caller: Caller { name: "web".into(), scope: Scope::Control, origin: Origin::Chat },
        name: "alertmanager_silence".into(),
        arguments: arguments.to_owned(),
        timeout: Duration::from_secs(20),
    }
}

impl Stage {
    async fn plan(&self, arguments: &str) -> Result<ActionPlan, Failure> {
        self.actor.port(Lane::Interactive).ask(PlanAction { call: call(arguments) }, PATIENCE).await.unwrap()
    }

    async fn run(&self, plan: ActionPlan, proposal: u64) -> Result<ActionOutcome, Failure> {
        #[expect(clippy::disallowed_methods, reason = "the test is the approvals desk")]
        let approved = Approved::by_the_desk(plan);
        let run = RunAction { approved, proposal, request_id: "r-1".into(), approved_by: "anna".into() };
        self.actor.port(Lane::Interactive).ask(run, PATIENCE).await.unwrap()
    }

    fn orders(&self) -> usize {
        self.server.sim().receiver.orders.len()
    }
}

#[test]
fn a_silence_is_planned_made_once_and_told() {
    with_stage(true, async |stage| {
        let tools = stage.actor.port(Lane::Interactive).ask(ListTools, PATIENCE).await.unwrap();
        let tool = tools.iter().find(|tool| &*tool.name == "alertmanager_silence").unwrap();
        assert_eq!(tool.risk, Risk::Write);
        let called = stage.actor.port(Lane::Interactive).ask(call(DISK), PATIENCE).await.unwrap().unwrap();
        assert!(called.is_error && called.text.contains("Nothing was done"), "{}", called.text);

        let plan = stage.plan(DISK).await.unwrap();
        assert_eq!((plan.class, plan.risk, plan.blockers.len()), (ActionClass::AlertmanagerSilence, Risk::Write, 0));
        assert!(plan.effect.contains("One alert matches now: DiskFull (nas-1)."), "{}", plan.effect);
        assert_eq!(stage.plan(&plan.arguments).await.unwrap().state_digest, plan.state_digest, "the same, asked again");
        assert_eq!(stage.orders(), 0);

        let outcome = stage.run(plan.clone(), 7).await.unwrap();
        assert_eq!(outcome.end, ActionEnd::Done, "{outcome:?}");
        assert!(
            outcome.text.starts_with(r#"Alertmanager silences alertname="DiskFull", instance=~"nas.*" until 20"#),
            "{outcome:?}"
        );
        let made = stage.server.sim().receiver.silences[0].clone();
        assert_eq!(made["id"].as_str(), outcome.reference.as_deref());
        assert_eq!(made["createdBy"], "HAIA (approved by anna)");
        assert_eq!(made["comment"], "It is being emptied. [HAIA proposal 7, request r-1]");
        assert_eq!(
            made["matchers"][1],
            json!({ "name": "instance", "value": "nas.*", "isRegex": true, "isEqual": true })
        );
        let time = |name: &str| made[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert_eq!(time("endsAt").duration_since(time("startsAt")), jiff::SignedDuration::from_hours(2));

        let again = stage.plan(DISK).await.unwrap();
        assert!(again.blockers[0].contains("is there already"), "{:?}", again.blockers);
        assert_ne!(again.state_digest, plan.state_digest);
        let twice = stage.run(plan, 7).await.unwrap();
        assert!(twice.end == ActionEnd::Unknown && twice.text.contains("there already"), "{twice:?}");
        assert_eq!(stage.orders(), 1);
    });
}

#[test]
fn without_allow_actions_there_is_no_way_to_a_silence() {
    with_stage(true, async |stage| {
        let plan = stage.plan(DISK).await.unwrap();
        let off = Reconfigure(Arc::new(config(&stage.server, false)));
        stage.actor.port(Lane::Control).ask(off, PATIENCE).await.unwrap();
        let tools = stage.actor.port(Lane::Interactive).ask(ListTools, PATIENCE).await.unwrap();
        assert!(tools.iter().all(|tool| tool.risk == Risk::Read) && tools.len() == 1);
        for refused in [stage.plan(DISK).await.map(|_| ()), stage.run(plan, 7).await.map(|_| ())] {
            let failure = refused.unwrap_err();
            assert_eq!(failure.class, FailureClass::Permission);
            assert!(
                failure.message.contains("allow_actions") && failure.message.contains("Nothing was done"),
                "{failure}"
            );
        }
        assert_eq!(stage.orders(), 0);
    });
}

#[test]
fn what_goes_wrong_is_told_truly_and_nothing_is_sent_twice() {
    for (fault, end, said, orders, made) in [
        (Fault::Status(400), ActionEnd::Failed, "answered with status 400. Nothing was done.", 0, 0),
        (Fault::Status(403), ActionEnd::Failed, "refuses HAIA: set a token, or a valid one. Nothing was done.", 0, 0),
        (Fault::Status(503), ActionEnd::Unknown, "probably not made, but that is not certain", 0, 0),
        (Fault::Reset, ActionEnd::Unknown, "probably not made, but that is not certain", 0, 0),
        (Fault::Garbage, ActionEnd::Unknown, "probably not made, but that is not certain", 0, 0),
        (Fault::Lost, ActionEnd::Done, "Alertmanager silences alertname", 1, 1),
        (Fault::Cut, ActionEnd::Done, "Alertmanager silences alertname", 1, 1),
    ] {
        with_stage(true, async |stage| {
            let plan = stage.plan(DISK).await.unwrap();
            stage.server.sim().faults.push_back(fault.clone());
            let outcome = stage.run(plan, 8).await.unwrap();
            assert_eq!(outcome.end, end, "{fault:?}: {outcome:?}");
            assert!(outcome.text.contains(said), "{fault:?}: {outcome:?}");
            let sim = stage.server.sim();
            assert_eq!(
                (sim.receiver.orders.len(), sim.receiver.silences.len(), sim.attempts.len()),
                (orders, made, 1),
                "{fault:?}"
            );
        });
    }
}

#[test]
fn a_server_that_is_gone_gets_no_order() {
    with_stage(true, async |stage| {
        let plan = stage.plan(DISK).await.unwrap();
        let Stage { server, actor } = stage;
        drop(server);
        let stage = Stage { server: Server::start(Alertmanager::default()).unwrap(), actor };
        let outcome = stage.run(plan, 9).await.unwrap();
        assert_eq!(outcome.end, ActionEnd::Failed);
        assert!(outcome.text.contains("Nothing was done."), "{outcome:?}");
        assert_eq!(stage.plan(DISK).await.unwrap_err().class, FailureClass::Unreachable);
    });
}

//! The players around the desk, and the desk among them.

use alert_desk::{AlertDesk, Config, Ports, SharedConfig};
use arc_swap::ArcSwap;
use contract::alerts::{AlertEvent, Finding, Judged, ReportFindings, Severity};
use contract::caller::{Caller, Origin, Scope};
use contract::chat::{RunTurn, TurnText};
use contract::failure::Failure;
use contract::ids::RequestId;
use contract::message::{Lane, Msg};
use contract::notify::{NoticeKind, OutboxRow, RowsQueued};
use contract::store::{AlertRecord, CommitAlerts, KeptAlerts, LoadAlerts, ReadAlertEvents, ReadAlerts, StoreError};
use contract::tools::{CallTool, ToolResult};
use jiff::tz::TimeZone;
use runtime::world::World;
use runtime::{Context, Handle, Mailbox, Policy, Port, Reply, Service};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the store holds, and how it behaves.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) alerts: BTreeMap<u64, AlertRecord>,
    pub(crate) states: BTreeMap<Arc<str>, String>,
    pub(crate) events: Vec<AlertEvent>,
    pub(crate) rows: Vec<OutboxRow>,
    pub(crate) commits: usize,
    /// Why nothing can be written now.
    pub(crate) broken: Option<String>,
    /// Why nothing can be read now.
    pub(crate) unreadable: Option<String>,
}

impl Shelf {
    fn commit(&mut self, change: CommitAlerts) -> Result<(), StoreError> {
        if let Some(why) = &self.broken {
            return Err(StoreError(why.clone()));
        }
        self.commits += 1;
        self.alerts.extend(change.alerts.into_iter().map(|record| (record.id, record)));
        self.events.extend(change.events);
        self.rows.extend(change.outbox);
        for (name, data) in change.states {
            match data {
                Some(data) => self.states.insert(name, data),
                None => self.states.remove(&name),
            };
        }
        Ok(())
    }

    fn load(&self) -> Result<KeptAlerts, StoreError> {
        if let Some(why) = &self.unreadable {
            return Err(StoreError(why.clone()));
        }
        Ok(KeptAlerts {
            live: self.alerts.values().filter(|record| record.is_live).cloned().collect(),
            last_id: self.alerts.keys().last().copied().unwrap_or(0),
            states: self.states.iter().map(|(name, data)| (Arc::clone(name), data.clone())).collect(),
        })
    }
}

/// An agent that answers when the test lets it.
pub(crate) struct Agent {
    turns: Arc<Mutex<Vec<RunTurn>>>,
    answer: Arc<Mutex<Option<Result<TurnText, Failure>>>>,
}

impl Service for Agent {
    type Observed = ();
    fn observe(&self) {}
}

/// Tells when nobody waits for a turn any more.
struct Dropped(Arc<Mutex<Vec<RunTurn>>>, RequestId);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.lock().unwrap().retain(|turn| turn.request_id != self.1);
    }
}

impl Handle<RunTurn> for Agent {
    fn handle(&mut self, turn: RunTurn, _: &Context<Self>) -> Reply<Result<TurnText, Failure>> {
        let guard = Dropped(Arc::clone(&self.turns), turn.request_id.clone());
        self.turns.lock().unwrap().push(turn);
        match self.answer.lock().unwrap().clone() {
            Some(answer) => Reply::Now(answer),
            None => Reply::later(async move {
                let _guard = guard;
                std::future::pending().await
            }),
        }
    }
}

/// A desk that runs, and everything around it.
pub(crate) struct Running {
    pub(crate) desk: Mailbox<AlertDesk>,
    pub(crate) shelf: Arc<Mutex<Shelf>>,
    /// What the notifier was told of.
    pub(crate) queued: Arc<Mutex<Vec<OutboxRow>>>,
    /// Turns that run.
    pub(crate) turns: Arc<Mutex<Vec<RunTurn>>>,
    pub(crate) answer: Arc<Mutex<Option<Result<TurnText, Failure>>>>,
    /// Signs of life that were sent.
    pub(crate) pings: Arc<Mutex<Vec<String>>>,
    pub(crate) ping_answer: Arc<Mutex<Result<(), String>>>,
    pub(crate) health: Arc<Mutex<Result<(), String>>>,
}

pub(crate) fn config(monitor: &str) -> Config {
    Config {
        monitor: serde_json::from_str(monitor).unwrap(),
        channels: vec!["phone".into(), "mail".into()],
        ..Config::default()
    }
}

impl Running {
    pub(crate) fn start(world: &World, monitor: &str) -> Self {
        Self::on(world, config(monitor), Arc::default())
    }

    /// A desk on a shelf that may hold something already.
    pub(crate) fn on(world: &World, config: Config, shelf: Arc<Mutex<Shelf>>) -> Self {
        let queued: Arc<Mutex<Vec<OutboxRow>>> = Arc::default();
        let turns: Arc<Mutex<Vec<RunTurn>>> = Arc::default();
        let answer: Arc<Mutex<Option<Result<TurnText, Failure>>>> = Arc::default();
        let pings: Arc<Mutex<Vec<String>>> = Arc::default();
        let ping_answer = Arc::new(Mutex::new(Ok(())));
        let health = Arc::new(Mutex::new(Ok(())));
        let agent = {
            let (turns, answer) = (Arc::clone(&turns), Arc::clone(&answer));
            let make = move || Agent { turns: Arc::clone(&turns), answer: Arc::clone(&answer) };
            world.supervision.start(&world.thread(), "agent", Policy::default(), make)
        };
        let on = |shelf: &Arc<Mutex<Shelf>>| Arc::clone(shelf);
        let ports = Ports {
            clock: Arc::clone(&world.clock) as _,
            ids: Arc::clone(&world.ids) as _,
            timezone: TimeZone::UTC,
            load: {
                let shelf = on(&shelf);
                Port::<LoadAlerts>::scripted("store", move |_| shelf.lock().unwrap().load())
            },
            commit: {
                let shelf = on(&shelf);
                Port::<CommitAlerts>::scripted("store", move |change| shelf.lock().unwrap().commit(change))
            },
            read_alerts: {
                let shelf = on(&shelf);
                Port::<ReadAlerts>::scripted("store", move |asked| {
                    let shelf = shelf.lock().unwrap();
                    let fits = |record: &&AlertRecord| match asked.id {
                        Some(id) => record.id == id,
                        None => record.ended.is_some_and(|ended| asked.since.is_none_or(|since| ended >= since)),
                    };
                    Ok(shelf.alerts.values().filter(fits).cloned().collect())
                })
            },
            read_events: {
                let shelf = on(&shelf);
                Port::<ReadAlertEvents>::scripted("store", move |asked| {
                    let shelf = shelf.lock().unwrap();
                    let fits = |event: &&AlertEvent| asked.alert.is_none_or(|id| event.alert == id);
                    Ok(shelf.events.iter().filter(fits).cloned().collect())
                })
            },
            queued: {
                let queued = Arc::clone(&queued);
                Port::<RowsQueued>::scripted("notifier", move |RowsQueued(rows)| queued.lock().unwrap().extend(rows))
            },
            run_turn: agent.port::<RunTurn>(Lane::Background),
            healthy: {
                let health = Arc::clone(&health);
                Arc::new(move || Box::pin(std::future::ready(health.lock().unwrap().clone())))
            },
            sender: {
                let (pings, answer) = (Arc::clone(&pings), Arc::clone(&ping_answer));
                Arc::new(move |ping| {
                    pings.lock().unwrap().push(ping.url);
                    Box::pin(std::future::ready(answer.lock().unwrap().clone()))
                })
            },
        };
        let config: SharedConfig = Arc::new(ArcSwap::from_pointee(config));
        let factory = AlertDesk::factory(config, ports);
        let desk = world.supervision.start(&world.thread(), "alert-desk", Policy::optional(), factory);
        Self { desk, shelf, queued, turns, answer, pings, ping_answer, health }
    }

    pub(crate) async fn ask<M: Msg>(&self, message: M) -> M::Reply
    where
        AlertDesk: Handle<M>,
    {
        self.desk.port::<M>(Lane::Interactive).ask(message, Duration::from_secs(60)).await.unwrap()
    }

    pub(crate) async fn report(&self, rule: &str, findings: &[Finding]) -> Result<(), StoreError> {
        self.ask(report(rule, findings)).await
    }

    /// What the notifier was told since the last time, as `channel kind: title`.
    pub(crate) fn told(&self) -> Vec<String> {
        let rows = std::mem::take(&mut *self.queued.lock().unwrap());
        rows.iter().map(|row| format!("{} {:?}: {}", row.channel, row.notice.kind, row.notice.title)).collect()
    }

    pub(crate) fn kinds(&self) -> Vec<NoticeKind> {
        self.queued.lock().unwrap().iter().filter(|row| &*row.channel == "phone").map(|row| row.notice.kind).collect()
    }

    pub(crate) async fn call(&self, name: &str, arguments: &str, caller: Caller) -> ToolResult {
        let call = CallTool {
            request_id: RequestId::new("r"),
            caller,
            name: name.into(),
            arguments: arguments.to_owned(),
            timeout: Duration::from_secs(30),
        };
        self.ask(call).await.unwrap()
    }
}

pub(crate) fn me() -> Caller {
    Caller { name: "me".into(), scope: Scope::Control, origin: Origin::Chat }
}

pub(crate) fn report(rule: &str, findings: &[Finding]) -> ReportFindings {
    let judged = Judged { rule: rule.into(), scope: "lab/".into(), findings: findings.to_vec(), unseen: Vec::new() };
    ReportFindings { source: "proxmox/lab".into(), is_baseline: false, judged: vec![judged] }
}

pub(crate) fn raised(rule: &str, object: &str, severity: Severity) -> Finding {
    let now = runtime::world::TestClock::ORIGIN;
    let mut finding = Finding::new(rule, format!("lab/{object}"), object, "is in trouble", Some(severity), now);
    finding.labels.add("cluster", "lab");
    finding
}

/// Lets simulated time pass.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

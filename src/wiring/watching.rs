//! The actors that watch and tell, beside the poller: alert desk, notifier, scheduler, and the tools for Prometheus. They share a thread with
//! the poller.
//!
//! Findings go one way: poller, scheduler, notifier and supervision → alert desk → notifier. What comes back (a person's button, a digest for a
//! job) is a question of its own.
//!
//! In a daemon for one command they look and answer; they tell nobody, run nothing by the clock, and write nothing.

use super::nowhere::{Books, Nowhere};
use agent_supervisor::approvals::ApprovalsDesk;
use alert_desk::AlertDesk;
use arc_swap::ArcSwap;
use contract::LocalBoxFuture;
use contract::alerts::{ReadAlertHistory, ReportFindings};
use contract::chat::RunTurn;
use contract::clock::SharedClock;
use contract::cluster::RunCheck;
use contract::ids::SharedIds;
use contract::message::{Drain, Lane, Reconfigure};
use contract::monitor::RuleBook;
use contract::notify::{Deliver, ListChannels};
use contract::store::StoreHealth;
use http_gateway::WatchPorts;
use jiff::tz::TimeZone;
use notifier::inbound::Desk;
use notifier::wire::open_network;
use notifier::{ChannelConfig, Notifier};
use prometheus::{ProbeServers, Prometheus};
use proxmox_poller::ProxmoxPoller;
use runtime::{Handle, Mailbox, Policy, Port, Supervision};
use scheduler::{Alarm, CronTicker, Scheduler, StepTicker, Ticker};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use store::Store;

/// How long an actor may take to bring its work to an end; the notifier sends what it can.
const DRAIN_DEADLINE: Duration = Duration::from_secs(8);
const RECONFIGURE_DEADLINE: Duration = Duration::from_secs(5);
/// How long the store and the notifier may take to say how they are, before a sign of life is held back.
const HEALTH_DEADLINE: Duration = Duration::from_secs(3);

/// The sections of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `[monitor]` and `[[notify.routes]]`.
    pub desk: alert_desk::Config,
    /// `[notify.channels]`.
    pub channels: notifier::Config,
    /// `[jobs]`.
    pub jobs: scheduler::Config,
    /// `[prometheus]` and `[alertmanager]`.
    pub prometheus: prometheus::Config,
}

/// What they are made of.
pub struct Parts<'a> {
    pub settings: Settings,
    pub clock: SharedClock,
    pub time_factor: f64,
    pub ids: SharedIds,
    pub supervision: &'a Supervision,
    pub thread: &'a actix_rt::ArbiterHandle,
    pub store: &'a Mailbox<Store>,
    /// What is written to instead of the store, in a daemon for one command.
    pub nowhere: Option<&'a Mailbox<Nowhere>>,
    /// Runs turns that nobody reads as they come; connected later.
    pub run_turn: Port<RunTurn>,
    /// Runs checks; connected later.
    pub run_check: Port<RunCheck>,
}

/// The configuration as the actors' factories read it.
pub struct Live {
    /// The rules, for the poller too.
    pub rules: Arc<ArcSwap<RuleBook>>,
    desk: alert_desk::SharedConfig,
    channels: notifier::SharedConfig,
    jobs: scheduler::SharedConfig,
    prometheus: prometheus::SharedConfig,
}

/// The running actors.
pub struct Watching {
    pub live: Live,
    pub desk: Mailbox<AlertDesk>,
    pub notifier: Mailbox<Notifier>,
    pub scheduler: Mailbox<Scheduler>,
    pub prometheus: Mailbox<Prometheus>,
    hears: Arc<OnceLock<Desk>>,
}

impl Settings {
    /// Their parts of the configuration, and for the desk the names of what others watch.
    pub fn of(settings: &crate::config::Settings) -> Self {
        fn names<'a>(names: impl Iterator<Item = &'a String>) -> BTreeSet<Arc<str>> {
            names.map(|name| Arc::from(name.as_str())).collect()
        }
        let jobs = settings.jobs.jobs.iter().filter(|(_, job)| job.enabled);
        let configured = alert_desk::Configured {
            clusters: names(settings.clusters.clusters.keys()),
            providers: names(settings.providers.providers.0.iter().map(|(name, _)| name)),
            jobs: names(jobs.map(|(name, _)| name)),
            mcp_servers: settings.mcp.names(),
        };
        Self {
            desk: alert_desk::Config { configured: Some(configured), ..settings.desk.clone() },
            channels: settings.channels.clone(),
            jobs: settings.jobs.clone(),
            prometheus: settings.prometheus.clone(),
        }
    }

    /// The same for a daemon that answers one command: nobody is told or listened to, no sign of life is sent, nothing is explained. The
    /// channels stay, for their state is asked for.
    fn for_one_command(mut self) -> Self {
        for channel in self.channels.channels.values_mut() {
            if let ChannelConfig::Telegram(telegram) = channel {
                telegram.allowed_users.clear();
            }
        }
        // It ends no alert for what it leaves out.
        self.desk.configured = None;
        self.desk.channels.clear();
        self.desk.routes.clear();
        self.desk.monitor.watchdog = None;
        self.desk.monitor.heartbeats.clear();
        self.desk.monitor.explain.enabled = false;
        self
    }
}

/// An alarm clock that never rings.
struct NoTicker;

impl Ticker for NoTicker {
    fn start(&self, _: Rc<dyn Fn()>) -> LocalBoxFuture<'static, Result<Alarm, String>> {
        Box::pin(std::future::pending())
    }
}

/// Starts them. None is required: chat goes on without any.
pub fn start(parts: Parts<'_>) -> Watching {
    let Parts { settings, clock, time_factor, ids, supervision, thread, store, nowhere, run_turn, run_check } = parts;
    let settings = if nowhere.is_some() { settings.for_one_command() } else { settings };
    let books = Books { store, nowhere };
    let zone = settings.desk.monitor.timezone.as_deref().and_then(|name| TimeZone::get(name).ok());
    let zone = zone.unwrap_or_else(TimeZone::system);
    let timezone: Arc<str> = zone.iana_name().unwrap_or("UTC").into();
    let live = Live {
        rules: Arc::new(ArcSwap::from_pointee(settings.desk.rules.clone())),
        desk: Arc::new(ArcSwap::from_pointee(settings.desk)),
        channels: Arc::new(ArcSwap::from_pointee(settings.channels)),
        jobs: Arc::new(ArcSwap::from_pointee(settings.jobs)),
        prometheus: Arc::new(ArcSwap::from_pointee(settings.prometheus)),
    };

    let hears: Arc<OnceLock<Desk>> = Arc::default();
    let notifier = {
        let ports = notifier::Ports {
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
            transport: open_network(),
            add: books.port(Lane::Interactive),
            load: books.port(Lane::Interactive),
            keep: books.port(Lane::Interactive),
            find: store.port(Lane::Interactive),
            dead: store.port(Lane::Interactive),
            states: store.port(Lane::Interactive),
            desk: Arc::clone(&hears),
            timezone: Arc::clone(&timezone),
        };
        let factory = Notifier::factory(Arc::clone(&live.channels), ports);
        supervision.start(thread, "notifier", Policy::optional(), factory)
    };

    let desk = {
        let ports = alert_desk::Ports {
            clock: Arc::clone(&clock),
            ids: Arc::clone(&ids),
            timezone: zone,
            load: store.port(Lane::Interactive),
            commit: books.port(Lane::Interactive),
            read_alerts: store.port(Lane::Interactive),
            read_events: store.port(Lane::Interactive),
            queued: notifier.port(Lane::Interactive),
            run_turn: run_turn.clone(),
            healthy: healthy(store.port(Lane::Control), notifier.port(Lane::Control)),
            sender: alert_desk::network_sender(),
        };
        let factory = AlertDesk::factory(Arc::clone(&live.desk), ports);
        supervision.start(thread, "alert-desk", Policy::optional(), factory)
    };

    let prometheus = {
        let ports = prometheus::Ports { clock: Arc::clone(&clock) };
        let factory = Prometheus::factory(Arc::clone(&live.prometheus), ports);
        supervision.start(thread, "prometheus", Policy::optional(), factory)
    };

    let scheduler = {
        let ticker: Arc<dyn Ticker> = match nowhere {
            Some(_) => Arc::new(NoTicker),
            None if time_factor > 1.0 => Arc::new(StepTicker::new(Arc::clone(&clock))),
            None => Arc::new(CronTicker),
        };
        let ports = scheduler::Ports {
            clock,
            time_factor: time_factor.max(1.0),
            ids,
            ticker,
            run_turn,
            run_check,
            digest: desk.port(Lane::Background),
            deliver: messages(&notifier, nowhere),
            report: reports(&desk, nowhere),
            keep_run: books.port(Lane::Background),
            read_runs: store.port(Lane::Background),
            interrupt_runs: books.port(Lane::Background),
            keep_states: books.port(Lane::Background),
            load_states: store.port(Lane::Background),
            timezone,
        };
        let factory = Scheduler::factory(Arc::clone(&live.jobs), ports);
        supervision.start(thread, "scheduler", Policy::optional(), factory)
    };
    Watching { live, desk, notifier, scheduler, prometheus, hears }
}

/// Where incidents are reported.
pub fn reports(desk: &Mailbox<AlertDesk>, nowhere: Option<&Mailbox<Nowhere>>) -> Port<ReportFindings> {
    nowhere.map_or_else(|| desk.port(Lane::Background), |nowhere| nowhere.port(Lane::Background))
}

/// Where messages to people are given.
pub fn messages(notifier: &Mailbox<Notifier>, nowhere: Option<&Mailbox<Nowhere>>) -> Port<Deliver> {
    nowhere.map_or_else(|| notifier.port(Lane::Interactive), |nowhere| nowhere.port(Lane::Interactive))
}

/// Whether HAIA could tell of an alert now: the store keeps, and at least one channel is not known to fail.
fn healthy(store: Port<StoreHealth>, channels: Port<ListChannels>) -> alert_desk::Healthy {
    Arc::new(move || {
        let (store, channels) = (store.clone(), channels.clone());
        Box::pin(async move {
            let report = store.try_ask(StoreHealth, HEALTH_DEADLINE).await.map_err(|fault| fault.to_string())?;
            if let Some(problem) = report.problem {
                return Err(problem);
            }
            let channels = channels.try_ask(ListChannels, HEALTH_DEADLINE).await.map_err(|fault| fault.to_string())?;
            let works = |state: &str| !matches!(state, "retrying" | "refused" | "failing");
            if !channels.is_empty() && !channels.iter().any(|channel| works(&channel.state)) {
                return Err("no notification channel works".to_owned());
            }
            Ok(())
        })
    })
}

impl Watching {
    /// Lets the notifier hear people: what they press and write goes to the desk and to the agent.
    pub fn hear(&self, poller: &Mailbox<ProxmoxPoller>, approvals: &Mailbox<ApprovalsDesk>, ask: Port<RunTurn>) {
        let desk = Desk {
            report: self.desk.port(Lane::Background),
            acknowledge: self.desk.port(Lane::Interactive),
            expect: self.desk.port(Lane::Interactive),
            silence: self.desk.port(Lane::Interactive),
            silences: self.desk.port(Lane::Interactive),
            alerts: self.desk.port(Lane::Interactive),
            clusters: poller.port(Lane::Interactive),
            decide: approvals.port(Lane::Interactive),
            proposals: approvals.port(Lane::Interactive),
            ask,
        };
        if self.hears.set(desk).is_err() {
            tracing::error!("the notifier was connected twice");
        }
    }

    /// What the routes for operators use.
    pub fn gateway_ports(&self) -> WatchPorts {
        let (desk, scheduler, notifier) = (&self.desk, &self.scheduler, &self.notifier);
        WatchPorts {
            alerts: desk.port(Lane::Interactive),
            show_alert: desk.port(Lane::Interactive),
            alert_history: desk.port(Lane::Interactive),
            acknowledge: desk.port(Lane::Interactive),
            expect_alert: desk.port(Lane::Interactive),
            add_silence: desk.port(Lane::Interactive),
            end_silence: desk.port(Lane::Interactive),
            silences: desk.port(Lane::Interactive),
            desk: desk.port(Lane::Interactive),
            beat: desk.port(Lane::Interactive),
            alertmanager: desk.port(Lane::Interactive),
            jobs: scheduler.port(Lane::Interactive),
            job_history: scheduler.port(Lane::Interactive),
            run_job: scheduler.port(Lane::Interactive),
            pause_job: scheduler.port(Lane::Interactive),
            channels: notifier.port(Lane::Interactive),
            dead_letters: notifier.port(Lane::Interactive),
            test_channel: notifier.port(Lane::Interactive),
        }
    }

    /// Probes Prometheus and Alertmanager, for `haia check`.
    pub fn probe(&self) -> Port<ProbeServers> {
        self.prometheus.port(Lane::Interactive)
    }

    /// Gives each its part of a new configuration. Whether the rules have changed, which the poller is to be told.
    pub async fn reconfigure(&self, settings: Settings) -> bool {
        let old = self.live.desk.load_full();
        let rules_changed = old.rules != settings.desk.rules;
        if rules_changed {
            self.live.rules.store(Arc::new(settings.desk.rules.clone()));
        }
        // The channels first: a route of the desk may name a new one.
        take_over(&self.notifier, &self.live.channels, settings.channels).await;
        take_over(&self.desk, &self.live.desk, settings.desk).await;
        take_over(&self.scheduler, &self.live.jobs, settings.jobs).await;
        take_over(&self.prometheus, &self.live.prometheus, settings.prometheus).await;
        rules_changed
    }

    /// Stops firing jobs.
    pub async fn drain(&self) {
        drain("scheduler", self.scheduler.port(Lane::Control)).await;
    }

    /// Brings what was decided to its end: the desk's changes are stored, the notifier sends what it can.
    pub async fn finish(&self) {
        drain("alert-desk", self.desk.port(Lane::Control)).await;
        drain("notifier", self.notifier.port(Lane::Control)).await;
    }
}

impl super::Actors {
    /// Reads what happened to alerts.
    pub fn alert_history(&self) -> Port<ReadAlertHistory> {
        self.watching.desk.port(Lane::Background)
    }
}

async fn drain(actor: &'static str, port: Port<Drain>) {
    if let Err(fault) = port.ask(Drain, DRAIN_DEADLINE).await {
        tracing::warn!(actor, %fault, "an actor did not drain");
    }
}

/// Publishes a section for factories and tells the actor, if it differs.
async fn take_over<A, C>(mailbox: &Mailbox<A>, live: &ArcSwap<C>, config: C)
where
    A: Handle<Reconfigure<C>>,
    C: PartialEq + Send + Sync + 'static,
{
    if **live.load() == config {
        return;
    }
    live.store(Arc::new(config));
    let told = mailbox.port(Lane::Control).ask(Reconfigure(live.load_full()), RECONFIGURE_DEADLINE).await;
    if let Err(fault) = told {
        tracing::warn!(%fault, "an actor takes the new configuration over when it is built afresh");
    }
}

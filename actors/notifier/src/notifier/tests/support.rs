//! A notifier with a store in memory, receivers that are simulated, and time that stands still until everybody waits. The power can be cut
//! after any step.

use crate::channels::{Answer, Dispatch, HttpRequest, Verb};
use crate::config::{ChannelConfig, Config};
use crate::inbound::Desk;
use crate::message::tests::{member, notice};
use crate::wire::{Transport, WireError};
use crate::{Notifier, Ports};
use arc_swap::ArcSwap;
use contract::LocalBoxFuture;
use contract::alerts::{
    Acknowledge, AddSilence, AlertState, AlertView, ExpectAlert, Finding, ListAlerts, ListSilences, ReportFindings,
    Severity, SilenceView,
};
use contract::approvals::{DecideProposal, ListProposals};
use contract::chat::{RunTurn, TurnText};
use contract::clock::{Clock, SharedClock};
use contract::cluster::ListClusters;
use contract::failure::{Failure, FailureClass};
use contract::message::Lane;
use contract::notify::{Deliver, DeliveryState, Notice, NoticeKind, OutboxRow, RowsQueued};
use contract::store::{
    AddToOutbox, FindDelivered, KeepDeliveries, LoadOutbox, LoadStates, ReadDeadLetters, StoreError,
};
use runtime::world::World;
use runtime::{Mailbox, Policy, Port};
use sim_receivers::{Break, Discord, Receiver, Recorder, Reply, Request, Sim, Step, Telegram};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Steps until the power is cut; negative: never.
#[derive(Debug)]
pub(crate) struct Fuse(pub(crate) i64);

impl Fuse {
    /// Takes a step; `false`: there is no power.
    fn step(&mut self) -> bool {
        if self.0 < 0 {
            return true;
        }
        self.0 = (self.0 - 1).max(0);
        self.0 > 0
    }
}

/// What outlives the notifier.
pub(crate) struct Outside {
    pub(crate) rows: Mutex<BTreeMap<Arc<str>, OutboxRow>>,
    pub(crate) states: Mutex<BTreeMap<Arc<str>, String>>,
    pub(crate) fuse: Mutex<Fuse>,
    pub(crate) telegram: Mutex<Sim<Telegram>>,
    pub(crate) discord: Mutex<Sim<Discord>>,
    pub(crate) hook: Mutex<Sim<Recorder>>,
    pub(crate) reports: Mutex<Vec<ReportFindings>>,
    pub(crate) done: Mutex<Vec<String>>,
    pub(crate) silences: Mutex<Vec<SilenceView>>,
    /// Receivers that refuse connections.
    pub(crate) down: Mutex<Vec<&'static str>>,
    /// Whether the store refuses writes.
    pub(crate) is_store_broken: Mutex<bool>,
    /// Whether it begins to refuse them with the first row that was sent.
    pub(crate) breaks_after_sent: Mutex<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            rows: Mutex::default(),
            states: Mutex::default(),
            fuse: Mutex::new(Fuse(-1)),
            telegram: Mutex::new(Sim::new(Telegram::new("1:secret"))),
            discord: Mutex::new(Sim::new(Discord::new("/api/webhooks/1/secret"))),
            hook: Mutex::new(Sim::new(Recorder::default())),
            reports: Mutex::default(),
            done: Mutex::default(),
            silences: Mutex::default(),
            down: Mutex::default(),
            is_store_broken: Mutex::default(),
            breaks_after_sent: Mutex::default(),
        }
    }
}

impl Outside {
    pub(crate) fn telegram(&self) -> MutexGuard<'_, Sim<Telegram>> {
        lock(&self.telegram)
    }

    pub(crate) fn discord(&self) -> MutexGuard<'_, Sim<Discord>> {
        lock(&self.discord)
    }

    pub(crate) fn hook(&self) -> MutexGuard<'_, Sim<Recorder>> {
        lock(&self.hook)
    }

    /// The texts that Telegram got.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.telegram().receiver.messages.iter().map(|message| message.text.clone()).collect()
    }

    pub(crate) fn state_of(&self, title: &str, channel: &str) -> DeliveryState {
        let rows = lock(&self.rows);
        rows.values().find(|row| row.notice.title == title && &*row.channel == channel).unwrap().state
    }

    fn power(&self) -> Result<(), StoreError> {
        match lock(&self.fuse).step() {
            true => Ok(()),
            false => Err(StoreError("there is no power".to_owned())),
        }
    }

    fn keep(&self, keep: KeepDeliveries) -> Result<(), StoreError> {
        self.power()?;
        if keep.news.iter().any(|news| news.state == DeliveryState::Sent)
            && std::mem::take(&mut *lock(&self.breaks_after_sent))
        {
            *lock(&self.is_store_broken) = true;
        }
        if *lock(&self.is_store_broken) {
            return Err(StoreError("the disk is full".to_owned()));
        }
        let mut rows = lock(&self.rows);
        for news in keep.news {
            let Some(row) = rows.get_mut(&news.id) else { continue };
            row.state = news.state;
            row.attempts = news.attempts;
            row.next_at = news.next_at;
            row.last_error = news.last_error;
            row.remote_id = news.remote_id;
        }
        // In the order of the real store.
        for row in keep.rows {
            rows.entry(Arc::clone(&row.id)).or_insert(row);
        }
        let mut states = lock(&self.states);
        for (name, state) in keep.states {
            match state {
                Some(state) => states.insert(name, state),
                None => states.remove(&name),
            };
        }
        Ok(())
    }

    fn select(&self, pick: impl Fn(&OutboxRow) -> bool) -> Vec<OutboxRow> {
        lock(&self.rows).values().filter(|row| pick(row)).cloned().collect()
    }
}

/// The way to a simulated receiver.
struct Wire {
    outside: Arc<Outside>,
    clock: SharedClock,
    to: &'static str,
}

impl Wire {
    fn step(&self, request: &Request) -> Step {
        fn of<R: Receiver>(sim: &Mutex<Sim<R>>, now: Duration, request: &Request) -> Step {
            lock(sim).step(now, request)
        }
        let now = self.clock.monotonic();
        match self.to {
            "telegram" => of(&self.outside.telegram, now, request),
            "discord" => of(&self.outside.discord, now, request),
            _ => of(&self.outside.hook, now, request),
        }
    }
}

fn answer(reply: Reply) -> Answer {
    Answer { status: reply.status, headers: reply.headers, body: reply.body.into() }
}

/// A request as a receiver sees it.
pub(crate) fn seen(request: &HttpRequest) -> Request {
    let path = request.url.split_once("://").map_or("", |(_, rest)| rest);
    let method = match request.verb {
        Verb::Post => "POST",
        Verb::Patch => "PATCH",
        Verb::Get => "GET",
        Verb::Head => "HEAD",
    };
    Request {
        method: method.to_owned(),
        path: path[path.find('/').unwrap_or(path.len())..].to_owned(),
        headers: request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect(),
        body: request.body.clone(),
    }
}

impl Transport for Wire {
    fn send(&self, dispatch: Dispatch) -> LocalBoxFuture<'static, Result<Answer, WireError>> {
        let Dispatch::Http(request) = dispatch else { panic!("no mail here") };
        let request = seen(&request);
        let wire = Wire { outside: Arc::clone(&self.outside), clock: Arc::clone(&self.clock), to: self.to };
        Box::pin(async move {
            if lock(&wire.outside.down).contains(&wire.to) {
                return Err(WireError::NotSent("connection refused".to_owned()));
            }
            let is_poll = request.path.ends_with("getUpdates") || request.path.ends_with("getMe");
            if !is_poll && wire.outside.power().is_err() {
                return std::future::pending().await;
            }
            let step = loop {
                match wire.step(&request) {
                    Step::Hold => wire.clock.pause(Duration::from_millis(50)).await,
                    step => break step,
                }
            };
            if !is_poll && wire.outside.power().is_err() {
                return std::future::pending().await;
            }
            match step {
                Step::Answer(reply) => Ok(answer(reply)),
                Step::Break(Break::Hang) | Step::Hold => std::future::pending().await,
                Step::Break(_) => Err(WireError::Lost("the connection ended".to_owned())),
            }
        })
    }
}

fn view(id: u64) -> AlertView {
    let since = "2026-03-01T11:48:00Z".parse().unwrap();
    AlertView {
        id,
        name: "guest_crashed:lab/guest/101".to_owned(),
        state: AlertState::Acknowledged,
        severity: Severity::Critical,
        opened: Some(since),
        ended: None,
        acknowledged: None,
        held: None,
        cause: None,
        is_flapping: false,
        explanation: None,
        finding: Finding::new(
            "guest_crashed",
            "lab/guest/101",
            "web-01 (101)",
            "crashed",
            Some(Severity::Critical),
            since,
        ),
    }
}

fn desk(outside: &Arc<Outside>) -> Desk {
    let note = |outside: &Arc<Outside>, text: String| lock(&outside.done).push(text);
    let of = |outside: &Arc<Outside>| Arc::clone(outside);
    let (acknowledging, expecting, silencing, listing, reporting, asking, deciding) =
        (of(outside), of(outside), of(outside), of(outside), of(outside), of(outside), of(outside));
    Desk {
        report: Port::scripted("alert-desk", move |report: ReportFindings| {
            lock(&reporting.reports).push(report);
            Ok(())
        }),
        acknowledge: Port::scripted("alert-desk", move |ack: Acknowledge| {
            note(&acknowledging, format!("ack {} by {}", ack.id, ack.by.name));
            Ok(view(ack.id))
        }),
        expect: Port::scripted("alert-desk", move |expect: ExpectAlert| {
            note(&expecting, format!("expect {}", expect.id));
            Ok(view(expect.id))
        }),
        silence: Port::scripted("alert-desk", move |silence: AddSilence| {
            note(&silencing, format!("silence {:?} {}s", silence.alert, silence.duration.as_secs()));
            let at = "2026-03-01T12:00:00Z".parse().unwrap();
            let view = SilenceView {
                id: 1,
                matchers: Vec::new(),
                from: at,
                until: at,
                by: silence.by.name,
                reason: silence.reason,
            };
            lock(&silencing.silences).push(view.clone());
            Ok(view)
        }),
        silences: Port::scripted("alert-desk", move |_: ListSilences| lock(&listing.silences).clone()),
        alerts: Port::scripted("alert-desk", |_: ListAlerts| Ok(vec![view(17)])),
        clusters: Port::scripted("proxmox-poller", |_: ListClusters| Vec::new()),
        decide: Port::scripted("approvals-desk", move |decision: DecideProposal| {
            let user = decision.by.telegram_user.unwrap_or_default();
            note(&deciding, format!("decide {} {} by {user}", decision.id, decision.approve));
            Err(Failure::new(FailureClass::NotFound, format!("there is no proposal {}", decision.id)))
        }),
        proposals: Port::scripted("approvals-desk", |_: ListProposals| Ok(Vec::new())),
        ask: Port::scripted("agent-supervisor", move |turn: RunTurn| {
            note(&asking, format!("ask {:?} by {}", turn.question, turn.caller.name));
            let text = format!("You asked: {}", turn.question);
            Ok(TurnText { text, model: "builtin/offline".into(), tools: Vec::new(), usage: None })
        }),
    }
}

/// The ports of a notifier.
pub(crate) fn ports(world: &World, outside: &Arc<Outside>) -> Ports {
    let of = || Arc::clone(outside);
    let (adding, loading, keeping, finding, burying, stating) = (of(), of(), of(), of(), of(), of());
    let clock: SharedClock = world.clock.clone();
    let (wired, timed) = (of(), Arc::clone(&clock));
    let later = Arc::new(std::sync::OnceLock::new());
    assert!(later.set(desk(outside)).is_ok());
    Ports {
        clock,
        ids: world.ids.clone(),
        transport: Arc::new(move |config: &ChannelConfig| {
            let to = match config {
                ChannelConfig::Telegram(_) => "telegram",
                ChannelConfig::Discord(_) => "discord",
                _ => "hook",
            };
            Rc::new(Wire { outside: Arc::clone(&wired), clock: Arc::clone(&timed), to })
        }),
        add: Port::scripted("store", move |add: AddToOutbox| {
            adding.power()?;
            lock(&adding.rows).extend(add.0.into_iter().map(|row| (Arc::clone(&row.id), row)));
            Ok(())
        }),
        load: Port::scripted("store", move |_: LoadOutbox| {
            Ok(loading.select(|row| matches!(row.state, DeliveryState::Queued | DeliveryState::Sending)))
        }),
        keep: Port::scripted("store", move |keep: KeepDeliveries| keeping.keep(keep)),
        find: Port::scripted("store", move |find: FindDelivered| {
            Ok(finding.select(|row| {
                row.channel == find.channel && row.notice.thread == find.thread && row.state == DeliveryState::Sent
            }))
        }),
        dead: Port::scripted("store", move |_: ReadDeadLetters| {
            Ok(burying.select(|row| row.state == DeliveryState::Dead))
        }),
        states: Port::scripted("store", move |_: LoadStates| {
            Ok(lock(&stating.states).iter().map(|(name, state)| (Arc::clone(name), state.clone())).collect())
        }),
        desk: later,
        timezone: "Europe/Paris".into(),
    }
}

pub(crate) const TELEGRAM: &str =
    r#"{"telegram":{"kind":"telegram","bot_token":"1:secret","chat_id":"7","api_base":"http://sim"}}"#;
pub(crate) const LISTENING: &str = r#"{"telegram":{"kind":"telegram","bot_token":"1:secret","chat_id":"7","api_base":"http://sim","allowed_users":[5]}}"#;
pub(crate) const ALL: &str = r#"{"telegram":{"kind":"telegram","bot_token":"1:secret","chat_id":"7","api_base":"http://sim"},
    "discord":{"kind":"discord","webhook_url":"http://sim/api/webhooks/1/secret"},
    "hook":{"kind":"webhook","url":"http://sim/hook","secret":"shared"}}"#;

/// A notifier with this configuration.
pub(crate) fn start(world: &World, outside: &Arc<Outside>, config: &str) -> Mailbox<Notifier> {
    let config: Config = serde_json::from_str(config).unwrap();
    let config = Arc::new(ArcSwap::from_pointee(config));
    let factory = Notifier::factory(config, ports(world, outside));
    world.supervision.start(&world.thread(), "notifier", Policy::optional(), factory)
}

/// Lets simulated time pass.
pub(crate) async fn pass(world: &World, time: Duration) {
    world.clock.pause(time).await;
    world.settle().await;
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An alert of one guest opens, or ends.
pub(crate) fn alert(number: u64, is_over: bool) -> Notice {
    let (kind, what) = if is_over { (NoticeKind::Resolved, "runs again") } else { (NoticeKind::Opened, "crashed") };
    let mut told = notice(kind, Severity::Critical, &format!("vm-{number:03} {what}"));
    told.id = format!("n-{number}-{is_over}").into();
    told.thread = format!("thread-{number}").into();
    let mut one = member(number, &format!("vm-{number:03}"), what);
    one.ended = is_over.then(|| "2026-03-01T11:59:00Z".parse().unwrap());
    told.members.push(one);
    told
}

/// Delivers to every channel.
pub(crate) async fn deliver(notifier: &Mailbox<Notifier>, notice: Notice) {
    deliver_to(notifier, notice, &[]).await;
}

pub(crate) async fn deliver_to(notifier: &Mailbox<Notifier>, notice: Notice, channels: &[&str]) {
    let channels = channels.iter().map(|channel| (*channel).into()).collect();
    let port = notifier.port::<Deliver>(Lane::Interactive);
    port.ask(Deliver { notice, channels }, seconds(30)).await.unwrap().unwrap();
}

/// Rows that somebody else has stored: the alert desk's way.
pub(crate) fn queue(
    world: &World,
    outside: &Outside,
    notices: impl IntoIterator<Item = Notice>,
    channel: &str,
) -> Vec<OutboxRow> {
    use contract::ids::Ids as _;
    let rows: Vec<OutboxRow> = notices
        .into_iter()
        .map(|notice| OutboxRow {
            id: world.ids.unique().into(),
            channel: channel.into(),
            notice: Arc::new(notice),
            state: DeliveryState::Queued,
            attempts: 0,
            queued_at: world.clock.now(),
            next_at: None,
            last_error: None,
            remote_id: None,
        })
        .collect();
    lock(&outside.rows).extend(rows.iter().map(|row| (Arc::clone(&row.id), row.clone())));
    rows
}

pub(crate) fn tell(notifier: &Mailbox<Notifier>, rows: Vec<OutboxRow>) {
    notifier.port::<RowsQueued>(Lane::Interactive).tell(RowsQueued(rows)).unwrap();
}

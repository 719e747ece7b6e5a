//! The actor: keeps the outbox in lanes, one per channel, sends what is due, and tells how its channels do.
//!
//! Rows are stored before they come here. Every request runs beside the actor and comes back as a message, so that a receiver that hangs
//! delays no other. What a lane does next is decided in [`crate::lane`].

mod attempt;
mod handlers;
mod journal;
mod outbox;
mod report;
#[cfg(test)]
pub(crate) mod tests;

use crate::channels::{Outcome, channel};
use crate::config::{ChannelConfig, Config};
use crate::inbound::{Desk, Inbox};
use crate::lane::{Lane, Next, Now};
use crate::wire::{OpenTransport, Transport};
use arc_swap::ArcSwap;
use attempt::Way;
use contract::clock::SharedClock;
use contract::failure::Failure;
use contract::ids::SharedIds;
use contract::message::{Fault, Lane as MailboxLane, Msg};
use contract::notify::{ChannelStatus, DeliveryState};
use contract::store::{AddToOutbox, FindDelivered, KeepDeliveries, LoadOutbox, LoadStates, ReadDeadLetters};
use journal::{Batch, Journal};
use report::Reports;
use runtime::{Context, Port, Service};
use serde::Serialize;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// The name under which the store keeps the notifier's states.
pub(crate) const OWNER: &str = "notifier";
/// How often the outbox is read again, in case a word was lost; and reports are made.
const BEAT: Duration = Duration::from_secs(30);
/// How long a message to the actor itself may wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the store may take.
pub(crate) const STORE: Duration = Duration::from_secs(10);

/// The configuration as the composition root publishes it: a crashed notifier starts again with the newest.
pub type SharedConfig = Arc<ArcSwap<Config>>;

/// What the notifier needs of others.
#[derive(Clone)]
pub struct Ports {
    /// Time.
    pub clock: SharedClock,
    /// Ids and jitter.
    pub ids: SharedIds,
    /// The way to receivers: [`crate::wire::open_network`].
    pub transport: OpenTransport,
    /// Stores rows.
    pub add: Port<AddToOutbox>,
    /// Reads the rows that are not done.
    pub load: Port<LoadOutbox>,
    /// Keeps what became of rows.
    pub keep: Port<KeepDeliveries>,
    /// Finds messages of a thread.
    pub find: Port<FindDelivered>,
    /// Reads rows that were given up.
    pub dead: Port<ReadDeadLetters>,
    /// Reads the notifier's own states.
    pub states: Port<LoadStates>,
    /// The alert desk and the agent. They need the notifier first, so the composition root fills this in once they run; what happens before is
    /// reported, and people's commands are taken, as soon as it is there.
    pub desk: Arc<OnceLock<Desk>>,
    /// The time zone of answers to people, by its IANA name.
    pub timezone: Arc<str>,
}

/// One channel at work.
struct Post {
    config: ChannelConfig,
    lane: Lane,
    transport: Rc<dyn Transport>,
    /// Ends what listens to this channel when dropped.
    listening: Option<watch::Sender<()>>,
    /// When the next look at the lane is due, in real time.
    wake_at: Option<Duration>,
}

/// The actor.
pub struct Notifier {
    ports: Ports,
    posts: Vec<Post>,
    journal: Journal,
    reports: Reports,
    /// Who waits for a test.
    tests: HashMap<Arc<str>, oneshot::Sender<Result<String, Failure>>>,
    /// Rows that ended a moment ago: an answer of the store may be older than that.
    ended: HashMap<Arc<str>, Duration>,
    /// Whether the outbox was read: before, nothing is sent.
    is_loaded: bool,
    draining_until: Option<Duration>,
    /// When old rows are forgotten next.
    forget_at: Duration,
    /// Whether anything can still be sent before the end.
    busy: watch::Sender<bool>,
}

/// What the notifier tells of itself.
#[derive(Debug, Serialize)]
pub struct Observed {
    /// Each channel.
    channels: Vec<ChannelStatus>,
    /// Whether the outbox was read.
    is_loaded: bool,
    /// Changes that the store has not taken yet.
    unsaved: usize,
}

/// Time to look at every lane.
pub(crate) struct Wake;

impl Msg for Wake {
    type Reply = ();
    const NAME: &'static str = "Wake";
}

/// A batch was stored, or not.
struct Kept(u64, Option<Batch>);

impl Msg for Kept {
    type Reply = ();
    const NAME: &'static str = "Kept";
}

/// A request came to its end.
struct Attempted {
    channel: Arc<str>,
    kept: Option<(u64, Option<Batch>)>,
    result: Attempt,
}

enum Attempt {
    /// What had to be stored before was not.
    NotMade,
    /// Of so many parts, one.
    Row(Outcome, usize),
    Mark(Option<Outcome>),
}

impl Msg for Attempted {
    type Reply = ();
    const NAME: &'static str = "Attempted";
}

impl Notifier {
    /// What supervision builds the actor with.
    pub fn factory(config: SharedConfig, ports: Ports) -> impl Fn() -> Self + Send + 'static {
        move || {
            let mut notifier = Self {
                ports: ports.clone(),
                posts: Vec::new(),
                journal: Journal::default(),
                reports: Reports::default(),
                tests: HashMap::new(),
                ended: HashMap::new(),
                is_loaded: false,
                draining_until: None,
                forget_at: Duration::ZERO,
                busy: watch::channel(false).0,
            };
            for (name, channel) in &config.load().channels {
                notifier.open(name, channel);
            }
            notifier
        }
    }

    fn open(&mut self, name: &str, config: &ChannelConfig) {
        self.posts.push(Post {
            config: config.clone(),
            lane: Lane::new(name.into(), channel(config)),
            transport: (self.ports.transport)(config),
            listening: None,
            wake_at: None,
        });
    }

    /// Takes over a configuration: unchanged channels go on as they are.
    fn take_over(&mut self, config: &Config) {
        let mut keep = KeepDeliveries::default();
        let (mut kept, gone): (Vec<Post>, Vec<Post>) = std::mem::take(&mut self.posts)
            .into_iter()
            .partition(|post| config.channels.contains_key(&*post.lane.name));
        for mut post in gone {
            crate::lane::join(&mut keep, post.lane.close());
        }
        for post in &mut kept {
            if let Some(new) = config.channels.get(&*post.lane.name).filter(|new| **new != post.config) {
                post.lane.change(channel(new));
                post.config = new.clone();
                post.transport = (self.ports.transport)(new);
                post.listening = None;
                post.wake_at = None;
            }
        }
        self.posts = kept;
        for (name, channel) in &config.channels {
            if !self.posts.iter().any(|post| *post.lane.name == **name) {
                self.open(name, channel);
            }
        }
        self.journal_only(keep);
    }

    fn now(&self) -> Now {
        let clock = &self.ports.clock;
        Now { mono: clock.monotonic(), wall: clock.wall(), haia: clock.now() }
    }

    fn jitter(&self) -> f64 {
        let mut random = [0; 4];
        self.ports.ids.secret(&mut random);
        f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX)
    }

    fn post(&mut self, name: &str) -> Option<&mut Post> {
        self.posts.iter_mut().find(|post| *post.lane.name == *name)
    }

    /// Listens to the channels that people can write to.
    fn listen(&mut self, context: &Context<Self>) {
        if self.draining_until.is_some() || !self.is_loaded {
            return;
        }
        // Nobody at the other end: it has never begun, or has crashed.
        let is_deaf = |post: &&mut Post| post.listening.as_ref().is_none_or(watch::Sender::is_closed);
        for post in self.posts.iter_mut().filter(is_deaf) {
            let ChannelConfig::Telegram(telegram) = &post.config else { continue };
            if telegram.allowed_users.is_empty() {
                continue;
            }
            let inbox = Inbox {
                channel: Arc::clone(&post.lane.name),
                telegram: crate::channels::telegram::Telegram::new(telegram.clone()),
                transport: (self.ports.transport)(&post.config),
                moved_to: Rc::clone(post.lane.moved_to()),
                bucket: Rc::clone(post.lane.bucket()),
                clock: Arc::clone(&self.ports.clock),
                ids: Arc::clone(&self.ports.ids),
                states: self.ports.states.clone(),
                keep: self.ports.keep.clone(),
                wake: context.mailbox().port(MailboxLane::Interactive),
                deliver: context.mailbox().port(MailboxLane::Interactive),
                desk: Arc::clone(&self.ports.desk),
                timezone: Arc::clone(&self.ports.timezone),
            };
            let (listening, ended) = watch::channel(());
            post.listening = Some(listening);
            context.spawn(Rc::new(inbox).listen(ended));
        }
    }

    /// Looks at every lane.
    fn advance_all(&mut self, context: &Context<Self>) {
        for at in 0..self.posts.len() {
            self.advance(at, KeepDeliveries::default(), context);
        }
        self.store(KeepDeliveries::default(), context);
        self.tell_busy();
    }

    /// Does what the lane wants next; `keep` is stored with it.
    fn advance(&mut self, at: usize, mut keep: KeepDeliveries, context: &Context<Self>) {
        if !self.is_loaded {
            return self.store(keep, context);
        }
        let (now, ids) = (self.now(), Arc::clone(&self.ports.ids));
        let post = &mut self.posts[at];
        let (more, next) = post.lane.next(now, &mut || ids.unique());
        crate::lane::join(&mut keep, more);
        self.note_ends(&keep, now);
        let post = &mut self.posts[at];
        let way = Way {
            channel: Rc::clone(post.lane.channel()),
            transport: Rc::clone(&post.transport),
            clock: Arc::clone(&self.ports.clock),
            find: self.ports.find.clone(),
        };
        let (name, moved_to) = (Arc::clone(&post.lane.name), post.lane.moved_to().borrow().clone());
        match next {
            Next::Idle => self.store(keep, context),
            Next::Wait(until) => {
                let due = post.wake_at.filter(|wake| *wake > now.mono);
                if due.is_none_or(|due| until < due) {
                    post.wake_at = Some(until);
                    self.wake_after(until.saturating_sub(now.mono), context);
                }
                self.store(keep, context);
            }
            Next::Send(attempt) => self.fly(name, keep, context, async move {
                let of = attempt.parts.len();
                Attempt::Row(way.send(&attempt).await, of)
            }),
            Next::Mark(thread) => self.fly(Arc::clone(&name), keep, context, async move {
                Attempt::Mark(way.mark(&name, &thread, moved_to).await)
            }),
        }
    }

    /// Stores what must be stored before, makes the request, and brings home what became of it.
    fn fly(
        &mut self,
        channel: Arc<str>,
        keep: KeepDeliveries,
        context: &Context<Self>,
        request: impl Future<Output = Attempt> + 'static,
    ) {
        let batch = self.journal.issue(keep);
        let port = self.ports.keep.clone();
        let home = context.mailbox().port::<Attempted>(MailboxLane::Interactive);
        context.spawn(async move {
            let kept = match batch {
                Some(batch) => Some(keep_batch(&port, batch).await),
                None => None,
            };
            let result = match &kept {
                Some((_, Some(_))) => Attempt::NotMade,
                _ => request.await,
            };
            bring(&home, Attempted { channel, kept, result }).await;
        });
    }

    /// Stores changes.
    fn store(&mut self, keep: KeepDeliveries, context: &Context<Self>) {
        let Some(batch) = self.journal.issue(keep) else { return };
        let port = self.ports.keep.clone();
        let home = context.mailbox().port::<Kept>(MailboxLane::Interactive);
        context.spawn(async move {
            let (number, left) = keep_batch(&port, batch).await;
            bring(&home, Kept(number, left)).await;
        });
    }

    /// Takes note of changes that go out with the next batch.
    fn journal_only(&mut self, keep: KeepDeliveries) {
        if let Some(batch) = self.journal.issue(keep) {
            self.journal.failed(batch);
        }
    }

    fn wake_after(&self, wait: Duration, context: &Context<Self>) {
        let (clock, home) = (Arc::clone(&self.ports.clock), context.mailbox().port::<Wake>(MailboxLane::Interactive));
        context.spawn(async move {
            // Timers end at whole milliseconds: never a moment too early.
            clock.pause(wait + Duration::from_millis(1)).await;
            bring(&home, Wake).await;
        });
    }

    /// Whoever waits for a test is told, and an older answer of the store will not bring these rows back.
    fn note_ends(&mut self, keep: &KeepDeliveries, now: Now) {
        let is_past = |ended: &Duration| now.mono.saturating_sub(*ended) >= 2 * BEAT + PATIENCE;
        if self.ended.values().any(is_past) {
            // What the store does not know yet it would bring back: those stay until it does, and a while longer.
            let unsaved = self.journal.unsaved();
            self.ended.retain(|id, ended| {
                if unsaved.contains(id) {
                    *ended = now.mono;
                }
                !is_past(ended)
            });
        }
        for news in &keep.news {
            let is_over = match news.state {
                DeliveryState::Sent | DeliveryState::Dead | DeliveryState::Merged => true,
                DeliveryState::Queued | DeliveryState::Sending => false,
            };
            if is_over {
                self.ended.insert(Arc::clone(&news.id), now.mono);
                if let Some(waiting) = self.tests.remove(&news.id) {
                    // Whoever waited may be gone.
                    let _ = waiting.send(outbox::test_result(news));
                }
            }
        }
    }

    /// Tells the drain whether anything can still be sent.
    fn tell_busy(&self) {
        let is_busy = self.posts.iter().any(|post| {
            let soon = || post.wake_at.is_none_or(|at| Some(at) <= self.draining_until);
            post.lane.is_busy() || (post.lane.waiting() > 0 && soon())
        });
        self.busy.send_if_modified(|busy| std::mem::replace(busy, is_busy) != is_busy);
    }
}

/// Stores a batch; answers it back when it could not be.
async fn keep_batch(port: &Port<KeepDeliveries>, batch: Batch) -> (u64, Option<Batch>) {
    let number = batch.number;
    match port.ask(batch.keep.clone(), STORE).await {
        Ok(Ok(())) => (number, None),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the outbox could not be kept; trying again");
            (number, Some(batch))
        }
        Err(fault) => {
            tracing::warn!(%fault, "the outbox could not be kept; trying again");
            (number, Some(batch))
        }
    }
}

/// Brings a result home. Only an actor that has ended does not take it, or one that is stuck for longer than anything should take.
async fn bring<M: Msg<Reply = ()>>(port: &Port<M>, message: M) {
    if let Err(fault) = port.ask(message, PATIENCE).await {
        tracing::debug!(message = M::NAME, %fault, "a result did not reach the notifier");
    }
}

impl Service for Notifier {
    type Observed = Observed;

    fn started(&mut self, context: &Context<Self>) {
        self.load(context);
        let (clock, home) =
            (Arc::clone(&self.ports.clock), context.mailbox().port::<outbox::Beat>(MailboxLane::Control));
        context.spawn(async move {
            loop {
                clock.pause(BEAT).await;
                if let Err(Fault::Closed { .. } | Fault::Failed { .. }) = home.ask(outbox::Beat, PATIENCE).await {
                    return;
                }
            }
        });
    }

    fn observe(&self) -> Observed {
        Observed { channels: self.statuses(), is_loaded: self.is_loaded, unsaved: self.journal.waiting() }
    }
}

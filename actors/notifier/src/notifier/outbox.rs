//! Reading the outbox: at the start, after a change, and every half minute in case a word of new rows was lost.

use super::{Notifier, PATIENCE, STORE, bring};
use crate::lane::{GIVE_UP, Now, STOPPED, STOPPED_WITH};
use contract::failure::{Failure, FailureClass};
use contract::message::{Lane, Msg};
use contract::notify::{DeliveryState, NoticeKind, OutboxRow};
use contract::store::{DeliveryNews, KeepDeliveries, LoadOutbox, LoadStates, ReadDeadLetters, StoreError};
use jiff::Timestamp;
use runtime::{Context, Handle, Reply};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// The most dead letters that are looked at for what may be tried again.
const LETTERS: u32 = 1000;
/// Done rows older than this are forgotten, in HAIA's time.
const FORGET: jiff::SignedDuration = jiff::SignedDuration::from_hours(30 * 24);
/// How often they are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// How long until the outbox is read again when it could not be.
const AGAIN: Duration = Duration::from_secs(2);

/// Time to read the outbox again.
pub(super) struct Beat;

impl Msg for Beat {
    type Reply = ();
    const NAME: &'static str = "Beat";
}

/// The outbox was read.
pub(super) struct Loaded {
    rows: Result<Vec<OutboxRow>, StoreError>,
    /// Only at the start.
    states: Option<Vec<(Arc<str>, String)>>,
    /// Rows that were given up, where they were asked for.
    dead: Option<Vec<OutboxRow>>,
}

impl Msg for Loaded {
    type Reply = ();
    const NAME: &'static str = "Loaded";
}

/// Time to try a first reading again.
struct LoadAgain;

impl Msg for LoadAgain {
    type Reply = ();
    const NAME: &'static str = "LoadAgain";
}

/// How a test went, for whoever asked.
pub(super) fn test_result(news: &DeliveryNews) -> Result<String, Failure> {
    match news.state {
        DeliveryState::Sent => Ok(match &news.remote_id {
            Some(id) => format!("the receiver took it as message {id}"),
            None => "the receiver took it".to_owned(),
        }),
        _ => {
            let why = news.last_error.clone().unwrap_or_else(|| "it was not sent".to_owned());
            let bare = why.strip_prefix(STOPPED).or_else(|| why.strip_prefix(STOPPED_WITH));
            let why = bare.map(str::to_owned).unwrap_or(why);
            Err(Failure::new(FailureClass::Unreachable, why))
        }
    }
}

impl Notifier {
    /// Reads everything, as at the start.
    pub(super) fn load(&self, context: &Context<Self>) {
        let (load, states, dead) = (self.ports.load.clone(), self.ports.states.clone(), self.ports.dead.clone());
        let home = context.mailbox().port::<Loaded>(Lane::Interactive);
        context.spawn(async move {
            // States first: nothing may change them between.
            let states = states.ask(LoadStates { owner: super::OWNER }, STORE).await;
            let rows = load.ask(LoadOutbox, STORE).await.unwrap_or_else(|fault| Err(StoreError(fault.to_string())));
            let dead = dead.ask(ReadDeadLetters { limit: LETTERS }, STORE).await;
            let (states, rows) = match states {
                Ok(Ok(states)) => (Some(states), rows),
                Ok(Err(error)) => (None, Err(error)),
                Err(fault) => (None, Err(StoreError(fault.to_string()))),
            };
            let dead = dead.ok().and_then(Result::ok);
            bring(&home, Loaded { rows, states, dead }).await;
        });
    }

    /// Reads rows that are not done, and with `letters` those that were given up.
    pub(super) fn reload(&self, letters: bool, context: &Context<Self>) {
        let (load, dead) = (self.ports.load.clone(), self.ports.dead.clone());
        let home = context.mailbox().port::<Loaded>(Lane::Interactive);
        context.spawn(async move {
            let rows = load.ask(LoadOutbox, STORE).await.unwrap_or_else(|fault| Err(StoreError(fault.to_string())));
            let dead = match letters {
                true => dead.ask(ReadDeadLetters { limit: LETTERS }, STORE).await.ok().and_then(Result::ok),
                false => None,
            };
            bring(&home, Loaded { rows, states: None, dead }).await;
        });
    }

    /// The rows in every lane.
    fn waiting(&self) -> HashSet<Arc<str>> {
        self.posts.iter().flat_map(|post| post.lane.ids()).collect()
    }

    /// Takes rows of the store into their lanes; rows without one are given up.
    fn admit(&mut self, rows: Vec<OutboxRow>, keep: &mut KeepDeliveries) {
        let now = self.now();
        let known = self.waiting();
        for row in rows {
            if self.ended.contains_key(&row.id) || known.contains(&row.id) {
                continue;
            }
            let age = age(&row, now);
            match self.post(&row.channel) {
                Some(post) => post.lane.admit(row, age, now),
                None => keep.news.push(homeless(&row)),
            }
        }
    }

    /// Rows that just came: they are new.
    pub(super) fn admit_new(&mut self, rows: Vec<OutboxRow>) -> KeepDeliveries {
        let now = self.now();
        let mut keep = KeepDeliveries::default();
        for row in rows {
            // Whoever stored it may have stored it twice: it was found in the store meanwhile, and is done.
            if self.ended.contains_key(&row.id) {
                continue;
            }
            match self.post(&row.channel) {
                Some(post) => post.lane.admit(row, Duration::ZERO, now),
                None => keep.news.push(homeless(&row)),
            }
        }
        keep
    }

    /// Rows that died because their whole channel was refused may live again: somebody has restarted, or changed something.
    fn revive(&mut self, dead: &[OutboxRow]) -> (Vec<OutboxRow>, KeepDeliveries) {
        let now = self.now();
        let mut keep = KeepDeliveries::default();
        let mut revived = Vec::new();
        let known = self.waiting();
        // What lives already was still dead when the store was asked.
        for row in dead.iter().filter(|row| !known.contains(&row.id)) {
            let Some(post) = self.post(&row.channel) else { continue };
            let age = age(row, now);
            let why = row.last_error.as_deref().unwrap_or_default();
            let may_live = why.starts_with(STOPPED) || (why.starts_with(STOPPED_WITH) && post.lane.may_retry_refused());
            if !may_live || post.lane.is_stopped() || age > GIVE_UP || row.notice.kind == NoticeKind::Test {
                continue;
            }
            post.lane.counts.dead = post.lane.counts.dead.saturating_sub(1);
            let row = OutboxRow { state: DeliveryState::Queued, next_at: None, ..row.clone() };
            keep.news.push(DeliveryNews {
                id: Arc::clone(&row.id),
                state: row.state,
                attempts: row.attempts,
                next_at: None,
                last_error: row.last_error.clone(),
                remote_id: None,
            });
            self.ended.remove(&row.id);
            revived.push(row);
        }
        revived.sort_by(|one, other| one.id.cmp(&other.id));
        (revived, keep)
    }
}

/// How old a row is in real time, which is what receivers and people live in; HAIA's may run faster. The id knows: it is a UUID of version 7.
fn age(row: &OutboxRow, now: Now) -> Duration {
    let is_uuid = row.id.len() == 32 && row.id.as_bytes()[12] == b'7';
    let made = row.id.get(..12).filter(|_| is_uuid).and_then(|head| i64::from_str_radix(head, 16).ok());
    let age = match made.and_then(|made| Timestamp::from_millisecond(made).ok()) {
        Some(made) => now.wall.duration_since(made),
        None => now.haia.duration_since(row.queued_at),
    };
    Duration::try_from(age).unwrap_or_default()
}

fn homeless(row: &OutboxRow) -> DeliveryNews {
    DeliveryNews {
        id: Arc::clone(&row.id),
        state: DeliveryState::Dead,
        attempts: row.attempts,
        next_at: None,
        last_error: Some(format!("{STOPPED}no channel named {:?} is configured", row.channel)),
        remote_id: None,
    }
}

impl Handle<Beat> for Notifier {
    fn handle(&mut self, _: Beat, context: &Context<Self>) -> Reply<()> {
        if self.is_loaded {
            self.reload(false, context);
        }
        let now = self.now();
        if self.forget_at <= now.mono {
            self.forget_at = now.mono + FORGET_EVERY;
            let forget_before = now.haia.checked_sub(FORGET).ok();
            self.store(KeepDeliveries { forget_before, ..KeepDeliveries::default() }, context);
        }
        self.report_troubles(context);
        self.listen(context);
        Reply::Now(())
    }
}

impl Handle<LoadAgain> for Notifier {
    fn handle(&mut self, _: LoadAgain, context: &Context<Self>) -> Reply<()> {
        self.load(context);
        Reply::Now(())
    }
}

impl Handle<Loaded> for Notifier {
    fn handle(&mut self, loaded: Loaded, context: &Context<Self>) -> Reply<()> {
        let rows = match loaded.rows {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "the outbox could not be read; trying again");
                if !self.is_loaded {
                    let (clock, home) =
                        (Arc::clone(&self.ports.clock), context.mailbox().port::<LoadAgain>(Lane::Interactive));
                    context.spawn(async move {
                        clock.pause(AGAIN).await;
                        bring(&home, LoadAgain).await;
                    });
                }
                return Reply::Now(());
            }
        };
        let now = self.now();
        for (name, kept) in loaded.states.unwrap_or_default() {
            if let Some((channel, state)) = name.rsplit_once('/')
                && let Some(post) = self.post(channel)
            {
                post.lane.restore(state, &kept, now);
            }
        }
        let mut keep = KeepDeliveries::default();
        let mut revived = Vec::new();
        if let Some(dead) = loaded.dead {
            for post in &mut self.posts {
                post.lane.counts.dead = dead.iter().filter(|row| row.channel == post.lane.name).count() as u64;
            }
            (revived, keep) = self.revive(&dead);
        }
        for post in &mut self.posts {
            post.lane.has_overflow = false;
        }
        self.admit(revived, &mut keep);
        self.admit(rows, &mut keep);
        self.is_loaded = true;
        self.store(keep, context);
        self.listen(context);
        self.advance_all(context);
        Reply::Now(())
    }
}

const _: () = assert!(PATIENCE.as_secs() > STORE.as_secs(), "an answer of the store comes before patience ends");

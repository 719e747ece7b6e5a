//! The long poll of one Telegram chat: asks for updates, has them handled one after the other, and confirms each once it is handled.

use super::desk::Desk;
use super::update::{Sender, Update, What, read_updates};
use crate::channels::telegram::{self, Telegram};
use crate::channels::{Answer, Channel as _, Dispatch, Outcome};
use crate::lane::{Bucket, backoff};
use crate::notifier::Wake;
use crate::wire::{Transport, WireError};
use contract::caller::{Caller, Origin, Scope};
use contract::clock::SharedClock;
use contract::ids::SharedIds;
use contract::notify::Deliver;
use contract::store::{KeepDeliveries, LoadStates};
use runtime::{Port, TaskSet};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// How long Telegram holds a question for updates, in seconds.
const HOLD: u64 = 50;
/// When the connection counts as dead.
const DEADLINE: Duration = Duration::from_secs(HOLD + 15);
/// How long any other call may take.
const CALL: Duration = Duration::from_secs(20);
/// The least pause when another poller is at work on the same bot.
const CONFLICT: Duration = Duration::from_secs(4);
/// The pause after a refusal for good: a restarted Bot API server may know the bot again.
const REFUSED: Duration = Duration::from_secs(300);
/// How long the store may take.
const STORE: Duration = Duration::from_secs(10);
/// Answers and edits under way at once, and questions to the agent.
const COURTESIES: usize = 32;
const QUESTIONS: usize = 4;
/// The most numbers of handled updates, and of strangers, that are remembered.
const REMEMBERED: usize = 256;

/// The inbox of one channel.
pub struct Inbox {
    /// The channel's name.
    pub channel: Arc<str>,
    /// The bot.
    pub telegram: Telegram,
    /// A way of its own to Telegram: a long poll occupies it.
    pub transport: Rc<dyn Transport>,
    /// Where the chat has moved to.
    pub moved_to: Rc<RefCell<Option<Arc<str>>>>,
    /// The pace of the chat, shared with what is sent.
    pub bucket: Rc<RefCell<Bucket>>,
    /// Time.
    pub clock: SharedClock,
    /// Ids.
    pub ids: SharedIds,
    /// Reads where the last poll ended.
    pub states: Port<LoadStates>,
    /// Keeps where the last poll ended.
    pub keep: Port<KeepDeliveries>,
    /// Has a pause of the chat kept by whoever sends to it.
    pub(crate) wake: Port<Wake>,
    /// Brings answers into the outbox.
    pub deliver: Port<Deliver>,
    /// The alert desk and the agent, once they run.
    pub desk: Arc<OnceLock<Desk>>,
    /// The time zone of answers.
    pub timezone: Arc<str>,
}

/// The bot as Telegram knows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Me {
    pub(super) id: i64,
    pub(super) name: Option<String>,
}

/// What one poll keeps in mind.
pub(super) struct Session {
    pub(super) me: Me,
    pub(super) desk: Desk,
    pub(super) courtesies: TaskSet,
    pub(super) questions: TaskSet,
    handled: RefCell<VecDeque<i64>>,
    strangers: RefCell<HashSet<i64>>,
}

impl Inbox {
    /// Listens until the other end of `ended` is dropped.
    pub async fn listen(self: Rc<Self>, mut ended: watch::Receiver<()>) {
        tokio::select! {
            () = Rc::clone(&self).poll() => {}
            // An error: the sender is gone, which is the sign.
            _ = ended.changed() => {}
        }
    }

    async fn poll(self: Rc<Self>) {
        let desk = loop {
            match self.desk.get() {
                Some(desk) => break desk.clone(),
                None => self.clock.pause(Duration::from_millis(200)).await,
            }
        };
        let mut offset = self.offset().await;
        let me = self.me().await;
        tracing::info!(channel = %self.channel, bot = me.name.as_deref().unwrap_or("?"), "listening to a Telegram chat");
        let session = Rc::new(Session {
            me,
            desk,
            courtesies: TaskSet::new(COURTESIES),
            questions: TaskSet::new(QUESTIONS),
            handled: RefCell::default(),
            strangers: RefCell::default(),
        });
        let mut failures = 0;
        loop {
            match self.updates(offset).await {
                Ok(updates) => {
                    failures = 0;
                    for update in updates {
                        let id = update.id;
                        self.take(&session, update).await;
                        offset = offset.max(id + 1);
                        self.keep_offset(offset).await;
                    }
                }
                Err(Trouble::Wait(wait, why)) => {
                    failures += 1;
                    tracing::warn!(channel = %self.channel, why, wait_s = wait.as_secs(), "Telegram gives no updates");
                    self.clock.pause(wait).await;
                }
                Err(Trouble::Again(why)) => {
                    failures += 1;
                    let wait = backoff(failures, 1.0).min(Duration::from_secs(60));
                    tracing::debug!(channel = %self.channel, why, wait_s = wait.as_secs(), "Telegram gives no updates");
                    self.clock.pause(wait).await;
                }
            }
        }
    }

    fn offset_name(&self) -> Arc<str> {
        // Another bot counts its updates anew.
        let bot = self.telegram.config().bot_token.expose().split(':').next().unwrap_or_default().to_owned();
        format!("{}/offset-{bot}", self.channel).into()
    }

    async fn offset(&self) -> i64 {
        let name = self.offset_name();
        loop {
            match self.states.ask(LoadStates { owner: crate::notifier::OWNER }, STORE).await {
                Ok(Ok(states)) => {
                    let kept = states.iter().find(|(known, _)| *known == name);
                    return kept.and_then(|(_, offset)| offset.parse().ok()).unwrap_or(0);
                }
                Ok(Err(error)) => tracing::warn!(%error, "where the last poll of Telegram ended could not be read"),
                Err(fault) => tracing::warn!(%fault, "where the last poll of Telegram ended could not be read"),
            }
            self.clock.pause(Duration::from_secs(2)).await;
        }
    }

    async fn keep_offset(&self, offset: i64) {
        let states = vec![(self.offset_name(), Some(offset.to_string()))];
        let kept = self.keep.ask(KeepDeliveries { states, ..KeepDeliveries::default() }, STORE).await;
        // The next question confirms it to Telegram anyway.
        match kept {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "where the poll of Telegram stands could not be kept"),
            Err(fault) => tracing::warn!(%fault, "where the poll of Telegram stands could not be kept"),
        }
    }

    async fn me(&self) -> Me {
        let mut failures = 0;
        loop {
            if let Ok(answer) = self.exchange("getMe", &json!({}), CALL).await {
                let body = answer.json().unwrap_or_default();
                if let Some(id) = body["result"]["id"].as_i64() {
                    return Me { id, name: body["result"]["username"].as_str().map(str::to_owned) };
                }
                if matches!(answer.status, 401 | 404) && telegram::speaks(&body) {
                    tracing::error!(channel = %self.channel, "Telegram does not know the bot: buttons and commands do not work; check bot_token and api_base");
                    self.clock.pause(REFUSED).await;
                }
                if let Outcome::Limited { wait: Some(wait), .. } = self.telegram.classify(&answer) {
                    self.clock.pause(wait).await;
                }
            }
            failures += 1;
            self.clock.pause(backoff(failures, 1.0)).await;
        }
    }

    async fn updates(&self, offset: i64) -> Result<Vec<Update>, Trouble> {
        let question = json!({"timeout": HOLD, "offset": offset, "allowed_updates": ["message", "callback_query"]});
        let answer = match self.exchange("getUpdates", &question, DEADLINE).await {
            Ok(answer) => answer,
            Err(WireError::NotSent(why) | WireError::Lost(why)) => {
                return Err(Trouble::Again(self.telegram.scrubbed(&why)));
            }
        };
        let body = answer.json().unwrap_or_default();
        if let Some(updates) = read_updates(&body).filter(|_| answer.status == 200) {
            return Ok(updates);
        }
        let told = format!("it answered {}: {}", answer.status, body["description"].as_str().unwrap_or_default());
        Err(match answer.status {
            409 => Trouble::Wait(CONFLICT, format!("{told} (is another program polling this bot, or a webhook set?)")),
            429 => {
                let asked = body["parameters"]["retry_after"].as_u64().map(Duration::from_secs);
                Trouble::Wait(asked.max(answer.retry_after()).unwrap_or(CONFLICT), told)
            }
            401 | 403 | 404 if telegram::speaks(&body) => Trouble::Wait(REFUSED, told),
            _ => Trouble::Again(told),
        })
    }

    /// One call; a hang counts as lost.
    async fn exchange(&self, method: &str, body: &Value, within: Duration) -> Result<Answer, WireError> {
        let request = self.telegram.call(method, body);
        tokio::select! {
            answered = self.transport.send(Dispatch::Http(request)) => answered,
            () = self.clock.pause(within) => Err(WireError::Lost("no answer in time".to_owned())),
        }
    }

    /// A call that nothing depends on: what fails is logged.
    pub(super) async fn call(&self, method: &'static str, body: Value) {
        match self.exchange(method, &body, CALL).await {
            Ok(answer) => {
                let outcome = self.telegram.classify(&answer);
                if let Outcome::Limited { wait: Some(wait), .. } = &outcome {
                    self.bucket.borrow_mut().pause_until(self.clock.monotonic() + *wait);
                    // It looks by itself soon anyway.
                    let _ = self.wake.tell(Wake);
                }
                if !matches!(outcome, Outcome::Delivered { .. }) {
                    tracing::debug!(channel = %self.channel, method, status = answer.status, "a call of Telegram was refused");
                }
            }
            Err(WireError::NotSent(why) | WireError::Lost(why)) => {
                let why = self.telegram.scrubbed(&why);
                tracing::debug!(channel = %self.channel, method, why, "a call of Telegram failed");
            }
        }
    }

    /// Waits until the chat may be written to, and takes the place.
    pub(super) async fn turn(&self) {
        loop {
            let now = self.clock.monotonic();
            let ready = self.bucket.borrow().ready_at(now);
            if ready <= now {
                return self.bucket.borrow_mut().note(now);
            }
            self.clock.pause(ready - now + Duration::from_millis(1)).await;
        }
    }

    /// Whether the chat wants a pause.
    pub(super) fn is_paused(&self) -> bool {
        self.bucket.borrow().paused(self.clock.monotonic()).is_some()
    }

    /// Waits until the chat wants no pause any more.
    pub(super) async fn pause_over(&self) {
        loop {
            let now = self.clock.monotonic();
            let Some(until) = self.bucket.borrow().paused(now) else { return };
            self.clock.pause(until - now + Duration::from_millis(1)).await;
        }
    }

    async fn take(self: &Rc<Self>, session: &Rc<Session>, update: Update) {
        if session.handled.borrow().contains(&update.id) {
            return;
        }
        match update.what {
            Some(What::Press(press)) if self.is_allowed(session, &press.sender) => {
                self.pressed(session, update.id, *press).await;
            }
            Some(What::Said(said)) if self.is_allowed(session, &said.sender) => {
                self.said(session, update.id, said).await;
            }
            _ => {}
        }
        let mut handled = session.handled.borrow_mut();
        if handled.len() >= REMEMBERED {
            handled.pop_front();
        }
        handled.push_back(update.id);
    }

    /// Whether somebody counts. Strangers get no word; the log tells of each once.
    fn is_allowed(&self, session: &Session, sender: &Sender) -> bool {
        let configured = &self.telegram.config().chat_id;
        let chat = sender.chat.to_string();
        let is_moved = self.moved_to.borrow().as_deref() == Some(chat.as_str());
        let is_named = match (configured.strip_prefix('@'), &sender.chat_name) {
            (Some(name), Some(chat)) => name.eq_ignore_ascii_case(chat),
            _ => false,
        };
        let is_chat = *configured == chat || is_moved || is_named;
        if is_chat && self.telegram.config().allowed_users.contains(&sender.user) {
            return true;
        }
        let mut strangers = session.strangers.borrow_mut();
        if strangers.len() < REMEMBERED && strangers.insert(sender.user) {
            tracing::warn!(
                channel = %self.channel, user = sender.user, chat = sender.chat,
                "somebody who is not in allowed_users, or in another chat, wrote to the bot: ignored"
            );
        }
        false
    }

    /// Who it was, for the desk and the agent.
    pub(super) fn caller(&self, sender: &Sender) -> Caller {
        Caller { name: format!("telegram:{}", sender.name).into(), scope: Scope::Control, origin: Origin::Chat }
    }
}

/// Why there are no updates.
enum Trouble {
    /// Not before this wait is over.
    Wait(Duration, String),
    /// Again in a while.
    Again(String),
}

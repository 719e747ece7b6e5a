//! What the notifier answers, message by message.

use super::{Attempt, Attempted, Kept, Notifier, STORE, Wake, bring};
use crate::config::Config;
use crate::lane::{GIVE_UP, STOPPED};
use contract::alerts::Severity;
use contract::failure::{Failure, FailureClass};
use contract::message::{Drain, Lane, Reconfigure};
use contract::notify::{
    ChannelStatus, Deliver, DeliveryState, ListChannels, ListDeadLetters, Notice, NoticeKind, OutboxRow, RowsQueued,
    TestChannel,
};
use contract::store::{AddToOutbox, KeepDeliveries, ReadDeadLetters, StoreError};
use runtime::{Context, Handle, Reply};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long whoever asked for a test waits for it.
const TEST: Duration = Duration::from_secs(30);
/// How long the end of the daemon waits for what can still be sent.
const FLUSH: Duration = Duration::from_millis(4500);

impl Notifier {
    /// How every channel does.
    pub(super) fn statuses(&self) -> Vec<ChannelStatus> {
        let now = self.now();
        let status = |post: &super::Post| {
            let (state, next_at) = post.lane.state(now);
            let counts = &post.lane.counts;
            ChannelStatus {
                name: Arc::clone(&post.lane.name),
                state: state.into(),
                kind: post.config.kind(),
                queued: post.lane.waiting() as u64,
                sent: counts.sent,
                failed: counts.failed,
                dead: counts.dead,
                last_error: counts.last_error.clone(),
                last_sent: counts.last_sent,
                next_at,
            }
        };
        self.posts.iter().map(status).collect()
    }

    fn row(&self, channel: &Arc<str>, notice: &Arc<Notice>) -> OutboxRow {
        let is_known = self.posts.iter().any(|post| post.lane.name == *channel);
        let unknown = || format!("{STOPPED}no channel named {channel:?} is configured");
        OutboxRow {
            id: self.ports.ids.unique().into(),
            channel: Arc::clone(channel),
            notice: Arc::clone(notice),
            state: if is_known { DeliveryState::Queued } else { DeliveryState::Dead },
            attempts: 0,
            queued_at: self.ports.clock.now(),
            next_at: None,
            last_error: (!is_known).then(unknown),
            remote_id: None,
        }
    }

    fn test_notice(&self) -> Notice {
        let id: Arc<str> = self.ports.ids.unique().into();
        Notice {
            id: Arc::clone(&id),
            kind: NoticeKind::Test,
            severity: Severity::Info,
            thread: Arc::clone(&id),
            title: "Test from HAIA: this channel works".to_owned(),
            members: Vec::new(),
            more: 0,
            text: Some("Nothing has happened. Alerts will arrive here.".to_owned()),
            buttons: Vec::new(),
            at: self.ports.clock.now(),
            timezone: Arc::clone(&self.ports.timezone),
            request_id: id,
        }
    }
}

impl Handle<RowsQueued> for Notifier {
    fn handle(&mut self, queued: RowsQueued, context: &Context<Self>) -> Reply<()> {
        let rows = queued.0.into_iter().filter(|row| row.state == DeliveryState::Queued).collect();
        let keep = self.admit_new(rows);
        self.store(keep, context);
        self.advance_all(context);
        Reply::Now(())
    }
}

impl Handle<Deliver> for Notifier {
    fn handle(&mut self, deliver: Deliver, context: &Context<Self>) -> Reply<Result<(), StoreError>> {
        let channels: Vec<Arc<str>> = match deliver.channels.as_slice() {
            [] => self.posts.iter().map(|post| Arc::clone(&post.lane.name)).collect(),
            named => named.to_vec(),
        };
        let notice = Arc::new(deliver.notice);
        let rows: Vec<OutboxRow> = channels.iter().map(|channel| self.row(channel, &notice)).collect();
        for row in rows.iter().filter(|row| row.state == DeliveryState::Dead) {
            tracing::warn!(channel = %row.channel, notice = %row.notice.id, "a message is for a channel that is not configured");
        }
        if rows.is_empty() {
            return Reply::Now(Ok(()));
        }
        let (add, home) = (self.ports.add.clone(), context.mailbox().port::<RowsQueued>(Lane::Interactive));
        Reply::later(async move {
            match add.ask(AddToOutbox(rows.clone()), STORE).await {
                Ok(Ok(())) => bring(&home, RowsQueued(rows)).await,
                Ok(Err(error)) => return Err(error),
                Err(fault) => return Err(StoreError(fault.to_string())),
            }
            Ok(())
        })
    }
}

impl Handle<TestChannel> for Notifier {
    fn handle(&mut self, test: TestChannel, context: &Context<Self>) -> Reply<Result<String, Failure>> {
        let Some(post) = self.post(&test.channel) else {
            let known: Vec<&str> = self.posts.iter().map(|post| &*post.lane.name).collect();
            let known = if known.is_empty() { "none is".to_owned() } else { format!("there is {}", known.join(", ")) };
            let message = format!("no channel named {:?} is configured; {known}", test.channel);
            return Reply::Now(Err(Failure::new(FailureClass::NotFound, message)));
        };
        let name = Arc::clone(&post.lane.name);
        let row = self.row(&name, &Arc::new(self.test_notice()));
        let (tell, result) = oneshot::channel();
        self.tests.retain(|_, waiting| !waiting.is_closed());
        self.tests.insert(Arc::clone(&row.id), tell);
        let (add, clock) = (self.ports.add.clone(), Arc::clone(&self.ports.clock));
        let home = context.mailbox().port::<RowsQueued>(Lane::Interactive);
        Reply::later(async move {
            let begun = clock.monotonic();
            let stored = add.ask(AddToOutbox(vec![row.clone()]), STORE).await;
            if let Err(error) = stored.unwrap_or_else(|fault| Err(StoreError(fault.to_string()))) {
                let message = format!("the test could not be stored: {error}");
                return Err(Failure::new(FailureClass::Internal, message));
            }
            bring(&home, RowsQueued(vec![row])).await;
            let told = tokio::select! {
                told = result => told.unwrap_or_else(|_| Err(Failure::new(FailureClass::ShuttingDown, "HAIA is shutting down"))),
                () = clock.pause(TEST) => Err(Failure::new(
                    FailureClass::Timeout,
                    format!("{name} has not taken it within {} s; it stays queued, see its state in /status", TEST.as_secs()),
                )),
            };
            let took = clock.monotonic().saturating_sub(begun).as_millis();
            told.map(|how| format!("{name}: sent in {took} ms; {how}"))
        })
    }
}

impl Handle<ListChannels> for Notifier {
    fn handle(&mut self, _: ListChannels, _: &Context<Self>) -> Reply<Vec<ChannelStatus>> {
        Reply::Now(self.statuses())
    }
}

impl Handle<ListDeadLetters> for Notifier {
    fn handle(&mut self, list: ListDeadLetters, _: &Context<Self>) -> Reply<Result<Vec<OutboxRow>, StoreError>> {
        let limit = if list.limit == 0 { 100 } else { list.limit };
        let dead = self.ports.dead.clone();
        Reply::later(async move {
            dead.ask(ReadDeadLetters { limit }, STORE).await.unwrap_or_else(|fault| Err(StoreError(fault.to_string())))
        })
    }
}

impl Handle<Reconfigure<Config>> for Notifier {
    fn handle(&mut self, Reconfigure(config): Reconfigure<Config>, context: &Context<Self>) -> Reply<()> {
        self.take_over(&config);
        self.forget_reports();
        // Rows that found no channel before, or a refused one, may have one now.
        if self.is_loaded {
            self.reload(true, context);
        }
        self.listen(context);
        self.advance_all(context);
        Reply::Now(())
    }
}

impl Handle<Drain> for Notifier {
    /// Listens to nobody any more and sends what can be sent in a few seconds; the rest stays in the outbox.
    fn handle(&mut self, _: Drain, context: &Context<Self>) -> Reply<()> {
        let deadline = self.now().mono + FLUSH;
        self.draining_until = Some(deadline);
        for post in &mut self.posts {
            post.listening = None;
        }
        self.advance_all(context);
        let (mut busy, clock) = (self.busy.subscribe(), Arc::clone(&self.ports.clock));
        Reply::later(async move {
            tokio::select! {
                // It ends with an error only when the actor has ended.
                _ = busy.wait_for(|busy| !busy) => {}
                () = clock.pause(FLUSH) => {}
            }
        })
    }
}

impl Handle<Wake> for Notifier {
    fn handle(&mut self, _: Wake, context: &Context<Self>) -> Reply<()> {
        self.advance_all(context);
        Reply::Now(())
    }
}

impl Handle<Kept> for Notifier {
    fn handle(&mut self, Kept(number, left): Kept, context: &Context<Self>) -> Reply<()> {
        match left {
            None => self.journal.stored(number),
            Some(batch) => {
                self.journal.failed(batch);
                // Not again at once: a store in trouble needs a moment.
                self.wake_after(Duration::from_secs(5), context);
            }
        }
        Reply::Now(())
    }
}

impl Handle<Attempted> for Notifier {
    fn handle(&mut self, attempted: Attempted, context: &Context<Self>) -> Reply<()> {
        match attempted.kept {
            Some((_, Some(batch))) => self.journal.failed(batch),
            Some((number, None)) => self.journal.stored(number),
            None => {}
        }
        let (now, jitter) = (self.now(), self.jitter());
        let Some(at) = self.posts.iter().position(|post| post.lane.name == attempted.channel) else {
            return Reply::Now(());
        };
        let lane = &mut self.posts[at].lane;
        let (was_stopped, had_sent) = (lane.is_stopped(), lane.counts.last_sent.is_some());
        let was_in_trouble = lane.trouble(now).is_some();
        let keep = match attempted.result {
            Attempt::NotMade => {
                lane.put_off(now);
                KeepDeliveries::default()
            }
            Attempt::Row(outcome, of) => {
                tracing::debug!(channel = %attempted.channel, ?outcome, "an attempt ended");
                lane.settle(outcome, of, now, jitter)
            }
            Attempt::Mark(outcome) => lane.marked(outcome, now, jitter),
        };
        let has_begun_to_work = (was_stopped && !lane.is_stopped()) || (!had_sent && lane.counts.last_sent.is_some());
        let is_news = has_begun_to_work || was_in_trouble != lane.trouble(now).is_some();
        let has_room = lane.has_overflow && lane.waiting() < crate::lane::MOST / 2;
        self.note_ends(&keep, now);
        self.advance(at, keep, context);
        if has_begun_to_work {
            self.reload(true, context);
        } else if has_room {
            self.reload(false, context);
        }
        if is_news {
            self.report_troubles(context);
        }
        self.tell_busy();
        Reply::Now(())
    }
}

const _: () = assert!(GIVE_UP.as_secs() > 3600, "hours, not minutes: an outage of a night must not lose anything");

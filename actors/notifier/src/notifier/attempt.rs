//! One request to a receiver, from the marked-up message to what its answer means. It runs beside the actor and changes nothing of it.

use crate::channels::{Channel, Dispatch, Marking, Outcome, Piece};
use crate::lane::Attempt;
use crate::message::{Line, Mark, Message, clock_time, duration_words, split};
use crate::wire::{Transport, WireError};
use contract::clock::SharedClock;
use contract::notify::{Notice, NoticeKind, OutboxRow};
use contract::store::FindDelivered;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use runtime::Port;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long a receiver may take to answer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// How long looking up a thread may take before a message goes out without it.
const LOOK_UP: Duration = Duration::from_secs(3);

/// What an attempt uses.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) channel: Rc<dyn Channel>,
    pub(super) transport: Rc<dyn Transport>,
    pub(super) clock: SharedClock,
    pub(super) find: Port<FindDelivered>,
}

impl Way {
    /// Sends a part of a row.
    pub(super) async fn send(&self, attempt: &Attempt) -> Outcome {
        let notice = &attempt.row.notice;
        let first = match refers_back(notice.kind) && self.channel.knows_threads() {
            true => self.thread(&attempt.row.channel, &notice.thread).await,
            false => Vec::new(),
        };
        let first = first.iter().find_map(|row| row.remote_id.clone());
        let piece = Piece {
            row: &attempt.row.id,
            notice,
            part: &attempt.parts[attempt.at],
            is_last: attempt.at + 1 == attempt.parts.len(),
            form: attempt.form,
            answers: first.as_deref(),
            is_repeated: attempt.is_repeated,
            moved_to: attempt.moved_to.as_deref(),
            wall: self.clock.wall(),
        };
        match self.channel.render(&piece) {
            Ok(dispatch) => self.exchange(dispatch).await,
            Err(why) => Outcome::Refused { why },
        }
    }

    /// Marks the beginning of a thread as over; `None` when there is nothing to mark.
    pub(super) async fn mark(
        &self,
        channel: &Arc<str>,
        thread: &Arc<str>,
        moved_to: Option<Arc<str>>,
    ) -> Option<Outcome> {
        let rows = self.thread(channel, thread).await;
        let mut ended = HashMap::new();
        let mut more = 0;
        for row in rows.iter().filter(|row| row.notice.kind == NoticeKind::Resolved) {
            more += row.notice.more;
            ended
                .extend(row.notice.members.iter().filter_map(|member| Some((Arc::clone(&member.name), member.ended?))));
        }
        let opening = rows.iter().find(|row| row.notice.kind == NoticeKind::Opened)?;
        let remote_id = opening.remote_id.as_deref()?;
        let notice = &opening.notice;
        let over = notice.members.iter().filter(|member| ended.contains_key(&member.name)).count();
        let is_over = over == notice.members.len() && notice.more <= more;
        let mut part = split(&Message::of(notice), &self.channel.limits(Default::default())).into_iter().next()?;
        if is_over {
            part.mark = Mark::Good;
        }
        part.lines.insert(0, Line { is_item: false, ..remark(notice, &ended, over, is_over) });
        let marking = Marking { remote_id, part: &part, is_over, notice, moved_to: moved_to.as_deref() };
        let dispatch = self.channel.mark(&marking)?;
        Some(self.exchange(dispatch).await)
    }

    async fn thread(&self, channel: &Arc<str>, thread: &Arc<str>) -> Vec<OutboxRow> {
        let question = FindDelivered { channel: Arc::clone(channel), thread: Arc::clone(thread) };
        match self.find.ask(question, LOOK_UP).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => {
                tracing::warn!(%channel, %error, "earlier messages could not be looked up; this one stands alone");
                Vec::new()
            }
            Err(fault) => {
                tracing::warn!(%channel, %fault, "earlier messages could not be looked up; this one stands alone");
                Vec::new()
            }
        }
    }

    /// Sends and judges.
    async fn exchange(&self, dispatch: Dispatch) -> Outcome {
        let answered = tokio::select! {
            answered = self.transport.send(dispatch) => answered,
            () = self.clock.pause(DEADLINE) => {
                Err(WireError::Lost(format!("no answer within {} s", DEADLINE.as_secs())))
            }
        };
        let outcome = match answered {
            Ok(answer) => self.channel.classify(&answer),
            Err(WireError::NotSent(why)) => Outcome::Retry { why, wait: None },
            Err(WireError::Lost(why)) => Outcome::Unknown { why },
        };
        self.scrubbed(outcome)
    }

    /// An outcome whose reason holds no secret.
    fn scrubbed(&self, mut outcome: Outcome) -> Outcome {
        match &mut outcome {
            Outcome::Retry { why, .. }
            | Outcome::Unknown { why }
            | Outcome::Limited { why, .. }
            | Outcome::Plainer { why }
            | Outcome::TooLong { why }
            | Outcome::Refused { why }
            | Outcome::Stopped { why } => *why = self.channel.scrubbed(why),
            Outcome::Delivered { .. } | Outcome::Moved { .. } => {}
        }
        outcome
    }
}

/// Whether a message of this kind answers an earlier one of its thread.
fn refers_back(kind: NoticeKind) -> bool {
    match kind {
        NoticeKind::Escalated
        | NoticeKind::Reminder
        | NoticeKind::Resolved
        | NoticeKind::Stable
        | NoticeKind::Flapping
        | NoticeKind::Explained => true,
        NoticeKind::Opened
        | NoticeKind::Digest
        | NoticeKind::Baseline
        | NoticeKind::Answer
        | NoticeKind::Approval
        | NoticeKind::Test => false,
    }
}

/// What is added to a message whose alerts have ended.
fn remark(notice: &Notice, ended: &HashMap<Arc<str>, Timestamp>, over: usize, is_over: bool) -> Line {
    if !is_over {
        return Line::plain(format!("{over} of {} are over", notice.members.len() + notice.more as usize));
    }
    let zone = TimeZone::get(&notice.timezone).unwrap_or(TimeZone::UTC);
    match (ended.values().max(), notice.members.iter().map(|member| member.since).min()) {
        (Some(end), Some(since)) => Line::plain(format!(
            "Over since {} (after {})",
            clock_time(*end, notice.at, &zone),
            duration_words(end.duration_since(since))
        )),
        _ => Line::plain("Over"),
    }
}

//! What is kept of a lane beside its rows, so that a restart goes on where it was: how far a row has come, which beginnings are to be marked,
//! where the chat has moved to, and how long the receiver wants a pause. Pure.

use super::entry::Progress;
use super::{GIVE_UP, Lane, MARKS, Now, not_before};
use contract::store::KeepDeliveries;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

impl Lane {
    /// Takes over what was kept of the lane before the start.
    pub fn restore(&mut self, state: &str, kept: &str, now: Now) {
        match state {
            "progress" => self.progress = serde_json::from_str(kept).ok(),
            "marks" => self.marks = serde_json::from_str::<Vec<Arc<str>>>(kept).unwrap_or_default().into(),
            "pause" => {
                if let Some(until) = kept.parse().ok().and_then(|until| moment(until, now)) {
                    self.bucket.borrow_mut().pause_until(until);
                    self.kept_pause = Some(until);
                }
            }
            // Of another chat it says nothing.
            state if Some(state) == self.chat_state().as_deref() => {
                self.moved_to.replace(Some(kept.into()));
            }
            _ => {}
        }
    }

    /// The state that holds where the configured chat has moved to.
    fn chat_state(&self) -> Option<String> {
        self.channel.chat().map(|chat| format!("chat-{chat}"))
    }

    /// Keeps where the chat has moved to.
    pub(super) fn keep_chat(&mut self, chat: Arc<str>, keep: &mut KeepDeliveries) {
        if let Some(state) = self.chat_state() {
            keep.states.push((self.state_name(&state), Some(chat.to_string())));
        }
        self.moved_to.replace(Some(chat));
    }

    /// Whoever was told to wait, a row, a marking or the inbox: the pause is kept by itself, since none of them may be there after a restart.
    pub(super) fn keep_pause(&mut self, now: Now, keep: &mut KeepDeliveries) {
        let paused = self.bucket.borrow().paused(now.mono);
        if let Some(until) = paused.filter(|until| self.kept_pause.is_none_or(|kept| kept < *until)) {
            self.kept_pause = Some(until);
            let until = not_before(now.wall, until.saturating_sub(now.mono));
            keep.states.push((self.state_name("pause"), Some(until.to_string())));
        }
    }

    /// The name of one of its kept states.
    pub fn state_name(&self, state: &str) -> Arc<str> {
        format!("{}/{state}", self.name).into()
    }

    pub(super) fn keep_progress(&self, progress: &Progress, keep: &mut KeepDeliveries) {
        // A progress is numbers and short texts: it can always be written.
        keep.states.push((self.state_name("progress"), serde_json::to_string(progress).ok()));
    }

    pub(super) fn forget_progress(&self, progress: &Progress, keep: &mut KeepDeliveries) {
        if !progress.sent.is_empty() || progress.form != Default::default() {
            keep.states.push((self.state_name("progress"), None));
        }
    }

    pub(super) fn remember_mark(&mut self, thread: &Arc<str>, keep: &mut KeepDeliveries) {
        if self.marks.contains(thread) {
            return;
        }
        if self.marks.len() >= MARKS {
            self.marks.pop_front();
        }
        self.marks.push_back(Arc::clone(thread));
        self.keep_marks(keep);
    }

    pub(super) fn keep_marks(&self, keep: &mut KeepDeliveries) {
        let kept = match self.marks.is_empty() {
            true => None,
            false => serde_json::to_string(&self.marks).ok(),
        };
        keep.states.push((self.state_name("marks"), kept));
    }
}

/// A moment of the wall clock that is still to come, in real time. A clock that was set back makes no wait longer than anything is kept.
pub(super) fn moment(at: Timestamp, now: Now) -> Option<Duration> {
    let wait = Duration::try_from(at.duration_since(now.wall)).ok().filter(|wait| !wait.is_zero())?;
    Some(now.mono + wait.min(GIVE_UP))
}

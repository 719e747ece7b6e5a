//! The sessions of clients that speak the older era: an id, whose it is, when it was last used, and what runs in it.
//!
//! A session is an entry of a table and nothing more: no task, no channel. So an abandoned one costs a few hundred bytes until it expires.

use futures_util::future::AbortHandle;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot::{Receiver, Sender, channel};

/// The most sessions at once; beyond, the one that rests longest gives way.
pub(crate) const SESSIONS: usize = 8192;
/// The most resources that one session hears of.
const SUBSCRIPTIONS: usize = 256;
/// The most calls of one session at once, and the most questions.
pub(crate) const CALLS: usize = 64;

struct Session {
    /// The key's name: nobody else may use it.
    owner: Arc<str>,
    last_used: Duration,
    /// What runs: the request's id and how to end it.
    calls: Vec<(Box<str>, AbortHandle)>,
    told: Told,
    /// Questions of attached servers that wait for an answer.
    questions: Vec<(String, Sender<Option<Box<RawValue>>>)>,
    /// Resources of attached servers that it wants to hear of, and how often they were updated when it heard last.
    subscriptions: Vec<(Box<str>, u64)>,
}

/// What a client told of itself.
#[derive(Clone, Default)]
pub(crate) struct Told {
    /// What it can do.
    pub(crate) capabilities: Option<Arc<RawValue>>,
    /// The least level of log messages that it wants to hear.
    pub(crate) log_level: Option<Arc<str>>,
}

/// A question that was put down.
pub(crate) struct Question {
    /// Its id.
    pub(crate) id: String,
    /// The answer; `None`: a refusal.
    pub(crate) answer: Receiver<Option<Box<RawValue>>>,
}

impl Session {
    fn end(self) {
        for (_, call) in self.calls {
            call.abort();
        }
    }
}

/// Every session of this daemon, whichever worker thread it was opened on.
#[derive(Default)]
pub(crate) struct Sessions {
    questions: AtomicU64,
    table: Mutex<HashMap<Box<str>, Session>>,
}

impl Sessions {
    fn table(&self) -> MutexGuard<'_, HashMap<Box<str>, Session>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session. Those that rested longer than `timeout` are forgotten on the way.
    pub(crate) fn open(&self, id: &str, owner: &Arc<str>, now: Duration, timeout: Duration) {
        let mut table = self.table();
        forget(&mut table, now, timeout);
        if table.len() >= SESSIONS {
            let oldest = table.iter().min_by_key(|(_, session)| session.last_used).map(|(id, _)| id.clone());
            if let Some(session) = oldest.and_then(|id| table.remove(&id)) {
                session.end();
            }
        }
        let session = Session {
            owner: Arc::clone(owner),
            last_used: now,
            calls: Vec::new(),
            told: Told::default(),
            questions: Vec::new(),
            subscriptions: Vec::new(),
        };
        table.insert(id.into(), session);
    }

    /// What the client of a session told of itself.
    pub(crate) fn told(&self, id: &str) -> Told {
        self.table().get(id).map(|session| session.told.clone()).unwrap_or_default()
    }

    /// Notes what the client of a session tells of itself.
    pub(crate) fn tell(&self, id: &str, change: impl FnOnce(&mut Told)) {
        if let Some(session) = self.table().get_mut(id) {
            change(&mut session.told);
        }
    }

    /// Puts a question to the client of a session; `None` where there is no such session or too many questions wait.
    pub(crate) fn question(&self, id: &str) -> Option<Question> {
        let number = self.questions.fetch_add(1, Ordering::Relaxed);
        let mut table = self.table();
        let session = table.get_mut(id).filter(|session| session.questions.len() < CALLS)?;
        let (sender, answer) = channel();
        let id = format!("haia-{number}");
        session.questions.push((id.clone(), sender));
        Some(Question { id, answer })
    }

    /// Gives a question up.
    pub(crate) fn forget_question(&self, id: &str, question: &str) {
        if let Some(session) = self.table().get_mut(id) {
            session.questions.retain(|(waiting, _)| waiting != question);
        }
    }

    /// Takes the answer to a question. One that nobody waits for is forgotten.
    pub(crate) fn answer(&self, id: &str, owner: &str, question: &str, answer: Option<Box<RawValue>>) {
        let mut table = self.table();
        let Some(session) = table.get_mut(id).filter(|session| *session.owner == *owner) else { return };
        if let Some(at) = session.questions.iter().position(|(waiting, _)| waiting == question) {
            let (_, sender) = session.questions.swap_remove(at);
            // Whoever asked may have given up meanwhile.
            let _ = sender.send(answer);
        }
    }

    /// Notes that a client wants to hear of a resource, updated so often so far; `false` where it wants to hear of too many.
    pub(crate) fn subscribe(&self, id: &str, uri: &str, count: u64) -> bool {
        let mut table = self.table();
        let Some(session) = table.get_mut(id) else { return false };
        if session.subscriptions.iter().any(|(known, _)| **known == *uri) {
            return true;
        }
        if session.subscriptions.len() >= SUBSCRIPTIONS {
            return false;
        }
        session.subscriptions.push((uri.into(), count));
        true
    }

    /// Notes that a client does not want to hear of a resource any more; `true` if nobody does.
    pub(crate) fn unsubscribe(&self, id: &str, uri: &str) -> bool {
        let mut table = self.table();
        if let Some(session) = table.get_mut(id) {
            session.subscriptions.retain(|(known, _)| **known != *uri);
        }
        !table.values().any(|session| session.subscriptions.iter().any(|(known, _)| **known == *uri))
    }

    /// The resources that were updated since a client heard of them last.
    pub(crate) fn updated(&self, id: &str, count: impl Fn(&str) -> u64) -> Vec<Box<str>> {
        let mut table = self.table();
        let Some(session) = table.get_mut(id) else { return Vec::new() };
        let mut updated = Vec::new();
        for (uri, seen) in &mut session.subscriptions {
            let now = count(uri);
            if now != *seen {
                *seen = now;
                updated.push(uri.clone());
            }
        }
        updated
    }

    /// Uses a session; `false` where there is none of that id for this owner, any more.
    pub(crate) fn touch(&self, id: &str, owner: &str, now: Duration, timeout: Duration) -> bool {
        let mut table = self.table();
        let Some(session) = table.get_mut(id).filter(|session| *session.owner == *owner) else { return false };
        if now.saturating_sub(session.last_used) > timeout && session.calls.is_empty() {
            table.remove(id);
            return false;
        }
        session.last_used = now;
        true
    }

    /// Ends a session and what runs in it; `false` where there is none.
    pub(crate) fn close(&self, id: &str, owner: &str) -> bool {
        let mut table = self.table();
        if table.get(id).is_none_or(|session| *session.owner != *owner) {
            return false;
        }
        if let Some(session) = table.remove(id) {
            session.end();
        }
        true
    }

    /// Notes that a request runs; `false` where too many do.
    pub(crate) fn begin(&self, id: &str, request: &str, call: AbortHandle) -> bool {
        let mut table = self.table();
        let Some(session) = table.get_mut(id) else { return true };
        if session.calls.len() >= CALLS {
            return false;
        }
        session.calls.push((request.into(), call));
        true
    }

    /// Notes that a request has ended.
    pub(crate) fn finish(&self, id: &str, request: &str) {
        if let Some(session) = self.table().get_mut(id)
            && let Some(at) = session.calls.iter().position(|(running, _)| **running == *request)
        {
            session.calls.swap_remove(at);
        }
    }

    /// Cancels a request that runs.
    pub(crate) fn cancel(&self, id: &str, owner: &str, request: &str) {
        let table = self.table();
        let Some(session) = table.get(id).filter(|session| *session.owner == *owner) else { return };
        for (_, call) in session.calls.iter().filter(|(running, _)| **running == *request) {
            call.abort();
        }
    }

    /// Forgets those that rested longer than `timeout`, and counts the rest.
    pub(crate) fn count(&self, now: Duration, timeout: Duration) -> usize {
        let mut table = self.table();
        forget(&mut table, now, timeout);
        table.len()
    }
}

fn forget(table: &mut HashMap<Box<str>, Session>, now: Duration, timeout: Duration) {
    let before = table.len();
    table.retain(|_, session| !session.calls.is_empty() || now.saturating_sub(session.last_used) <= timeout);
    if table.len() < before / 2 {
        table.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_session_is_its_owners_and_expires() {
        let (sessions, anna) = (Sessions::default(), Arc::<str>::from("anna"));
        sessions.open("a", &anna, at(0), at(60));
        assert!(!sessions.touch("a", "ben", at(1), at(60)), "nobody else's");
        assert!(!sessions.close("a", "ben"));
        assert!(sessions.touch("a", "anna", at(50), at(60)) && sessions.touch("a", "anna", at(110), at(60)));
        assert!(!sessions.touch("a", "anna", at(171), at(60)), "it rested for too long");
        sessions.open("b", &anna, at(200), at(60));
        assert_eq!((sessions.count(at(260), at(60)), sessions.count(at(261), at(60))), (1, 0));
    }

    #[test]
    fn the_one_that_rests_longest_gives_way() {
        let (sessions, anna) = (Sessions::default(), Arc::<str>::from("anna"));
        for number in 0..SESSIONS {
            sessions.open(&number.to_string(), &anna, at(number as u64), HOUR * 24);
        }
        assert!(sessions.touch("0", "anna", at(9000), HOUR * 24));
        sessions.open("new", &anna, at(9001), HOUR * 24);
        assert_eq!(sessions.count(at(9001), HOUR * 24), SESSIONS);
        assert!(sessions.touch("0", "anna", at(9002), HOUR * 24) && !sessions.touch("1", "anna", at(9002), HOUR * 24));
    }

    #[test]
    fn what_runs_can_be_ended() {
        let (sessions, anna) = (Sessions::default(), Arc::<str>::from("anna"));
        sessions.open("a", &anna, at(0), at(60));
        let call = |request: &str| {
            let (handle, _) = AbortHandle::new_pair();
            assert!(sessions.begin("a", request, handle.clone()));
            handle
        };
        let (first, second, third) = (call("1"), call("2"), call("3"));
        assert_eq!(sessions.count(at(1000), at(60)), 1, "one with work does not expire");
        sessions.cancel("a", "ben", "1");
        assert!(!first.is_aborted());
        sessions.cancel("a", "anna", "1");
        assert!(first.is_aborted() && !second.is_aborted());
        sessions.finish("a", "2");
        assert!(sessions.close("a", "anna"));
        assert!(!second.is_aborted() && third.is_aborted(), "what has ended is let alone");
        sessions.open("b", &anna, at(0), at(60));
        for number in 0..CALLS {
            assert!(sessions.begin("b", &number.to_string(), AbortHandle::new_pair().0));
        }
        assert!(!sessions.begin("b", "more", AbortHandle::new_pair().0));
    }
}

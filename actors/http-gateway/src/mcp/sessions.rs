//! The sessions of clients that speak the older era: an id, whose it is, when it was last used, and what runs in it.
//!
//! A session is an entry of a table and nothing more: no task, no channel. So an abandoned one costs a few hundred bytes until it expires.

use futures_util::future::AbortHandle;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most sessions at once; beyond, the one that rests longest gives way.
pub(crate) const SESSIONS: usize = 8192;
/// The most calls of one session at once.
pub(crate) const CALLS: usize = 64;

struct Session {
    /// The key's name: nobody else may use it.
    owner: Arc<str>,
    last_used: Duration,
    /// What runs: the request's id and how to end it.
    calls: Vec<(Box<str>, AbortHandle)>,
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
        table.insert(id.into(), Session { owner: Arc::clone(owner), last_used: now, calls: Vec::new() });
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

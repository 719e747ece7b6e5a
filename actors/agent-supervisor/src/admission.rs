//! The gate before the turns: so many run, so many wait in order, the rest is turned away.
//!
//! People go before background work, which never holds more than half of the places, so that a burst of checks cannot turn a chat away.
//! A place is given back when it is dropped, on whatever thread; one that waits and is given up frees its place in the queue at once.

use contract::status::{Gauge, GaugeGuard, Gauges};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// How many turns may run and wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) running: usize,
    pub(crate) waiting: usize,
}

impl Bounds {
    fn background_running(self) -> usize {
        (self.running / 2).max(1)
    }

    fn background_waiting(self) -> usize {
        self.waiting / 2
    }
}

/// The gate. It outlives crashes of the actor: turns run on.
pub(crate) struct Gate {
    state: Mutex<State>,
    gauges: Arc<Gauges>,
}

struct State {
    bounds: Bounds,
    closed: bool,
    running: usize,
    running_background: usize,
    next: u64,
    interactive: VecDeque<Waiter>,
    background: VecDeque<Waiter>,
}

struct Waiter {
    number: u64,
    granted: oneshot::Sender<()>,
}

/// What became of somebody at the gate.
pub(crate) enum Entry {
    /// The turn may run.
    Admitted(Place),
    /// It waits its turn.
    Waits(Waiting),
    /// Too many run and wait.
    Full(Bounds),
    /// The daemon is about to end.
    Closed,
}

impl Gate {
    pub(crate) fn new(bounds: Bounds, gauges: Arc<Gauges>) -> Arc<Self> {
        let state = State {
            bounds,
            closed: false,
            running: 0,
            running_background: 0,
            next: 0,
            interactive: VecDeque::new(),
            background: VecDeque::new(),
        };
        Arc::new(Self { state: Mutex::new(state), gauges })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; if something did, the counts are still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a place.
    pub(crate) fn enter(self: &Arc<Self>, background: bool) -> Entry {
        let mut state = self.state();
        if state.closed {
            return Entry::Closed;
        }
        if state.may_run(background) && state.nobody_before(background) {
            state.begin(background);
            drop(state);
            return Entry::Admitted(Place::new(self, background));
        }
        let waiting = state.interactive.len() + state.background.len();
        let is_full = waiting >= state.bounds.waiting
            || (background && state.background.len() >= state.bounds.background_waiting());
        if is_full {
            return Entry::Full(state.bounds);
        }
        let number = state.next;
        state.next += 1;
        let (granted, grant) = oneshot::channel();
        state.queue(background).push_back(Waiter { number, granted });
        drop(state);
        let count = Gauge::enter(&self.gauges, |gauges| &gauges.turns_queued);
        Entry::Waits(Waiting { gate: Arc::clone(self), background, number, grant, taken: false, _count: count })
    }

    /// Takes over new bounds. Turns that run already are never ended by it.
    pub(crate) fn resize(&self, bounds: Bounds) {
        let mut state = self.state();
        state.bounds = bounds;
        state.admit();
    }

    /// Admits nobody any more, and tells those who wait.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.interactive.clear();
        state.background.clear();
    }

    /// Whether nobody is admitted any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    fn release(&self, background: bool) {
        let mut state = self.state();
        state.end(background);
        state.admit();
    }
}

impl State {
    fn queue(&mut self, background: bool) -> &mut VecDeque<Waiter> {
        if background { &mut self.background } else { &mut self.interactive }
    }

    fn may_run(&self, background: bool) -> bool {
        self.running < self.bounds.running
            && (!background || self.running_background < self.bounds.background_running())
    }

    fn nobody_before(&self, background: bool) -> bool {
        self.interactive.is_empty() && (!background || self.background.is_empty())
    }

    fn begin(&mut self, background: bool) {
        self.running += 1;
        self.running_background += usize::from(background);
    }

    fn end(&mut self, background: bool) {
        self.running = self.running.saturating_sub(1);
        self.running_background = self.running_background.saturating_sub(usize::from(background));
    }

    /// Gives free places to those who wait, people first.
    fn admit(&mut self) {
        for background in [false, true] {
            while self.may_run(background) {
                let Some(waiter) = self.queue(background).pop_front() else { break };
                if waiter.granted.send(()).is_ok() {
                    self.begin(background);
                }
            }
        }
    }
}

/// A place among the running turns, given back when dropped.
pub(crate) struct Place {
    gate: Arc<Gate>,
    background: bool,
    _count: GaugeGuard,
}

impl Place {
    fn new(gate: &Arc<Gate>, background: bool) -> Self {
        let count = Gauge::enter(&gate.gauges, |gauges| &gauges.turns_active);
        Self { gate: Arc::clone(gate), background, _count: count }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gate.release(self.background);
    }
}

/// A place in the queue, given up when dropped.
pub(crate) struct Waiting {
    gate: Arc<Gate>,
    background: bool,
    number: u64,
    grant: oneshot::Receiver<()>,
    taken: bool,
    _count: GaugeGuard,
}

impl Waiting {
    /// Waits for the place; `None` when the gate was closed instead.
    pub(crate) async fn admitted(mut self) -> Option<Place> {
        (&mut self.grant).await.ok()?;
        self.taken = true;
        Some(Place::new(&self.gate, self.background))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let mut state = self.gate.state();
        let (number, queue) = (self.number, state.queue(self.background));
        match queue.iter().position(|waiter| waiter.number == number) {
            Some(at) => {
                queue.remove(at);
            }
            // Not in the queue: either granted a moment ago and not taken, or the gate was closed.
            None if self.grant.try_recv().is_ok() => {
                state.end(self.background);
                state.admit();
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    fn gate(running: usize, waiting: usize) -> (Arc<Gate>, Arc<Gauges>) {
        let gauges = Arc::new(Gauges::default());
        (Gate::new(Bounds { running, waiting }, Arc::clone(&gauges)), gauges)
    }

    fn admitted(gate: &Arc<Gate>, background: bool) -> Place {
        match gate.enter(background) {
            Entry::Admitted(place) => place,
            _ => panic!("there was a place"),
        }
    }

    fn waits(gate: &Arc<Gate>, background: bool) -> Pull {
        match gate.enter(background) {
            Entry::Waits(waiting) => Pull(Box::pin(waiting.admitted())),
            _ => panic!("it had to wait"),
        }
    }

    /// A waiting turn that is polled by hand.
    struct Pull(std::pin::Pin<Box<dyn Future<Output = Option<Place>>>>);

    impl Pull {
        fn now(&mut self) -> Poll<Option<Place>> {
            self.0.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        }

        fn place(&mut self) -> Place {
            match self.now() {
                Poll::Ready(Some(place)) => place,
                _ => panic!("not admitted"),
            }
        }
    }

    #[test]
    fn runs_waits_in_order_and_turns_away() {
        let (gate, gauges) = gate(1, 2);
        let running = admitted(&gate, false);
        let (mut first, mut second) = (waits(&gate, false), waits(&gate, false));
        assert!(matches!(gate.enter(false), Entry::Full(Bounds { running: 1, waiting: 2 })));
        assert_eq!((gauges.turns_active.get(), gauges.turns_queued.get()), (1, 2));
        assert!(first.now().is_pending());
        drop(running);
        assert!(second.now().is_pending());
        let place = first.place();
        assert_eq!((gauges.turns_active.get(), gauges.turns_queued.get()), (1, 1));
        drop(place);
        drop(second.place());
        assert_eq!((gauges.turns_active.get(), gauges.turns_queued.get()), (0, 0));
    }

    #[test]
    fn people_go_first_and_background_work_gets_half() {
        let (gate, _) = gate(4, 8);
        let background = [admitted(&gate, true), admitted(&gate, true)];
        let mut third = waits(&gate, true);
        // Places that background work may not take are there for people.
        let people = [admitted(&gate, false), admitted(&gate, false)];
        let mut person = waits(&gate, false);
        drop(background);
        let person = person.place();
        let third = third.place();
        drop((people, person, third));
        drop(admitted(&gate, true));
    }

    #[test]
    fn background_work_fills_half_of_the_queue() {
        let (gate, _) = gate(1, 4);
        let _running = admitted(&gate, false);
        let _waiting = [waits(&gate, true), waits(&gate, true)];
        assert!(matches!(gate.enter(true), Entry::Full(_)));
        let _person = waits(&gate, false);
    }

    #[test]
    fn one_that_gives_up_frees_its_place_at_once() {
        let (gate, gauges) = gate(1, 1);
        let running = admitted(&gate, false);
        drop(waits(&gate, false));
        assert_eq!(gauges.turns_queued.get(), 0);
        let mut next = waits(&gate, false);
        // Granted, but given up before it was taken: the place goes on to whoever comes next.
        let granted = match gate.enter(false) {
            Entry::Full(_) => waits_after(&gate, &mut next, running),
            _ => panic!("the queue was full"),
        };
        drop(granted);
        drop(admitted(&gate, false));
        assert_eq!((gauges.turns_active.get(), gauges.turns_queued.get()), (0, 0));
    }

    fn waits_after(gate: &Arc<Gate>, next: &mut Pull, running: Place) -> Pull {
        drop(running);
        // `next` has its grant now, and its place in the queue is free again.
        let behind = waits(gate, false);
        let unclaimed = std::mem::replace(next, Pull(Box::pin(std::future::ready(None))));
        drop(unclaimed);
        behind
    }

    #[test]
    fn new_bounds_hold_at_once() {
        let (gate, gauges) = gate(1, 4);
        let running = admitted(&gate, false);
        let (mut first, mut second) = (waits(&gate, false), waits(&gate, false));
        gate.resize(Bounds { running: 3, waiting: 0 });
        let places = (first.place(), second.place());
        assert!(matches!(gate.enter(false), Entry::Full(_)));
        gate.resize(Bounds { running: 1, waiting: 1 });
        drop(places);
        let mut third = waits(&gate, false);
        assert!(third.now().is_pending());
        drop(running);
        drop(third.place());
        assert_eq!(gauges.turns_active.get(), 0);
    }

    #[test]
    fn a_closed_gate_tells_those_who_wait() {
        let (gate, gauges) = gate(1, 4);
        let running = admitted(&gate, false);
        let mut waiting = waits(&gate, false);
        gate.close();
        assert!(matches!(waiting.now(), Poll::Ready(None)));
        assert!(matches!(gate.enter(false), Entry::Closed));
        drop((running, waiting));
        assert!(gate.is_closed());
        assert_eq!((gauges.turns_active.get(), gauges.turns_queued.get()), (0, 0));
    }
}

//! Waits that nearly never come to their end: the deadlines around a request, of which most are dropped within a millisecond.
//!
//! A timer of tokio's takes a look at the clock, an allocation of its own and two locks, three times for each request. Here a wait is a place in a
//! list of its thread, and one task looks through the list four times a second, for as long as there is anything in it. Only the looks read the
//! clock: a wait counts from the first look after it began. The price is that it ends up to two looks late, which is half a second however
//! long it is, and later by as much as its thread was held up at one of the two: nothing for a deadline of seconds, too much for anything that
//! shall happen on time.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// How often the list is looked through. Two of these, with what a timer adds, are within half a second.
const TICK: Duration = Duration::from_millis(240);
/// Looks at an empty list before the task ends: a request now and then shall not start one each.
const IDLE_TICKS: u32 = 8;

thread_local! {
    static WAITS: RefCell<Waits> = const { RefCell::new(Waits { places: Vec::new(), free: Vec::new(), numbers: 0, task: None }) };
}

/// The waits of one thread.
struct Waits {
    places: Vec<Place>,
    /// Places that nobody has.
    free: Vec<usize>,
    /// The waits so far.
    numbers: u64,
    task: Option<AbortHandle>,
}

/// A place in the list.
struct Place {
    /// Whose it is: whoever had it before has another number.
    number: u64,
    due: Due,
    /// None while nobody has the place.
    waker: Option<Waker>,
}

/// When a wait is over.
#[derive(Clone, Copy)]
enum Due {
    /// So long after the next look: it began since the last one.
    After(Duration),
    At(Instant),
}

impl Due {
    /// At a look. What is too long for the clock never gets a time.
    fn seen(self, now: Instant) -> Self {
        match self {
            Self::After(duration) => now.checked_add(duration).map_or(self, Self::At),
            Self::At(_) => self,
        }
    }

    fn is_over(self, now: Instant) -> bool {
        matches!(self, Self::At(time) if time <= now)
    }
}

impl Waits {
    fn take(&mut self, duration: Duration, waker: Waker) -> (usize, u64) {
        self.numbers += 1;
        let number = self.numbers;
        let place = Place { number, due: Due::After(duration), waker: Some(waker) };
        let at = match self.free.pop() {
            Some(at) => {
                self.places[at] = place;
                at
            }
            None => {
                self.places.push(place);
                self.places.len() - 1
            }
        };
        if self.task.as_ref().is_none_or(AbortHandle::is_finished) {
            self.task = Some(actix_rt::spawn(look()).abort_handle());
        }
        (at, number)
    }

    fn leave(&mut self, at: usize) -> Option<Waker> {
        self.free.push(at);
        self.places[at].waker.take()
    }

    /// One look through the list: who has waited long enough, and whether the list is empty.
    fn tick(&mut self, now: Instant) -> (Vec<Waker>, bool) {
        let mut over = Vec::new();
        for (at, place) in self.places.iter_mut().enumerate() {
            place.due = place.due.seen(now);
            if place.waker.is_some() && place.due.is_over(now) {
                over.push(at);
            }
        }
        let wakers = over.into_iter().filter_map(|at| self.leave(at)).collect();
        let is_empty = self.free.len() == self.places.len();
        if is_empty {
            // After a burst the room goes back.
            (self.places, self.free) = (Vec::new(), Vec::new());
        }
        (wakers, is_empty)
    }
}

async fn look() {
    let mut idle = 0;
    loop {
        let now = Instant::now();
        let (wakers, is_empty) = WAITS.with_borrow_mut(|waits| waits.tick(now));
        idle = if is_empty { idle + 1 } else { 0 };
        wakers.into_iter().for_each(Waker::wake);
        // Between a look and the end nobody else runs on this thread: what comes later finds that the task has ended.
        if idle == IDLE_TICKS {
            return;
        }
        sleep(TICK).await;
    }
}

/// A wait of at least this long. It counts from its first poll and never leaves the thread of that.
pub(crate) struct Patience {
    duration: Duration,
    place: Option<(usize, u64)>,
    /// Places are a thread's own.
    _local: std::marker::PhantomData<std::rc::Rc<()>>,
}

impl Patience {
    pub(crate) fn new(duration: Duration) -> Self {
        Self { duration, place: None, _local: std::marker::PhantomData }
    }
}

impl Future for Patience {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        WAITS.with_borrow_mut(|waits| {
            let Some((at, number)) = self.place else {
                self.place = Some(waits.take(self.duration, context.waker().clone()));
                return Poll::Pending;
            };
            match waits.places.get_mut(at).filter(|place| place.number == number).and_then(|place| place.waker.as_mut())
            {
                Some(waker) => {
                    waker.clone_from(context.waker());
                    Poll::Pending
                }
                None => Poll::Ready(()),
            }
        })
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        let Some((at, number)) = self.place else { return };
        // A thread that ends has no list any more. The waker goes after the list is free again, for it may hold another wait; one that goes with a
        // waker that is being replaced finds the list taken, and its place is free once it is due.
        drop(WAITS.try_with(|waits| {
            let mut waits = waits.try_borrow_mut().ok()?;
            let is_own = waits.places.get(at).is_some_and(|place| place.number == number && place.waker.is_some());
            is_own.then(|| waits.leave(at)).flatten()
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use tokio::time::advance;

    fn places() -> (usize, usize) {
        WAITS.with_borrow(|waits| (waits.places.len(), waits.free.len()))
    }

    fn run(test: impl Future<Output = ()>) {
        let paused = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let set = tokio::task::LocalSet::new();
        set.block_on(&paused.expect("a runtime"), test);
    }

    #[test]
    fn ends_late_but_never_early() {
        run(async {
            let waited = join_all([0, 1, 239, 240, 241, 5000, 5100, 600_000, 3_600_000].map(async |ms| {
                let asked = Duration::from_millis(ms);
                let begun = Instant::now();
                Patience::new(asked).await;
                (asked, begun.elapsed())
            }));
            for (asked, waited) in waited.await {
                assert!(waited >= asked && waited <= asked + TICK * 2, "{asked:?}: {waited:?}");
            }
            assert_eq!(places(), (0, 0), "the room is given back");
        });
    }

    #[test]
    fn a_thread_that_is_held_up_does_not_make_its_waits_longer_each_time() {
        run(async {
            const HELD: Duration = Duration::from_millis(7300);
            // The clock may move twice between two looks, once before a wait is seen and once before its end is.
            const LATEST: Duration = Duration::from_millis(2 * (240 + 2 * 7300));
            let asked = Duration::from_secs(600);
            let begun = Instant::now();
            let mut wait = std::pin::pin!(Patience::new(asked));
            let mut later = None;
            while (&mut wait).now_or_never().is_none() {
                advance(HELD).await;
                if later.is_none() {
                    // In the middle of a time without looks.
                    later = Some((Instant::now(), Box::pin(Patience::new(asked))));
                    let (_, later) = later.as_mut().expect("just made");
                    assert!(later.now_or_never().is_none());
                }
            }
            let waited = begun.elapsed();
            assert!(waited >= asked && waited <= asked + LATEST, "{waited:?}");
            let (begun, later) = later.expect("made");
            later.await;
            let waited = begun.elapsed();
            assert!(waited >= asked && waited <= asked + LATEST, "{waited:?}");
        });
    }

    #[test]
    fn a_wait_that_comes_as_the_task_is_about_to_end_is_looked_at() {
        run(async {
            // Some moment of each look at the empty list, and a few after the last.
            for rest in (0..IDLE_TICKS * 8).map(|eighths| TICK * eighths / 4) {
                let _ = Patience::new(TICK).now_or_never();
                sleep(rest).await;
                let begun = Instant::now();
                tokio::time::timeout(TICK * 100, Patience::new(TICK)).await.expect("looked at");
                assert!(begun.elapsed() <= TICK * 3, "after {rest:?}: {:?}", begun.elapsed());
                sleep(TICK * IDLE_TICKS * 2).await;
            }
        });
    }

    #[test]
    fn a_wait_after_a_long_rest_counts_from_its_own_beginning() {
        run(async {
            for rest in [TICK, TICK * IDLE_TICKS * 3, Duration::from_secs(86_400)] {
                let (begun, asked) = (Instant::now(), Duration::from_secs(30));
                Patience::new(asked).await;
                assert!(begun.elapsed() >= asked && begun.elapsed() <= asked + TICK * 2, "{:?}", begun.elapsed());
                sleep(rest).await;
            }
            assert!(Patience::new(Duration::MAX).now_or_never().is_none(), "no wait is too long");
        });
    }

    #[test]
    fn a_place_is_used_again_and_its_old_wait_is_over() {
        run(async {
            let mut first = Patience::new(TICK);
            assert!((&mut first).now_or_never().is_none());
            let mut longer = Patience::new(TICK * 100);
            assert!((&mut longer).now_or_never().is_none());
            for _ in 0..1000 {
                assert!(Patience::new(TICK * 100).now_or_never().is_none());
            }
            assert_eq!(places(), (3, 1), "what is dropped makes room");
            sleep(TICK * 4).await;
            let mut second = Patience::new(TICK * 100);
            assert!((&mut second).now_or_never().is_none());
            assert!((&mut first).now_or_never().is_some() && (&mut second).now_or_never().is_none());
            drop(first);
            assert!((&mut second).now_or_never().is_none(), "the place of another is not given up");
            assert!((&mut longer).now_or_never().is_none());
        });
    }

    #[test]
    fn another_runtime_of_the_thread_has_its_own_task() {
        for _ in 0..2 {
            run(async {
                let begun = Instant::now();
                Patience::new(TICK).await;
                assert!(begun.elapsed() <= TICK * 3);
            });
        }
    }
}

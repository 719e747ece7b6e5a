//! A bounded set of tasks on one thread, owned by whoever holds it: dropping the set ends them all.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use tokio::task::AbortHandle;

/// Owns local tasks.
#[derive(Debug)]
pub struct TaskSet {
    capacity: usize,
    running: Rc<Cell<usize>>,
    tasks: RefCell<Vec<AbortHandle>>,
}

impl TaskSet {
    /// A set that holds at most `capacity` tasks at once.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, running: Rc::default(), tasks: RefCell::default() }
    }

    /// Runs `work` on this thread. `false`, and nothing runs, when the set is full. A panic in it is contained and logged.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + 'static) -> bool {
        if self.running.get() >= self.capacity {
            return false;
        }
        let place = Place::take(&self.running);
        let task = actix_rt::spawn(async move {
            let _place = place;
            if let Err(panic) = crate::guard::contained(work).await {
                tracing::error!(task = name, panic, "background work crashed");
            }
        });
        let mut tasks = self.tasks.borrow_mut();
        if tasks.len() >= self.capacity {
            tasks.retain(|task| !task.is_finished());
        }
        tasks.push(task.abort_handle());
        true
    }
}

impl Drop for TaskSet {
    fn drop(&mut self) {
        for task in self.tasks.borrow().iter() {
            task.abort();
        }
    }
}

struct Place(Rc<Cell<usize>>);

impl Place {
    fn take(running: &Rc<Cell<usize>>) -> Self {
        running.set(running.get() + 1);
        Self(Rc::clone(running))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

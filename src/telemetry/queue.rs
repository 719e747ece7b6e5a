//! Between those who log and the stream: a bounded queue and one thread that writes. Who logs never waits; what does not fit is counted,
//! and told in the log itself once there is room.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

/// The most bytes that wait.
const CAPACITY: usize = 1 << 20;
/// The most room that is kept from one batch to the next.
const KEPT: usize = 64 << 10;
/// How long lines are gathered before they are written: one wake-up and one system call for many requests instead of two for each.
const GATHER: Duration = Duration::from_millis(20);

/// The queue and its thread.
pub struct Queue {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something waits, or the queue is closed.
    filled: Condvar,
    /// Nothing waits and nothing is being written.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    dropped: u64,
    /// The thread waits for a first line and wants to be woken.
    resting: bool,
    writing: bool,
    closed: bool,
}

impl State {
    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.dropped == 0
    }
}

impl Shared {
    /// A thread that panicked while it logged has left a whole state behind: every change is one step.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Starts the thread that writes to `stream`. `notice` words the line that tells of dropped lines.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(stream: Box<dyn Write + Send>, notice: impl Fn(u64) -> String + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        std::thread::Builder::new().name("haia-log".to_owned()).spawn(move || write_all(&own, stream, &notice))?;
        Ok(Self { shared })
    }

    /// Where lines go in.
    pub fn sink(&self) -> Sink {
        Sink(Arc::clone(&self.shared))
    }

    /// Takes no more lines, and waits until those that came are written, for `patience` at most: a stream that nobody reads must not
    /// hold the process. Whether all were written.
    pub fn close(&self, patience: Duration) -> bool {
        let mut state = self.shared.lock();
        state.closed = true;
        self.shared.filled.notify_all();
        let waited = self.shared.emptied.wait_timeout_while(state, patience, |state| !state.is_idle() || state.writing);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_idle() && !state.writing
    }
}

fn write_all(shared: &Shared, mut stream: Box<dyn Write + Send>, notice: &dyn Fn(u64) -> String) {
    let mut batch = Vec::new();
    loop {
        let mut state = shared.lock();
        state.writing = false;
        if state.is_idle() {
            shared.emptied.notify_all();
        }
        while state.is_idle() && !state.closed {
            state.resting = true;
            state = shared.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_idle() {
            return;
        }
        let more_may_come = |state: &mut State| !state.closed && state.waiting.len() < CAPACITY / 2;
        let gathered = shared.filled.wait_timeout_while(state, GATHER, more_may_come);
        let (mut state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        batch.clear();
        // What a burst took goes back after it.
        if batch.capacity() > KEPT {
            batch = Vec::new();
        }
        std::mem::swap(&mut batch, &mut state.waiting);
        let dropped = std::mem::take(&mut state.dropped);
        state.writing = true;
        drop(state);
        if dropped > 0 {
            batch.extend_from_slice(notice(dropped).as_bytes());
        }
        // Where nobody reads the log there is nobody to tell of it.
        let _ = stream.write_all(&batch);
        let _ = stream.flush();
    }
}

/// Takes lines for the queue.
#[derive(Clone)]
pub struct Sink(Arc<Shared>);

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Sink;

    fn make_writer(&'a self) -> Sink {
        self.clone()
    }
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.closed || state.waiting.len() + line.len() > CAPACITY {
            state.dropped += u64::from(!state.closed);
        } else {
            state.waiting.extend_from_slice(line);
        }
        let wake = std::mem::take(&mut state.resting) || state.waiting.len() >= CAPACITY / 2;
        drop(state);
        if wake {
            self.0.filled.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::testing::Written;
    use std::sync::mpsc;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A stream that tells of each write and waits for leave to go on.
    struct Gated {
        to: Written,
        begun: mpsc::Sender<()>,
        leave: mpsc::Receiver<()>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.begun.send(());
            let _ = self.leave.recv();
            self.to.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn closing_writes_everything_first() {
        let written = Written::default();
        let queue = Queue::start(Box::new(written.clone()), |_| String::new()).expect("a thread");
        let mut sink = queue.sink();
        for at in 0..1000 {
            writeln!(sink, "line {at}").expect("never fails");
        }
        assert!(queue.close(PATIENCE));
        assert_eq!(written.text().lines().count(), 1000);
        assert!(written.text().ends_with("line 999\n"));
        writeln!(sink, "too late").expect("never fails");
        assert!(queue.close(PATIENCE) && !written.text().contains("too late"));
    }

    #[test]
    fn what_does_not_fit_is_counted_and_told() {
        let written = Written::default();
        let (begun, has_begun) = mpsc::channel();
        let (let_go, leave) = mpsc::channel();
        let stream = Gated { to: written.clone(), begun, leave };
        let queue = Queue::start(Box::new(stream), |dropped| format!("{dropped} lost\n")).expect("a thread");
        let mut sink = queue.sink();
        sink.write_all(b"first\n").expect("never fails");
        has_begun.recv_timeout(PATIENCE).expect("the first line is being written");
        let large = vec![b'x'; CAPACITY];
        sink.write_all(&large).expect("never fails");
        sink.write_all(b"lost\n").expect("never fails");
        sink.write_all(b"lost too\n").expect("never fails");
        assert!(!queue.close(Duration::ZERO), "the stream still blocks");
        for _ in 0..2 {
            let_go.send(()).expect("the writer waits");
        }
        assert!(queue.close(PATIENCE));
        let text = written.text();
        assert!(text.starts_with("first\nxxx") && text.ends_with("x2 lost\n") && !text.contains("lost too"));
    }
}

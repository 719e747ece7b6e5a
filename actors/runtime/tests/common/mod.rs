//! The actor that the tests of this crate supervise: it counts, panics on request, and works for as long as the test lets it.
//!
//! It never sleeps and reads no clock: a test moves it by messages and gates alone.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test: it owns its tasks and panics on purpose"
)]

use contract::message::{Fault, Lane, Msg};
use runtime::{Context, Handle, Policy, Reply, Service};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Longer than any test lets something wait, in paused time.
pub const PATIENCE: Duration = Duration::from_secs(3600);
pub const NAME: &str = "probe";

/// What happened, in order, over all builds of the actor.
pub type Log = Arc<Mutex<Vec<String>>>;

pub fn entries(log: &Log) -> Vec<String> {
    log.lock().unwrap().clone()
}

/// Counts what it is told, from zero in each build.
#[derive(Default)]
pub struct Probe {
    pub count: u64,
    pub log: Log,
    pub on_start: Option<fn(&Context<Probe>)>,
    pub bomb: DropBomb,
}

impl Probe {
    pub fn logging_to(log: &Log) -> impl Fn() -> Self + Send + 'static {
        let log = Arc::clone(log);
        move || Self { log: Arc::clone(&log), ..Self::default() }
    }
}

impl Service for Probe {
    type Observed = u64;

    fn started(&mut self, context: &Context<Self>) {
        if let Some(on_start) = self.on_start {
            on_start(context);
        }
    }

    fn observe(&self) -> u64 {
        self.count
    }
}

macro_rules! message {
    ($name:ident $body:tt -> $reply:ty) => {
        pub struct $name $body
        message!(@msg $name $reply);
    };
    ($name:ident -> $reply:ty) => {
        pub struct $name;
        message!(@msg $name $reply);
    };
    (@msg $name:ident $reply:ty) => {
        impl Msg for $name {
            type Reply = $reply;
            const NAME: &'static str = stringify!($name);
        }
    };
}

message!(Count -> u64);
message!(Boom -> u64);
message!(Note { pub text: String } -> ());
message!(Work { pub name: String, pub gate: oneshot::Receiver<Ending> } -> String);
message!(Ignore { pub bomb: DropBomb } -> ());
message!(Tick -> ());

/// How a piece of work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Done,
    Panic,
}

/// Content whose destructor panics, if it is armed.
#[derive(Default)]
pub struct DropBomb(pub bool);

impl Drop for DropBomb {
    fn drop(&mut self) {
        if self.0 {
            panic!("spoilt beyond dropping");
        }
    }
}

impl Handle<Count> for Probe {
    fn handle(&mut self, _: Count, _: &Context<Self>) -> Reply<u64> {
        self.count += 1;
        Reply::Now(self.count)
    }
}

impl Handle<Boom> for Probe {
    fn handle(&mut self, _: Boom, _: &Context<Self>) -> Reply<u64> {
        self.count += 100;
        panic!("boom");
    }
}

impl Handle<Note> for Probe {
    fn handle(&mut self, note: Note, _: &Context<Self>) -> Reply<()> {
        self.log.lock().unwrap().push(note.text);
        Reply::Now(())
    }
}

/// Says in the log when it is dropped before its end.
struct Unfinished(String, Log, bool);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.2 {
            self.1.lock().unwrap().push(format!("{} dropped", self.0));
        }
    }
}

impl Handle<Work> for Probe {
    fn handle(&mut self, work: Work, _: &Context<Self>) -> Reply<String> {
        let log = Arc::clone(&self.log);
        log.lock().unwrap().push(format!("{} begun", work.name));
        Reply::later(async move {
            let mut unfinished = Unfinished(work.name.clone(), Arc::clone(&log), false);
            let ending = work.gate.await;
            unfinished.2 = true;
            match ending {
                Ok(Ending::Panic) => panic!("{} went wrong", work.name),
                Ok(Ending::Done) | Err(_) => log.lock().unwrap().push(format!("{} ended", work.name)),
            }
            work.name
        })
    }
}

impl Handle<Ignore> for Probe {
    fn handle(&mut self, mut ignore: Ignore, _: &Context<Self>) -> Reply<()> {
        ignore.bomb.0 = false;
        Reply::Now(())
    }
}

impl Handle<Tick> for Probe {
    fn handle(&mut self, _: Tick, context: &Context<Self>) -> Reply<()> {
        self.count += 1;
        self.log.lock().unwrap().push(format!("tick {}", self.count));
        context.tell_after(Duration::from_secs(1), Lane::Background, Tick);
        Reply::Now(())
    }
}

/// Begins to ask, and goes on beside the test.
pub fn asking<M: Msg>(port: &runtime::Port<M>, message: M) -> JoinHandle<Result<M::Reply, Fault>> {
    let port = port.clone();
    tokio::task::spawn_local(async move { port.ask(message, PATIENCE).await })
}

/// A piece of work and the gate that ends it.
pub fn work(name: &str) -> (Work, oneshot::Sender<Ending>) {
    let (end, gate) = oneshot::channel();
    (Work { name: name.to_owned(), gate }, end)
}

/// Short backoffs and small lanes.
pub fn small() -> Policy {
    Policy { backoff: Duration::from_millis(10), crashes: 3, interactive: 4, background: 4, ..Policy::default() }
}

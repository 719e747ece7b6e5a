//! The figures of one actor, written by its guard and ports, read by anybody.

use crate::histogram::Histogram;
use contract::message::Fault;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Where an actor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ActorState {
    /// Its factory has not run yet.
    Starting = 0,
    /// It handles messages.
    Running = 1,
    /// It crashed and waits to be built afresh; messages queue.
    Restarting = 2,
    /// It was given up; messages are refused.
    Failed = 3,
    /// Its thread has ended.
    Stopped = 4,
}

impl ActorState {
    /// The state as `/status` writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            ActorState::Starting => "starting",
            ActorState::Running => "running",
            ActorState::Restarting => "restarting",
            ActorState::Failed => "failed",
            ActorState::Stopped => "stopped",
        }
    }
}

/// The figures of one actor.
#[derive(Debug)]
pub struct Stats {
    name: &'static str,
    state: AtomicU8,
    depth: AtomicU64,
    in_flight: AtomicU64,
    /// So many detached futures at once; beyond, messages stay in their lanes.
    in_flight_limit: u64,
    handled: AtomicU64,
    panics: AtomicU64,
    restarts: AtomicU64,
    dead_letters: AtomicU64,
    refused: AtomicU64,
    /// Steps of the guard's loop, begun and done: a difference that lasts is a handler that blocks.
    begun: AtomicU64,
    done: AtomicU64,
    wait: Histogram,
    handle: Histogram,
}

impl Stats {
    pub(crate) fn new(name: &'static str, in_flight_limit: usize) -> Self {
        Self {
            name,
            state: AtomicU8::new(ActorState::Starting as u8),
            depth: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            in_flight_limit: (in_flight_limit as u64).max(1),
            handled: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            done: AtomicU64::new(0),
            wait: Histogram::default(),
            handle: Histogram::default(),
        }
    }

    /// The actor's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where the actor stands.
    pub fn state(&self) -> ActorState {
        match self.state.load(Relaxed) {
            0 => ActorState::Starting,
            1 => ActorState::Running,
            2 => ActorState::Restarting,
            3 => ActorState::Failed,
            _ => ActorState::Stopped,
        }
    }

    /// Messages that wait, over all lanes.
    pub fn depth(&self) -> u64 {
        self.depth.load(Relaxed)
    }

    /// Detached futures that run.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Relaxed)
    }

    /// Whether as many detached futures run as may: messages then wait by right.
    pub fn is_full(&self) -> bool {
        self.in_flight() >= self.in_flight_limit
    }

    /// Messages handled, control messages included.
    pub fn handled(&self) -> u64 {
        self.handled.load(Relaxed)
    }

    /// Crashes of the factory, of handlers and of detached futures.
    pub fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    /// Fresh builds after a crash.
    pub fn restarts(&self) -> u64 {
        self.restarts.load(Relaxed)
    }

    /// Messages that were queued and never handled.
    pub fn dead_letters(&self) -> u64 {
        self.dead_letters.load(Relaxed)
    }

    /// Messages that were not even queued: the lane was full (and stayed so until the deadline), or the actor is gone.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// How long messages waited.
    pub fn wait(&self) -> &Histogram {
        &self.wait
    }

    /// How long handlers took, their detached futures not included.
    pub fn handle(&self) -> &Histogram {
        &self.handle
    }

    /// Steps of the loop, begun and done.
    pub fn progress(&self) -> (u64, u64) {
        (self.begun.load(Relaxed), self.done.load(Relaxed))
    }

    pub(crate) fn set_state(&self, state: ActorState) {
        self.state.store(state as u8, Relaxed);
    }

    pub(crate) fn queued(&self) {
        self.depth.fetch_add(1, Relaxed);
    }

    pub(crate) fn unqueued(&self) {
        self.depth.fetch_sub(1, Relaxed);
    }

    pub(crate) fn begin(&self) {
        self.begun.fetch_add(1, Relaxed);
    }

    pub(crate) fn finish(&self) {
        self.done.fetch_add(1, Relaxed);
    }

    pub(crate) fn waited(&self, time: Duration) {
        self.wait.record(time);
    }

    pub(crate) fn took(&self, time: Duration) {
        self.handled.fetch_add(1, Relaxed);
        self.handle.record(time);
    }

    pub(crate) fn detached(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(crate) fn landed(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, Relaxed);
    }

    pub(crate) fn restarted(&self) -> u64 {
        self.restarts.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn dead_letter(&self, message: &'static str, reason: &'static str) {
        self.dead_letters.fetch_add(1, Relaxed);
        tracing::debug!(actor = self.name, message, reason, "dead letter");
    }

    pub(crate) fn refuse(&self, message: &'static str, fault: &Fault) {
        self.refused.fetch_add(1, Relaxed);
        tracing::debug!(actor = self.name, message, reason = fault.reason(), "message refused");
    }
}

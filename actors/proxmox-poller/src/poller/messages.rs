//! What the poller tells itself: beats, and what came home.

use super::fetch::{PartNews, PollNews};
use contract::alerts::ReportFindings;
use contract::message::Msg;
use contract::store::{HistorySlab, StoreError};
use std::sync::Arc;

/// Time to see what is due.
pub(super) struct Beat;

impl Msg for Beat {
    type Reply = ();
    const NAME: &'static str = "Beat";
}

/// A poll ended.
pub(super) struct Polled {
    pub(super) cluster: Arc<str>,
    pub(super) generation: u64,
    pub(super) news: PollNews,
}

impl Msg for Polled {
    type Reply = ();
    const NAME: &'static str = "Polled";
}

/// A part was fetched.
pub(super) struct Fetched {
    pub(super) cluster: Arc<str>,
    pub(super) generation: u64,
    pub(super) news: PartNews,
}

impl Msg for Fetched {
    type Reply = ();
    const NAME: &'static str = "Fetched";
}

/// A report ended; with what was refused.
pub(super) struct Reported {
    pub(super) cluster: Arc<str>,
    pub(super) generation: u64,
    pub(super) refused: Option<ReportFindings>,
}

impl Msg for Reported {
    type Reply = ();
    const NAME: &'static str = "Reported";
}

/// What the rules remembered before the start was read, of these clusters.
pub(super) struct Resumed {
    pub(super) clusters: Vec<Arc<str>>,
    pub(super) states: Result<Vec<(Arc<str>, String)>, StoreError>,
}

impl Msg for Resumed {
    type Reply = ();
    const NAME: &'static str = "Resumed";
}

/// What the rules remember was not kept.
pub(super) struct NotKept {
    pub(super) cluster: Arc<str>,
}

impl Msg for NotKept {
    type Reply = ();
    const NAME: &'static str = "NotKept";
}

/// The history kept before the start was read.
pub(super) struct Remembered {
    pub(super) cluster: Arc<str>,
    pub(super) slabs: Result<Vec<HistorySlab>, StoreError>,
}

impl Msg for Remembered {
    type Reply = ();
    const NAME: &'static str = "Remembered";
}

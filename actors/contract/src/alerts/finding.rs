//! What a watcher found. It says what it reads now; how long that must hold, and what is told, is the alert desk's business.

use super::labels::Labels;
use crate::message::Msg;
use crate::store::StoreError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know: goes into digests only.
    Info,
    /// Should be looked at.
    Warning,
    /// Needs somebody now.
    Critical,
}

impl Severity {
    /// The severity as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// What one level of a rule reads now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reading {
    /// Its condition is met.
    Raised,
    /// Between the two thresholds: what is open stays open, what is closed stays closed.
    Held,
    /// Its condition is over.
    Clear,
}

/// One level of a rule, as read now, with the times that it must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelReading {
    /// What the level means.
    pub severity: Severity,
    /// What it reads.
    pub reading: Reading,
    /// How long it must read [`Reading::Raised`] before the alert fires.
    pub raise_for: Duration,
    /// How long it must read [`Reading::Clear`] before the alert ends.
    pub clear_for: Duration,
}

/// One more thing to know, as a label and its text (`last task`: `qmstop by root@pam, 2 min before`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fact {
    /// What it is, in one or two words.
    pub label: Arc<str>,
    /// The text. Data, never instruction.
    pub text: String,
}

/// What a watcher found. Its identity is `rule` and `object`: the same pair is the same alert, over restarts and sources.
///
/// Every text in it may hold words of guests, tasks and other programs: it is data, and renderers escape it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's name, one of a fixed list (`actor_failed`, `guest_crashed`, …); `alertmanager` for what came from there.
    pub rule: Arc<str>,
    /// What it is about, stable (`homelab/guest/101`, `homelab/node/pve2`, `homelab/storage/pve1/local`, `homelab`, `actor/store`).
    pub object: Arc<str>,
    /// What it is about, for people (`web-01 (101)`, `node pve2`).
    pub subject: String,
    /// What happened, as the end of a sentence that begins with the subject (`crashed`, `is 96 % full`), without a full stop.
    pub summary: String,
    /// Each level of the rule; the worst that holds long enough is the alert's severity.
    pub levels: Vec<LevelReading>,
    /// When it began, in HAIA's time, as well as the watcher knows.
    pub since: Timestamp,
    /// The value now, with its unit (`96 %`).
    pub value: Option<String>,
    /// The threshold, with its unit (`95 %`).
    pub limit: Option<String>,
    /// What happened just before (`backup of 101 ended 2 min earlier`).
    pub before: Option<String>,
    /// What it probably means, and what to do, in one sentence.
    pub meaning: Option<String>,
    /// More to know, shown in details only.
    pub facts: Vec<Fact>,
    /// What suffers from it by its nature, for people (`web-01 (101)`): a dead node's guests.
    pub affected: Vec<String>,
    /// Identities (`rule:object`) that explain this one: while one of them is open or about to open, this is told inside it and not alone.
    pub causes: Vec<Arc<str>>,
    /// For matchers: `cluster`, `node`, `vmid`, `name`, `tag`, `storage`, `kind`, and whatever else the source has.
    pub labels: Labels,
}

impl Finding {
    /// The identity, `rule:object`.
    pub fn key(&self) -> String {
        format!("{}:{}", self.rule, self.object)
    }

    /// The worst level that reads raised.
    pub fn raised(&self) -> Option<Severity> {
        self.levels.iter().filter(|level| level.reading == Reading::Raised).map(|level| level.severity).max()
    }

    /// A finding with one level that takes effect at once and ends at once; everything else is empty and to be filled in.
    pub fn new(
        rule: impl Into<Arc<str>>,
        object: impl Into<Arc<str>>,
        subject: impl Into<String>,
        summary: impl Into<String>,
        severity: Option<Severity>,
        since: Timestamp,
    ) -> Self {
        let level = |severity: Option<Severity>| LevelReading {
            severity: severity.unwrap_or(Severity::Warning),
            reading: if severity.is_some() { Reading::Raised } else { Reading::Clear },
            raise_for: Duration::ZERO,
            clear_for: Duration::ZERO,
        };
        Self {
            rule: rule.into(),
            object: object.into(),
            subject: subject.into(),
            summary: summary.into(),
            levels: vec![level(severity)],
            since,
            value: None,
            limit: None,
            before: None,
            meaning: None,
            facts: Vec::new(),
            affected: Vec::new(),
            causes: Vec::new(),
            labels: Labels::default(),
        }
    }
}

/// One rule's judgement over everything it could see.
///
/// What the rule has open within `scope` and is neither in `findings` nor in `unseen` reads clear. A rule whose data is missing or stale
/// reports nothing at all: that neither raises nor clears.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The rule.
    pub rule: Arc<str>,
    /// The beginning of every object it judged (`homelab/`); the whole object where it judged just one.
    pub scope: Arc<str>,
    /// What it found: raised, held, or cleared with something to say about the end.
    pub findings: Vec<Finding>,
    /// Objects it could not see this time: they stay as they are.
    pub unseen: Vec<Arc<str>>,
}

/// Reports to the alert desk. Answered once what it changed is stored: a webhook may then say that it was received.
#[derive(Clone, Debug)]
pub struct ReportFindings {
    /// Who reports (`proxmox/homelab`, `alertmanager`, `scheduler`, `supervision`).
    pub source: Arc<str>,
    /// A first sight: what is open already is told in one summary instead of one by one.
    pub is_baseline: bool,
    /// What was judged.
    pub judged: Vec<Judged>,
}

impl Msg for ReportFindings {
    type Reply = Result<(), StoreError>;
    const NAME: &'static str = "ReportFindings";
}

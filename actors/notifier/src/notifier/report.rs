//! Tells the alert desk which channels fail: after five minutes, or at once when the receiver refuses HAIA for good; and when they work again.

use super::Notifier;
use contract::alerts::{Finding, Judged, ReportFindings, Severity};
use contract::message::{Lane, Msg};
use jiff::Timestamp;
use runtime::{Context, Handle, Reply};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The rule.
const RULE: &str = "channel_failed";
/// How long the desk may take.
const DESK: Duration = Duration::from_secs(10);

/// What was reported of channels, and what the desk has taken.
#[derive(Default)]
pub(super) struct Reports {
    /// Since when a channel is reported as failing.
    failing: HashMap<Arc<str>, (Timestamp, String)>,
    /// What the desk was told last and has stored.
    taken: HashMap<Arc<str>, Option<String>>,
    is_under_way: bool,
}

/// The desk has taken reports, or not.
struct Reported {
    told: Vec<(Arc<str>, Option<String>)>,
    was_taken: bool,
}

impl Msg for Reported {
    type Reply = ();
    const NAME: &'static str = "Reported";
}

impl Notifier {
    /// Forgets what was reported of channels that are gone: the desk ends their alerts itself, and one that comes back is told anew.
    pub(super) fn forget_reports(&mut self) {
        let is_there = |name: &Arc<str>| self.posts.iter().any(|post| post.lane.name == *name);
        self.reports.failing.retain(|name, _| is_there(name));
        self.reports.taken.retain(|name, _| is_there(name));
    }

    /// Reports every channel whose state has changed since the desk took it last. A start reports each once: what was open before may be over.
    pub(super) fn report_troubles(&mut self, context: &Context<Self>) {
        let now = self.now();
        let Some(desk) = self.ports.desk.get() else { return };
        if self.reports.is_under_way {
            return;
        }
        let mut told = Vec::new();
        let mut judged = Vec::new();
        for post in &self.posts {
            let name = &post.lane.name;
            let trouble = post.lane.trouble(now).map(str::to_owned);
            let has_news = match self.reports.taken.get(name) {
                Some(taken) => taken.is_some() != trouble.is_some(),
                // Before anything was sent nothing is known of a channel that had failed: it stays as it is.
                None => trouble.is_some() || post.lane.counts.last_sent.is_some(),
            };
            if !has_news {
                continue;
            }
            let since = match &trouble {
                Some(why) => {
                    let entry = self.reports.failing.entry(Arc::clone(name));
                    Some(entry.or_insert_with(|| (now.haia, why.clone())).0)
                }
                None => {
                    self.reports.failing.remove(name);
                    None
                }
            };
            judged.push(judgement(name, post.config.kind(), trouble.as_deref().zip(since), now.haia));
            told.push((Arc::clone(name), trouble));
        }
        if told.is_empty() {
            return;
        }
        self.reports.is_under_way = true;
        let (port, home) = (desk.report.clone(), context.mailbox().port::<Reported>(Lane::Interactive));
        context.spawn(async move {
            let report = ReportFindings { source: "notifier".into(), is_baseline: false, judged };
            let was_taken = match port.ask(report, DESK).await {
                Ok(Ok(())) => true,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the desk could not take what channels fail; trying again");
                    false
                }
                Err(fault) => {
                    tracing::warn!(%fault, "the desk could not be told what channels fail; trying again");
                    false
                }
            };
            super::bring(&home, Reported { told, was_taken }).await;
        });
    }
}

fn judgement(name: &Arc<str>, kind: &str, trouble: Option<(&str, Timestamp)>, now: Timestamp) -> Judged {
    let object = format!("channel/{name}");
    let subject = format!("channel {name}");
    let mut finding = match trouble {
        Some((why, since)) => Finding {
            before: Some(why.to_owned()),
            meaning: Some(format!(
                "What waits is sent once it works, what it refused for good is not; `haia alerts test {name}` tries it."
            )),
            ..Finding::new(RULE, object.as_str(), subject, "cannot deliver messages", Some(Severity::Warning), since)
        },
        None => Finding::new(RULE, object.as_str(), subject, "delivers messages again", None, now),
    };
    finding.labels.add("name", Arc::clone(name));
    finding.labels.add("kind", kind);
    Judged { rule: RULE.into(), scope: object.into(), findings: vec![finding], unseen: Vec::new() }
}

impl Handle<Reported> for Notifier {
    fn handle(&mut self, reported: Reported, _: &Context<Self>) -> Reply<()> {
        self.reports.is_under_way = false;
        if reported.was_taken {
            self.reports.taken.extend(reported.told);
            self.forget_reports();
        }
        Reply::Now(())
    }
}

//! `api_blind`: HAIA cannot see the cluster. Judged on polls that failed; a good one clears it.

use super::defaults::{level, settings};
use super::scene::{Court, raised};
use super::{Rule, words};
use crate::memory::{Memory, Raised};
use crate::model::seconds_between;
use contract::alerts::{Finding, Judged, Labels};
use contract::monitor::{RuleBook, RuleInfo};
use std::sync::Arc;
use std::time::Duration;

pub(super) static RULE: Rule = Rule {
    info: RuleInfo {
        name: "api_blind",
        condition: "No configured member of the cluster answers, or all refuse HAIA's token.",
        defaults: settings([None, None, Some(level(90, 30))], None, None),
        unit: "",
    },
    needs: &[],
    judge,
    ended,
};

/// After a good poll there is nothing to find.
fn judge(court: &Court<'_>) -> Vec<Judged> {
    court.cluster(None)
}

/// Judged after a good poll.
fn ended(_: &Court<'_>, raised: &Raised) -> Option<String> {
    let was_refused = raised.summary.starts_with("refuses");
    Some(if was_refused { "lets HAIA in again" } else { "can be seen again" }.to_owned())
}

/// The judgement after a poll that failed: only this rule can say anything then.
pub fn judge_failed(cluster: &Arc<str>, memory: &Memory, book: &RuleBook) -> Option<Judged> {
    let blind = memory.blind.as_ref()?;
    let mut labels = Labels::default();
    labels.add("cluster", Arc::clone(cluster));
    let settings = book.settings(&RULE.info, &labels);
    let mut findings = Vec::new();
    if settings.is_enabled() {
        let summary = if blind.is_refused { "refuses HAIA's login" } else { "cannot be seen" };
        let subject = format!("cluster {cluster}");
        let mut finding = Finding::new(RULE.info.name, Arc::clone(cluster), subject, summary, None, blind.since);
        finding.levels = raised(&settings);
        // The time that the first poll took to fail is a part of the time that it holds.
        let passed = blind.seen_at.map_or(0, |seen_at| seconds_between(blind.since, seen_at));
        for level in &mut finding.levels {
            level.raise_for = level.raise_for.saturating_sub(Duration::from_secs(passed));
        }
        finding.labels = labels;
        finding.before = Some(words::quoted(&blind.why));
        finding.meaning = Some(
            if blind.is_refused {
                "HAIA sees nothing there until its token works again: was it deleted, did it expire, or was its secret changed?"
            } else {
                "HAIA sees nothing there and cannot warn of anything. Look at the nodes, their network, and HAIA's own."
            }
            .to_owned(),
        );
        findings.push(finding);
    }
    Some(Judged { rule: RULE.info.name.into(), scope: Arc::clone(cluster), findings, unseen: Vec::new() })
}

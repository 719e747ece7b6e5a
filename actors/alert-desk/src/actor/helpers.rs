//! What runs beside the alerts and delays none of them: explanations by the agent, and HAIA's own sign of life.

use super::{AlertDesk, Explained, Pinged, report};
use crate::config::WATCHDOG;
use crate::explain;
use crate::watchdog::{Trouble, Verdict, parse_url};
use contract::alerts::{Finding, Judged, ReportFindings, Severity};
use contract::chat::TurnText;
use contract::failure::Failure;
use contract::message::Lane;
use jiff::Timestamp;
use runtime::Context;
use std::sync::Arc;
use std::time::Duration;

/// What an explanation may take beyond its own deadline, before nobody waits for it.
const TURN_SLACK: Duration = Duration::from_secs(5);

impl AlertDesk {
    /// Begins what waits to be explained, as far as it may run now.
    pub(super) fn begin_explanations(&mut self, context: &Context<Self>) {
        let now = self.now();
        let Some(desk) = &self.desk else { return };
        let config = &self.config.monitor.explain;
        let zone = desk.calendar().timezone();
        let is_open =
            |id: u64| desk.numbered(id).is_some_and(|(_, alert)| alert.state.is_open() && alert.held.is_none());
        let mut has_begun = false;
        while let Some((id, cancelled)) = self.explainer.next(config, now, zone, is_open) {
            let Some((_, alert)) = desk.numbered(id) else { continue };
            let turn = explain::turn(id, alert, config, self.ports.ids.unique(), now, zone);
            let within = turn.timeout.saturating_add(TURN_SLACK);
            let (port, explained) =
                (self.ports.run_turn.clone(), context.mailbox().port::<Explained>(Lane::Background));
            context.spawn(async move {
                let answer = tokio::select! {
                    biased;
                    // Dropping the question cancels the turn.
                    _ = cancelled => None,
                    answer = port.ask(turn, within) => Some(answer.unwrap_or_else(|fault| Err(fault.into()))),
                };
                report(&explained, Explained { id, answer }).await;
            });
            has_begun = true;
        }
        if has_begun {
            self.journal.keep(explain::BUDGET, self.explainer.budget());
        }
    }

    /// Takes an explanation, or that there is none.
    pub(super) fn explained(&mut self, id: u64, answer: Option<Result<TurnText, Failure>>, context: &Context<Self>) {
        let now = self.now();
        let is_wanted = self.explainer.done(id);
        match (answer, &mut self.desk) {
            (Some(Ok(answer)), Some(desk)) if is_wanted => {
                if let Some(text) = explain::told(&answer.text) {
                    desk.explain(now, id, &text);
                }
            }
            // What is known without the agent stands in the first message already.
            (Some(Err(failure)), _) => tracing::info!(alert = id, %failure, "an alert is not explained"),
            _ => {}
        }
        self.settle(context);
        self.begin_explanations(context);
        self.begin_commit(context);
    }

    /// Sends a sign of life if one is due and HAIA is well.
    pub(super) fn send_sign_of_life(&mut self, now: Timestamp, context: &Context<Self>) {
        let Some(ping) = self.outbound.due(self.config.monitor.watchdog.as_ref(), now) else { return };
        let problem = self.journal.problem().map(|problem| format!("alerts cannot be stored: {problem}"));
        let (healthy, sender) = (Arc::clone(&self.ports.healthy), Arc::clone(&self.ports.sender));
        let (pinged, clock) = (context.mailbox().port::<Pinged>(Lane::Background), Arc::clone(&self.ports.clock));
        context.spawn(async move {
            let outcome = match problem {
                Some(problem) => Err(Trouble::Unwell(problem)),
                None => match healthy().await {
                    Ok(()) => {
                        let timeout = clock.pause(ping.timeout);
                        tokio::select! {
                            biased;
                            sent = sender(ping) => sent.map_err(Trouble::Lost),
                            () = timeout => Err(Trouble::Lost("no answer in time".to_owned())),
                        }
                    }
                    Err(why) => Err(Trouble::Unwell(why)),
                },
            };
            report(&pinged, Pinged(outcome)).await;
        });
    }

    /// Takes the outcome of a sign of life.
    pub(super) fn pinged(&mut self, outcome: Result<(), Trouble>, context: &Context<Self>) {
        if let Err(trouble) = &outcome {
            tracing::warn!(?trouble, "the outbound sign of life was not sent");
        }
        let now = self.now();
        let why = match &outcome {
            Err(Trouble::Lost(why)) => why.clone(),
            _ => String::new(),
        };
        let host = self.config.monitor.watchdog.as_ref().and_then(|watchdog| parse_url(&watchdog.url).ok());
        let host = host.unwrap_or_default();
        let (severity, summary) = match self.outbound.done(outcome) {
            Verdict::Same => (None, None),
            Verdict::Failed => (Some(Severity::Warning), Some(format!("does not get through to {host}"))),
            Verdict::Works => (None, Some(format!("gets through to {host} again"))),
        };
        if let (Some(summary), Some(desk)) = (summary, &mut self.desk) {
            let subject = "HAIA's own sign of life";
            let mut finding = Finding::new(crate::rules::CHANNEL_FAILED, WATCHDOG, subject, summary, severity, now);
            finding.before = Some(why).filter(|why| !why.is_empty());
            let judged = Judged {
                rule: Arc::clone(&finding.rule),
                scope: WATCHDOG.into(),
                findings: vec![finding],
                unseen: Vec::new(),
            };
            desk.report(now, ReportFindings { source: "alert-desk".into(), is_baseline: false, judged: vec![judged] });
        }
        self.settle(context);
    }
}

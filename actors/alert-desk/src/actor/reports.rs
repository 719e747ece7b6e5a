//! What watchers and the desk's own helpers send: reports, webhooks, heartbeats, outcomes.

use super::{AlertDesk, Committed, Explained, LOAD_PATIENCE, Loaded, Pinged, STORE_DEADLINE, TryAgain, Wake};
use crate::alertmanager;
use crate::config::Config;
use crate::desk::Desk;
use crate::rules::ALERTMANAGER;
use contract::alerts::{Beat, Fact, ReceiveAlertmanager, ReportFindings};
use contract::failure::{Failure, FailureClass};
use contract::message::{Drain, Lane, Msg, Reconfigure};
use contract::store::StoreError;
use jiff::Timestamp;
use runtime::{Context, Handle, Reply};
use std::sync::Arc;
use std::time::Duration;

/// The error of an answer that cannot be given.
pub(super) trait Unanswered {
    /// Why.
    fn unanswered(why: String) -> Self;
}

impl<T> Unanswered for Result<T, StoreError> {
    fn unanswered(why: String) -> Self {
        Err(StoreError(why))
    }
}

impl<T> Unanswered for Result<T, Failure> {
    fn unanswered(why: String) -> Self {
        Err(unstored(StoreError(why)))
    }
}

/// A change that could not be stored, for whoever asked for it: to be tried again.
pub(super) fn unstored(error: StoreError) -> Failure {
    Failure::new(FailureClass::Overloaded, format!("alerts cannot be stored now: {error}"))
        .with_retry_after(Some(Duration::from_secs(5)))
}

impl AlertDesk {
    /// Waits for what was kept to be loaded, and asks again.
    pub(super) fn when_ready<M>(&self, message: M, context: &Context<Self>) -> Reply<M::Reply>
    where
        M: Msg,
        M::Reply: Unanswered,
        Self: Handle<M>,
    {
        let mut is_ready = self.is_ready.subscribe();
        let again = context.mailbox().port::<M>(Lane::Background);
        let patience = self.ports.clock.pause(LOAD_PATIENCE);
        Reply::later(async move {
            let is_there = tokio::select! {
                biased;
                ready = is_ready.wait_for(|ready| *ready) => ready.is_ok(),
                () = patience => false,
            };
            if !is_there {
                return M::Reply::unanswered("the alerts of the last run cannot be read".to_owned());
            }
            let answer = again.ask(message, STORE_DEADLINE).await;
            answer.unwrap_or_else(|fault| M::Reply::unanswered(fault.to_string()))
        })
    }

    /// Answers once everything so far is stored.
    pub(super) fn once_stored<T: 'static>(&mut self, value: T) -> Reply<Result<T, StoreError>> {
        match self.journal.wait() {
            None => Reply::Now(Ok(value)),
            Some(answer) => Reply::later(async move {
                let stored =
                    answer.await.unwrap_or_else(|_| Err(StoreError("the alert desk was interrupted".to_owned())));
                stored.map(|()| value)
            }),
        }
    }

    /// Changes the desk, and answers once that is stored.
    pub(super) fn change<T: 'static>(
        &mut self,
        context: &Context<Self>,
        change: impl FnOnce(&mut Desk, Timestamp) -> Result<T, Failure>,
    ) -> Reply<Result<T, Failure>> {
        let now = self.now();
        let Some(desk) = &mut self.desk else {
            return Reply::Now(Err(unstored(StoreError("the alerts of the last run are not read yet".to_owned()))));
        };
        let changed = match change(desk, now) {
            Ok(changed) => changed,
            Err(failure) => return Reply::Now(Err(failure)),
        };
        self.settle(context);
        match self.once_stored(changed) {
            Reply::Now(answer) => Reply::Now(answer.map_err(unstored)),
            Reply::Later(answer) => Reply::later(async move { answer.await.map_err(unstored) }),
        }
    }
}

impl Handle<ReportFindings> for AlertDesk {
    fn handle(&mut self, report: ReportFindings, context: &Context<Self>) -> Reply<Result<(), StoreError>> {
        let now = self.now();
        let Some(desk) = &mut self.desk else { return self.when_ready(report, context) };
        desk.report(now, report);
        self.settle(context);
        self.once_stored(())
    }
}

impl Handle<ReceiveAlertmanager> for AlertDesk {
    fn handle(&mut self, received: ReceiveAlertmanager, context: &Context<Self>) -> Reply<Result<usize, Failure>> {
        if self.desk.is_none() {
            return self.when_ready(received, context);
        }
        self.change(context, |desk, now| {
            let mut received = alertmanager::read(&received.body, now)?;
            let count = received.judged.len();
            if received.truncated > 0 {
                tracing::warn!(alerts = received.truncated, "Alertmanager left alerts out of its webhook");
                let text =
                    format!("{} more, which Alertmanager did not send (max_alerts of its webhook)", received.truncated);
                if let Some(finding) = received.judged.first_mut().and_then(|judged| judged.findings.first_mut()) {
                    finding.facts.push(Fact { label: "left out".into(), text });
                }
            }
            desk.report(
                now,
                ReportFindings { source: ALERTMANAGER.into(), is_baseline: false, judged: received.judged },
            );
            Ok(count)
        })
    }
}

impl Handle<Beat> for AlertDesk {
    fn handle(&mut self, beat: Beat, context: &Context<Self>) -> Reply<Result<(), Failure>> {
        if self.desk.is_none() {
            return self.when_ready(beat, context);
        }
        self.change(context, |desk, now| {
            if desk.beat(now, &beat.name) {
                return Ok(());
            }
            let message = format!("no heartbeat named {:?} is configured ([monitor.heartbeats.<name>])", beat.name);
            Err(Failure::new(FailureClass::NotFound, message))
        })
    }
}

impl Handle<Wake> for AlertDesk {
    fn handle(&mut self, _: Wake, context: &Context<Self>) -> Reply<()> {
        self.settle(context);
        Reply::Now(())
    }
}

impl Handle<Loaded> for AlertDesk {
    fn handle(&mut self, Loaded(kept): Loaded, context: &Context<Self>) -> Reply<()> {
        self.loaded(kept, context);
        Reply::Now(())
    }
}

impl Handle<Committed> for AlertDesk {
    fn handle(&mut self, Committed(outcome): Committed, context: &Context<Self>) -> Reply<()> {
        self.committed(outcome, context);
        Reply::Now(())
    }
}

impl Handle<TryAgain> for AlertDesk {
    fn handle(&mut self, _: TryAgain, context: &Context<Self>) -> Reply<()> {
        self.is_backing_off = false;
        self.begin_commit(context);
        Reply::Now(())
    }
}

impl Handle<Explained> for AlertDesk {
    fn handle(&mut self, Explained { id, answer }: Explained, context: &Context<Self>) -> Reply<()> {
        self.explained(id, answer, context);
        Reply::Now(())
    }
}

impl Handle<Pinged> for AlertDesk {
    fn handle(&mut self, Pinged(outcome): Pinged, context: &Context<Self>) -> Reply<()> {
        self.pinged(outcome, context);
        Reply::Now(())
    }
}

impl Handle<Reconfigure<Config>> for AlertDesk {
    fn handle(&mut self, Reconfigure(config): Reconfigure<Config>, context: &Context<Self>) -> Reply<()> {
        let now = self.now();
        self.outbound.reconfigure(self.config.monitor.watchdog.as_ref(), config.monitor.watchdog.as_ref());
        self.config = Arc::clone(&config);
        if let Some(desk) = &mut self.desk {
            desk.reconfigure(config, now);
        }
        self.settle(context);
        Reply::Now(())
    }
}

impl Handle<Drain> for AlertDesk {
    /// Brings what was decided into the store; windows that are open go on after the next start.
    fn handle(&mut self, _: Drain, context: &Context<Self>) -> Reply<()> {
        self.explainer.cancel(|_| false);
        self.settle(context);
        match self.once_stored(()) {
            Reply::Now(_) => Reply::Now(()),
            Reply::Later(stored) => Reply::later(async move {
                if let Err(error) = stored.await {
                    tracing::error!(%error, "the last changes of alerts were not stored");
                }
            }),
        }
    }
}

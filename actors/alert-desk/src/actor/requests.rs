//! What people and programs ask: lists, history, acknowledging, silences, digests, tools.

use super::{AlertDesk, STORE_DEADLINE};
use crate::desk::{keep_unpack, view};
use crate::digest;
use crate::tools;
use contract::alerts::{
    Acknowledge, AddSilence, AlertEvent, AlertView, DeskStatus, EndSilence, ExpectAlert, ListAlerts, ListSilences,
    MakeDigest, ReadAlertHistory, ReadDeskStatus, ShowAlert, SilenceView,
};
use contract::failure::Failure;
use contract::store::{AlertRecord, ReadAlertEvents, ReadAlerts, StoreError};
use contract::tools::{CallTool, ListTools, Tool, ToolResult};
use runtime::{Context, Handle, Port, Reply};

/// Lines of history where nothing is said, and of one alert.
const LINES: u32 = 200;
/// Alerts that a digest looks through.
const DIGEST_ALERTS: u32 = 2_000;

/// Asks the store, in words for whoever waits.
pub(super) async fn asked<M, T>(port: &Port<M>, message: M) -> Result<T, Failure>
where
    M: contract::message::Msg<Reply = Result<T, StoreError>>,
{
    let answer = port.ask(message, STORE_DEADLINE).await;
    answer.unwrap_or_else(|fault| Err(StoreError(fault.to_string()))).map_err(|error| {
        Failure::new(contract::failure::FailureClass::Overloaded, format!("the store does not answer: {error}"))
    })
}

/// An alert that is over, as the store keeps it.
fn seen(record: &AlertRecord) -> Option<(crate::desk::Alert, AlertView)> {
    let alert = keep_unpack(&record.data)?;
    let mut seen = view(&record.key, &alert);
    if seen.id == 0 {
        (seen.id, seen.state, seen.opened, seen.ended) = (record.id, alert.state, alert.opened, alert.ended);
    }
    Some((alert, seen))
}

impl Handle<ListAlerts> for AlertDesk {
    fn handle(
        &mut self,
        ListAlerts(filter): ListAlerts,
        context: &Context<Self>,
    ) -> Reply<Result<Vec<AlertView>, Failure>> {
        let Some(desk) = &self.desk else { return self.when_ready(ListAlerts(filter), context) };
        let mut views = desk.list(&filter);
        let most = crate::desk::limit(&filter);
        if !filter.resolved {
            views.truncate(most);
            return Reply::Now(Ok(views));
        }
        let port = self.ports.read_alerts.clone();
        Reply::later(async move {
            let limit = u32::try_from(most).unwrap_or(u32::MAX);
            let over = asked(&port, ReadAlerts { limit, ..ReadAlerts::default() }).await?;
            for record in over.iter().filter(|record| !record.is_live) {
                let Some((alert, seen)) = seen(record) else { continue };
                if !views.iter().any(|known| known.id == seen.id) && crate::desk::fits(&filter, &alert, &seen) {
                    views.push(seen);
                }
            }
            let is_over = |view: &AlertView| view.state == contract::alerts::AlertState::Resolved;
            let open = views.iter().filter(|view| !is_over(view)).count();
            // Open ones stand first; what ended is sorted anew now that it comes from two places.
            views[open..].sort_by_key(|view| std::cmp::Reverse(view.ended));
            views.truncate(most);
            Ok(views)
        })
    }
}

impl Handle<ShowAlert> for AlertDesk {
    fn handle(
        &mut self,
        asked_for: ShowAlert,
        context: &Context<Self>,
    ) -> Reply<Result<(AlertView, Vec<AlertEvent>), Failure>> {
        let Some(desk) = &self.desk else { return self.when_ready(asked_for, context) };
        let id = asked_for.id;
        let known = desk.show(id);
        let (alerts, events) = (self.ports.read_alerts.clone(), self.ports.read_events.clone());
        Reply::later(async move {
            let view = match known {
                Some(view) => view,
                None => {
                    let found = asked(&alerts, ReadAlerts { id: Some(id), since: None, limit: 1 }).await?;
                    let found = found.first().and_then(seen).map(|(_, view)| view);
                    found.ok_or_else(|| crate::desk::unknown(id))?
                }
            };
            let history = asked(&events, ReadAlertEvents { alert: Some(id), since: None, limit: LINES }).await?;
            Ok((view, history))
        })
    }
}

impl Handle<ReadAlertHistory> for AlertDesk {
    fn handle(&mut self, wanted: ReadAlertHistory, _: &Context<Self>) -> Reply<Result<Vec<AlertEvent>, Failure>> {
        let port = self.ports.read_events.clone();
        let limit = if wanted.limit == 0 { LINES } else { wanted.limit };
        Reply::later(async move { asked(&port, ReadAlertEvents { alert: None, since: wanted.since, limit }).await })
    }
}

impl Handle<Acknowledge> for AlertDesk {
    fn handle(
        &mut self,
        Acknowledge { id, by }: Acknowledge,
        context: &Context<Self>,
    ) -> Reply<Result<AlertView, Failure>> {
        if self.desk.is_none() {
            return self.when_ready(Acknowledge { id, by }, context);
        }
        self.change(context, |desk, now| {
            desk.acknowledge(now, id, &by.name)?;
            desk.show(id).ok_or_else(|| crate::desk::unknown(id))
        })
    }
}

impl Handle<ExpectAlert> for AlertDesk {
    fn handle(
        &mut self,
        ExpectAlert { id, by }: ExpectAlert,
        context: &Context<Self>,
    ) -> Reply<Result<AlertView, Failure>> {
        if self.desk.is_none() {
            return self.when_ready(ExpectAlert { id, by }, context);
        }
        self.change(context, |desk, now| {
            desk.expect(now, id, &by.name)?;
            desk.show(id).ok_or_else(|| crate::desk::unknown(id))
        })
    }
}

impl Handle<AddSilence> for AlertDesk {
    fn handle(&mut self, wanted: AddSilence, context: &Context<Self>) -> Reply<Result<SilenceView, Failure>> {
        if self.desk.is_none() {
            return self.when_ready(wanted, context);
        }
        self.change(context, |desk, now| {
            let AddSilence { alert, matchers, duration, reason, by } = wanted;
            desk.silence(now, alert, matchers, duration, &reason, &by.name)
        })
    }
}

impl Handle<EndSilence> for AlertDesk {
    fn handle(&mut self, wanted: EndSilence, context: &Context<Self>) -> Reply<Result<SilenceView, Failure>> {
        if self.desk.is_none() {
            return self.when_ready(wanted, context);
        }
        tracing::info!(silence = wanted.id, by = %wanted.by.name, "a silence is ended");
        self.change(context, |desk, now| desk.end_silence(now, wanted.id))
    }
}

impl Handle<ListSilences> for AlertDesk {
    fn handle(&mut self, _: ListSilences, _: &Context<Self>) -> Reply<Vec<SilenceView>> {
        Reply::Now(self.desk.as_ref().map(|desk| desk.silences().to_vec()).unwrap_or_default())
    }
}

impl Handle<MakeDigest> for AlertDesk {
    fn handle(&mut self, MakeDigest { since }: MakeDigest, context: &Context<Self>) -> Reply<Result<String, Failure>> {
        let Some(desk) = &self.desk else { return self.when_ready(MakeDigest { since }, context) };
        let (now, zone) = (self.now(), desk.calendar().timezone().clone());
        let open: Vec<_> = desk.open().cloned().collect();
        let port = self.ports.read_alerts.clone();
        Reply::later(async move {
            let over = asked(&port, ReadAlerts { id: None, since: Some(since), limit: DIGEST_ALERTS }).await?;
            let is_open = |record: &AlertRecord| open.iter().any(|alert| alert.id == record.id);
            let over: Vec<_> =
                over.iter().filter(|record| !is_open(record)).filter_map(|record| keep_unpack(&record.data)).collect();
            Ok(digest::write(since, now, &open, &over, &zone))
        })
    }
}

impl Handle<ReadDeskStatus> for AlertDesk {
    fn handle(&mut self, _: ReadDeskStatus, _: &Context<Self>) -> Reply<DeskStatus> {
        let now = self.now();
        let Some(desk) = &self.desk else { return Reply::Now(DeskStatus::default()) };
        let filter = contract::alerts::AlertFilter { pending: true, limit: 1_000, ..Default::default() };
        let mut alerts = desk.list(&filter);
        alerts.truncate(crate::desk::limit(&filter));
        let mut counts = desk.counts();
        counts.explained_today = u64::from(self.explainer.used(now, desk.calendar().timezone()));
        let watchdog = self.outbound.report(self.config.monitor.watchdog.as_ref());
        Reply::Now(DeskStatus { alerts, counts, heartbeats: desk.heartbeats(now), watchdog })
    }
}

impl Handle<ListTools> for AlertDesk {
    fn handle(&mut self, _: ListTools, _: &Context<Self>) -> Reply<Vec<Tool>> {
        Reply::Now(tools::ALL.iter().map(tools::DeskTool::offer).collect())
    }
}

impl Handle<CallTool> for AlertDesk {
    fn handle(&mut self, call: CallTool, context: &Context<Self>) -> Reply<Result<ToolResult, Failure>> {
        if self.desk.is_none() {
            return self.when_ready(call, context);
        }
        let wanted = match tools::read(&call) {
            Ok(wanted) => wanted,
            Err(said) => return Reply::Now(Ok(ToolResult::error(said))),
        };
        let now = self.now();
        match wanted {
            tools::Wanted::List(filter) => {
                let answer = self.handle(ListAlerts(filter), context);
                then(answer, move |views| tools::list_alerts::tell(&views, now))
            }
            tools::Wanted::Silences => {
                let silences = self.desk.as_ref().map(|desk| desk.silences()).unwrap_or_default();
                Reply::Now(Ok(tools::list_silences::tell(silences)))
            }
            tools::Wanted::Explain(id) => {
                let neighbours =
                    self.desk.as_ref().map(|desk| tools::explain_alert::neighbours(desk, id)).unwrap_or_default();
                let answer = self.handle(ShowAlert { id }, context);
                then(answer, move |(view, history)| tools::explain_alert::tell(&view, &history, &neighbours, now))
            }
            tools::Wanted::Acknowledge(id) => {
                let answer = self.handle(Acknowledge { id, by: call.caller }, context);
                then(answer, |view| tools::acknowledge_alert::tell(&view))
            }
            tools::Wanted::Silence { alert, duration, reason } => {
                let wanted = AddSilence { alert: Some(alert), matchers: Vec::new(), duration, reason, by: call.caller };
                let answer = self.handle(wanted, context);
                then(answer, move |silence| tools::silence_alert::tell(&silence))
            }
        }
    }
}

/// A tool's result of an answer; what went wrong is for the model to know.
fn then<T: 'static>(
    answer: Reply<Result<T, Failure>>,
    tell: impl FnOnce(T) -> ToolResult + 'static,
) -> Reply<Result<ToolResult, Failure>> {
    let result = |answer: Result<T, Failure>, tell: Box<dyn FnOnce(T) -> ToolResult>| match answer {
        Ok(answer) => Ok(tell(answer)),
        Err(failure) => Ok(ToolResult::error(failure.message)),
    };
    let tell: Box<dyn FnOnce(T) -> ToolResult> = Box::new(tell);
    match answer {
        Reply::Now(answer) => Reply::Now(result(answer, tell)),
        Reply::Later(answer) => Reply::later(async move { result(answer.await, tell) }),
    }
}

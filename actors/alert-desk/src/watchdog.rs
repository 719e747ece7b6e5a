//! The outbound sign of life: sent only while HAIA can watch, keep and tell. Whoever receives it notices when it stays away.

use crate::config::{PingMethod, Watchdog};
use contract::LocalBoxFuture;
use contract::secret::Secret;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Failures in a row after which the problem becomes an alert.
pub(crate) const FAILURES: u32 = 3;

/// Says whether HAIA could tell of an alert now: the store keeps, the outbox moves. The error is a sentence for people.
pub type Healthy = Arc<dyn Fn() -> LocalBoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Sends a sign of life. The error is a sentence for people, without the address.
pub type Sender = Arc<dyn Fn(Ping) -> LocalBoxFuture<'static, Result<(), String>> + Send + Sync>;

/// A sign of life to be sent.
#[derive(Clone, Debug)]
pub struct Ping {
    /// Where to. It may hold a secret: it is never shown.
    pub url: String,
    /// The bearer token that goes with it.
    pub token: Option<Secret>,
    /// How.
    pub method: PingMethod,
    /// How long an answer may take, in real time.
    pub timeout: Duration,
}

/// Checks an address, and gives its host for messages.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_url(url: &str) -> Result<String, String> {
    let wrong = || "must be an address such as \"https://hc.example/ping/…\"".to_owned();
    let address: awc::http::Uri = url.parse().map_err(|_| wrong())?;
    match (address.scheme_str(), address.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(host.to_owned()),
        _ => Err(wrong()),
    }
}

/// Sends signs of life over the network.
pub fn network_sender() -> Sender {
    Arc::new(|ping| Box::pin(send(ping)))
}

async fn send(ping: Ping) -> Result<(), String> {
    let connect = runtime::http::Connect { tls: ping.url.starts_with("https"), ..Default::default() };
    let client = runtime::http::client(&connect);
    let request = match ping.method {
        PingMethod::Get => client.get(&ping.url),
        PingMethod::Post => client.post(&ping.url),
    };
    let mut request = request.timeout(ping.timeout).insert_header(("user-agent", "haia"));
    if let Some(token) = &ping.token {
        request = request.bearer_auth(token.expose());
    }
    match request.send().await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("the receiver answered {}", response.status().as_u16())),
        Err(error) => Err(crate::wording::cut(&error.to_string(), 200)),
    }
}

/// How the outbound sign of life does.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    /// When the next is due; `None`: at once.
    next: Option<Timestamp>,
    is_under_way: bool,
    failures: u32,
    /// Whether one got through since the start, to where they go now. An alert of a run before is not known here.
    has_worked: bool,
    /// What is wrong; empty when nothing is.
    problem: String,
}

/// What an outcome means for the alert about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing new.
    Same,
    /// It failed too often.
    Failed,
    /// It works again.
    Works,
}

/// Why a sign of life was not sent or not received.
#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    /// HAIA is not well: it keeps silent on purpose.
    Unwell(String),
    /// It did not get through.
    Lost(String),
}

impl Outbound {
    /// The sign of life to send now, if one is due. The period counts from one beginning to the next.
    pub(crate) fn due(&mut self, config: Option<&Watchdog>, now: Timestamp) -> Option<Ping> {
        let config = config?;
        if self.is_under_way
            || self.next.is_some_and(|next| now < next && next <= crate::desk::later(now, config.every.0))
        {
            return None;
        }
        (self.next, self.is_under_way) = (Some(crate::desk::later(now, config.every.0)), true);
        let (url, token) = (config.url.clone(), config.token.clone());
        Some(Ping { url, token, method: config.method, timeout: config.timeout.0 })
    }

    /// When the next is due.
    pub(crate) fn next(&self, config: Option<&Watchdog>) -> Option<Timestamp> {
        config.and(self.next).filter(|_| !self.is_under_way)
    }

    /// Takes the outcome.
    pub(crate) fn done(&mut self, outcome: Result<(), Trouble>) -> Verdict {
        self.is_under_way = false;
        match outcome {
            Ok(()) => {
                let had_failed = std::mem::take(&mut self.failures) >= FAILURES;
                let is_first = !std::mem::replace(&mut self.has_worked, true);
                self.problem.clear();
                if had_failed || is_first { Verdict::Works } else { Verdict::Same }
            }
            Err(Trouble::Unwell(why)) => {
                self.problem = format!("held back: {why}");
                Verdict::Same
            }
            Err(Trouble::Lost(why)) => {
                self.failures = self.failures.saturating_add(1);
                self.problem = why;
                if self.failures == FAILURES { Verdict::Failed } else { Verdict::Same }
            }
        }
    }

    /// Takes over another configuration: what failed on the way to the old receiver says nothing about the new one.
    pub(crate) fn reconfigure(&mut self, old: Option<&Watchdog>, new: Option<&Watchdog>) {
        if old != new {
            *self = Self { is_under_way: self.is_under_way, ..Self::default() };
        }
    }

    /// The problem or an empty text; `None` where none is configured.
    pub(crate) fn report(&self, config: Option<&Watchdog>) -> Option<String> {
        config.map(|_| self.problem.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        assert_eq!(parse_url("https://hc.example/ping/1?x=y").as_deref(), Ok("hc.example"));
        for odd in ["", "hc.example", "ftp://hc.example", "https://", "http:///x"] {
            assert!(parse_url(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn beats_on_its_period_and_tells_the_third_failure_once() {
        let config: Watchdog = serde_json::from_str(r#"{"url":"http://x/","every":"1m"}"#).unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut outbound = Outbound { has_worked: true, ..Outbound::default() };
        assert!(outbound.due(None, at(0)).is_none());
        assert!(outbound.due(Some(&config), at(0)).is_some());
        assert!(outbound.due(Some(&config), at(90)).is_none(), "one at a time");
        let lost = || Err(Trouble::Lost("refused".to_owned()));
        assert_eq!(outbound.done(lost()), Verdict::Same);
        assert!(outbound.due(Some(&config), at(59)).is_none());
        let verdicts: Vec<Verdict> = (1..6)
            .map(|minute| {
                assert!(outbound.due(Some(&config), at(minute * 60)).is_some());
                outbound.done(lost())
            })
            .collect();
        assert_eq!(verdicts, [Verdict::Same, Verdict::Failed, Verdict::Same, Verdict::Same, Verdict::Same]);
        assert_eq!(outbound.report(Some(&config)).as_deref(), Some("refused"));
        assert_eq!(outbound.done(Err(Trouble::Unwell("store".to_owned()))), Verdict::Same);
        assert_eq!(outbound.done(Ok(())), Verdict::Works);
        assert_eq!((outbound.done(Ok(())), outbound.report(None)), (Verdict::Same, None));
    }

    #[test]
    fn the_first_that_gets_through_ends_what_a_run_before_or_another_receiver_left_open() {
        let mut outbound = Outbound::default();
        assert_eq!(outbound.done(Ok(())), Verdict::Works);
        assert_eq!(outbound.done(Ok(())), Verdict::Same);
        let config = |url: &str| serde_json::from_str::<Watchdog>(&format!(r#"{{"url":"{url}"}}"#)).unwrap();
        let (old, new) = (config("http://x/"), config("http://y/"));
        let lost = || Err(Trouble::Lost("refused".to_owned()));
        for _ in 0..FAILURES {
            outbound.done(lost());
        }
        outbound.reconfigure(Some(&old), Some(&old));
        assert_eq!(outbound.report(Some(&old)).as_deref(), Some("refused"));
        outbound.reconfigure(Some(&old), Some(&new));
        assert_eq!(outbound.report(Some(&new)).as_deref(), Some(""));
        assert!(outbound.due(Some(&new), Timestamp::UNIX_EPOCH).is_some(), "at once");
        let verdicts = [lost(), lost(), lost()].map(|outcome| outbound.done(outcome));
        assert_eq!(verdicts, [Verdict::Same, Verdict::Same, Verdict::Failed]);
    }
}

//! Providers that do not answer, as findings for the alert desk. The pool knows how each does; whether that is worth a message is the desk's
//! business.

use super::Actors;
use contract::alerts::{Finding, Judged, ReportFindings, Severity};
use contract::message::Lane;
use contract::provider::{ListProviders, ProviderState, ProviderStatus};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

const RULE: &str = "provider_down";
/// The beginning of every object.
const SCOPE: &str = "provider/";
const DEADLINE: Duration = Duration::from_secs(2);

/// What the desk was told last.
#[derive(Default)]
pub struct ToldProviders(Option<Known>);

/// Under which generation of the configuration, and the state of each provider.
#[derive(PartialEq)]
struct Known(u64, Vec<(Arc<str>, ProviderState)>);

/// How the providers do. One that nothing was asked of yet says nothing.
fn judge(providers: &[ProviderStatus], now: Timestamp) -> Judged {
    let (mut findings, mut unseen) = (Vec::new(), Vec::new());
    for provider in providers {
        let object: Arc<str> = format!("{SCOPE}{}", provider.name).into();
        let (summary, meaning) = match provider.state {
            ProviderState::Unknown => {
                unseen.push(object);
                continue;
            }
            // One that limits the rate answers.
            ProviderState::Ready | ProviderState::Limited => ("answers again", None),
            ProviderState::Failing => (
                "does not answer",
                Some("Routes go on with their next model. Is its server up, and the network to it?"),
            ),
            ProviderState::Refused => {
                ("refuses HAIA's key", Some("Was the key revoked, or has the account run out? Give HAIA a valid one."))
            }
        };
        let severity = meaning.map(|_| Severity::Warning);
        let since = provider.last_error_at.filter(|_| severity.is_some()).unwrap_or(now);
        let mut finding = Finding::new(RULE, object, format!("provider {}", provider.name), summary, severity, since);
        finding.before = provider.last_error.clone().filter(|_| severity.is_some());
        finding.meaning = meaning.map(str::to_owned);
        finding.labels.add("name", Arc::clone(&provider.name));
        finding.labels.add("kind", provider.kind);
        findings.push(finding);
    }
    Judged { rule: RULE.into(), scope: SCOPE.into(), findings, unseen }
}

impl Actors {
    /// Tells the alert desk how the providers do, if that changed since it was told last, or the configuration did: with a provider that is
    /// taken out and comes back, what the desk knew of it is over. What it does not take is told again with the next look.
    pub async fn report_providers(&self, told: &mut ToldProviders, generation: u64, now: Timestamp) {
        let Ok(providers) = self.reporter.providers.try_ask(ListProviders, DEADLINE).await else { return };
        let states = providers.iter().map(|provider| (Arc::clone(&provider.name), provider.state)).collect();
        let known = Known(generation, states);
        if told.0.as_ref() == Some(&known) {
            return;
        }
        let judged = vec![judge(&providers, now)];
        let report = ReportFindings { source: "provider-pool".into(), is_baseline: false, judged };
        match self.watching.desk.port(Lane::Background).ask(report, DEADLINE).await {
            Ok(Ok(())) => told.0 = Some(known),
            Ok(Err(error)) => tracing::warn!(%error, "how the providers do was not taken by the alert desk"),
            Err(fault) => tracing::warn!(%fault, "how the providers do was not taken by the alert desk"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(name: &str, state: ProviderState) -> ProviderStatus {
        ProviderStatus {
            name: name.into(),
            state,
            circuit: "closed",
            kind: "openai",
            models: Vec::new(),
            requests: 0,
            errors: 0,
            last_error: Some("unreachable: connection refused".to_owned()),
            last_error_at: Some(Timestamp::UNIX_EPOCH),
            first_token_ms: contract::provider::Quantiles::default(),
            total_ms: contract::provider::Quantiles::default(),
            input_tokens: None,
            output_tokens: None,
            cached_tokens: None,
            reasoning_tokens: None,
            cost: None,
            active: 0,
            waiting: 0,
            usage: contract::usage::UsageReport::default(),
            usage_by_model: Vec::new(),
        }
    }

    #[test]
    fn only_a_provider_that_fails_is_found() {
        let now = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(60);
        for (state, said, is_raised) in [
            (ProviderState::Ready, "provider local answers again", false),
            (ProviderState::Limited, "provider local answers again", false),
            (ProviderState::Failing, "provider local does not answer", true),
            (ProviderState::Refused, "provider local refuses HAIA's key", true),
        ] {
            let judged = judge(&[provider("local", state)], now);
            let finding = &judged.findings[0];
            assert_eq!(format!("{} {}", finding.subject, finding.summary), said);
            assert_eq!((finding.raised().is_some(), finding.before.is_some()), (is_raised, is_raised));
            assert_eq!(finding.since, if is_raised { Timestamp::UNIX_EPOCH } else { now });
            assert!(finding.object.starts_with(&*judged.scope));
        }
        let judged = judge(&[provider("new", ProviderState::Unknown)], now);
        assert_eq!((judged.findings.len(), judged.unseen.len()), (0, 1));
    }
}

//! Who may answer what: an immutable table that the coordinator publishes and every thread reads. Pure.

use crate::meter::LimitsByKey;
use crate::provider::{Model, Provider};
use crate::routes::{RouteConfig, Strategy, draw};
use crate::standing::Manner;
use arc_swap::ArcSwap;
use contract::failure::{Failure, FailureClass};
use contract::provider::{
    BUILTIN, BUILTIN_OFFLINE, ModelEntry, ModelList, ProviderState, Readiness, RouteEntry, Target,
};
use std::sync::Arc;
use std::time::Duration;

/// Providers, their models and the routes at one moment.
#[derive(Default)]
pub struct Table {
    /// The providers, in the order of the configuration.
    pub(crate) providers: Vec<Arc<Provider>>,
    /// What is known of their models.
    pub(crate) models: Vec<ModelEntry>,
    /// The configured routes; `default` may be missing.
    pub(crate) routes: Vec<(Arc<str>, RouteConfig)>,
    /// The limits of callers.
    pub(crate) limits: LimitsByKey,
}

/// The table as threads read it.
pub type SharedTable = Arc<ArcSwap<Table>>;

/// One of those who may answer a call.
#[derive(Clone)]
pub(crate) enum Candidate {
    /// A provider's model.
    Model {
        /// The provider.
        provider: Arc<Provider>,
        /// The model.
        model: Arc<Model>,
    },
    /// The built-in responder, which the agent runs.
    Builtin,
}

impl Table {
    /// The entries of a route. `default` exists always: unless configured, it is the first known model of each provider, then
    /// `builtin/offline`.
    pub fn route(&self, name: &str) -> Option<RouteConfig> {
        if let Some((_, route)) = self.routes.iter().find(|(route, _)| route.as_ref() == name) {
            return Some(route.clone());
        }
        if name != "default" {
            return None;
        }
        let first = |provider: &Arc<Provider>| {
            let mut own = self.models.iter().filter(|entry| entry.provider == provider.name);
            let model = own.find(|entry| seems_to_chat(&entry.model))?;
            Some(format!("{}/{}", provider.name, model.model))
        };
        let mut entries: Vec<String> = self.providers.iter().filter_map(first).collect();
        entries.push(BUILTIN_OFFLINE.to_owned());
        Some(entries.into())
    }

    /// Who may answer in this manner, in the order in which they are asked. `chance` gives numbers from 0 up to, not including, 1; `now` is monotonic.
    ///
    /// # Errors
    /// `NotFound` with code `model_not_found`: the route or model does not exist.
    pub(crate) fn candidates(
        &self,
        target: &Target,
        manner: Manner,
        chance: impl FnMut() -> f64,
        now: Duration,
    ) -> Result<Vec<Candidate>, Failure> {
        let mut candidates = self.members(target)?;
        let Target::Route(name) = target else { return Ok(candidates) };
        let route = self.routes.iter().find(|(route, _)| route == name).map(|(_, route)| route);
        let Some(route) = route.filter(|route| route.strategy != Strategy::Ordered) else { return Ok(candidates) };
        let builtin = candidates.iter().any(|candidate| matches!(candidate, Candidate::Builtin));
        candidates.retain(|candidate| !matches!(candidate, Candidate::Builtin));
        if route.strategy == Strategy::LeastLatency {
            // Stable: of two that are not known the first goes first.
            candidates.sort_by_key(|candidate| match candidate {
                Candidate::Model { model, .. } => model.standing.latency(manner).rank(now),
                Candidate::Builtin => u64::MAX,
            });
            if let Some(Candidate::Model { model, .. }) = candidates.first() {
                model.standing.latency(manner).tried(now);
            }
        } else {
            let mut drawn: Vec<Candidate> = Vec::with_capacity(candidates.len());
            let entries = route.entries.iter().filter(|entry| entry.as_str() != BUILTIN_OFFLINE);
            let weight_of = |candidate: &Candidate| match candidate {
                Candidate::Model { model, .. } => entries
                    .clone()
                    .zip(&route.weights)
                    .find(|(entry, _)| entry.as_str() == model.id.as_ref())
                    .map_or(0, |(_, weight)| *weight),
                Candidate::Builtin => 0,
            };
            let weights: Vec<u32> = candidates.iter().map(weight_of).collect();
            drawn.extend(draw(&weights, chance).into_iter().map(|at| candidates[at].clone()));
            candidates = drawn;
        }
        candidates.extend(builtin.then_some(Candidate::Builtin));
        Ok(candidates)
    }

    /// Who may answer, as they are written.
    fn members(&self, target: &Target) -> Result<Vec<Candidate>, Failure> {
        match target {
            Target::Route(route) => {
                let entries = self.route(route).ok_or_else(|| {
                    not_found(format!("there is no route {route:?}; see /v1/models for what there is"))
                })?;
                let candidates: Vec<Candidate> = entries
                    .entries
                    .iter()
                    .filter_map(|entry| entry.split_once('/'))
                    .filter_map(|(provider, model)| self.candidate(provider, model))
                    .collect();
                if candidates.is_empty() {
                    return Err(not_found(format!("the route {route:?} has no usable entry")));
                }
                Ok(candidates)
            }
            Target::Model { provider, model } => match self.candidate(provider, model) {
                Some(candidate) => Ok(vec![candidate]),
                None => Err(not_found(format!(
                    "there is no model \"{provider}/{model}\"; see /v1/models for what there is"
                ))),
            },
        }
    }

    fn candidate(&self, provider: &str, model: &str) -> Option<Candidate> {
        if provider == BUILTIN {
            return (model == "offline").then_some(Candidate::Builtin);
        }
        let provider = self.providers.iter().find(|known| known.name.as_ref() == provider)?;
        let configured = &provider.config.models;
        if !configured.is_empty() && !configured.iter().any(|known| known == model) {
            return None;
        }
        let known = self.models.iter().find(|entry| entry.provider == provider.name && entry.model.as_ref() == model);
        Some(Candidate::Model { provider: Arc::clone(provider), model: provider.model(model, known) })
    }

    /// The tokens that a target's model takes, if known. Of a route the first model whose limit is known counts: it answers unless it fails.
    pub fn context_tokens(&self, target: &Target) -> Option<u64> {
        let candidates = self.members(target).ok()?;
        candidates.iter().find_map(|candidate| match candidate {
            Candidate::Model { model, .. } => model.settings.context_tokens,
            Candidate::Builtin => None,
        })
    }

    /// Everything that callers may ask for.
    pub fn list(&self) -> ModelList {
        let mut names: Vec<Arc<str>> = vec![Arc::from("default")];
        names.extend(self.routes.iter().map(|(name, _)| Arc::clone(name)).filter(|name| name.as_ref() != "default"));
        let entry = |name: Arc<str>| RouteEntry { entries: self.route(&name).unwrap_or_default().entries, name };
        ModelList { routes: names.into_iter().map(entry).collect(), models: self.models.clone() }
    }

    /// Whether a route can answer now, by what the last outcomes told.
    pub fn readiness(&self, route: &str) -> Readiness {
        let Ok(candidates) = self.members(&Target::Route(Arc::from(route))) else {
            return Readiness::NotReady(format!("the route {route:?} does not exist"));
        };
        let mut builtin = false;
        let mut reasons = Vec::new();
        for candidate in candidates {
            match candidate {
                Candidate::Builtin => builtin = true,
                Candidate::Model { provider, .. } => match provider.standing.health.state() {
                    ProviderState::Ready | ProviderState::Unknown | ProviderState::Limited => return Readiness::Ready,
                    ProviderState::Failing => reasons.push(format!("{} is failing", provider.name)),
                    ProviderState::Refused => reasons.push(format!("{} refuses the key", provider.name)),
                },
            }
        }
        if reasons.is_empty() {
            reasons.push("no provider with a known model is configured".to_owned());
        }
        let reasons = reasons.join(", ");
        if builtin { Readiness::Degraded(reasons) } else { Readiness::NotReady(reasons) }
    }
}

/// Lists of models name those for speech, pictures and embeddings beside those that chat, and do not say which is which.
fn seems_to_chat(model: &str) -> bool {
    const OTHERS: [&str; 14] = [
        "embed",
        "whisper",
        "tts",
        "dall-e",
        "image",
        "moderation",
        "audio",
        "realtime",
        "transcribe",
        "sora",
        "rerank",
        "babbage",
        "davinci",
        "search-api",
    ];
    let model = model.to_ascii_lowercase();
    !OTHERS.iter().any(|other| model.contains(other))
}

fn not_found(message: String) -> Failure {
    Failure {
        param: Some("model".to_owned()),
        ..Failure::new(FailureClass::NotFound, message).with_code("model_not_found")
    }
}

/// One failure that tells why none of the candidates answered, in order. `None` if none was tried.
pub(crate) fn merge(mut failures: Vec<Failure>) -> Option<Failure> {
    if failures.len() <= 1 {
        return failures.pop();
    }
    let wait = failures.iter().filter_map(|failure| failure.retry_after).min();
    let first = failures.first()?;
    if failures.iter().all(|failure| failure.class == first.class) {
        let reasons: Vec<_> = failures.iter().map(Failure::told).collect();
        let merged = Failure { provider: None, ..first.clone() };
        return Some(Failure { message: reasons.join("; ").into(), ..merged.with_retry_after(wait) });
    }
    let reasons: Vec<_> = failures.iter().map(Failure::told).collect();
    let message = format!("every model of the route failed: {}", reasons.join("; "));
    Some(Failure::new(FailureClass::Unreachable, message).with_retry_after(wait))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProviderConfig;
    use std::time::Duration;

    fn table() -> Table {
        let provider = |name: &str, models: &[&str]| {
            let mut config = ProviderConfig::of_kind("ollama");
            config.models = models.iter().map(|model| (*model).to_owned()).collect();
            Arc::new(Provider::new(name, &config, Arc::default()).expect("a known kind"))
        };
        let entry = |provider: &str, model: &str| ModelEntry {
            provider: provider.into(),
            model: model.into(),
            created: None,
            context_tokens: None,
            tools: None,
            abilities: contract::provider::Abilities::default(),
        };
        Table {
            providers: vec![provider("a", &[]), provider("b", &["y"]), provider("c", &[])],
            models: vec![entry("a", "x:7b"), entry("a", "x2"), entry("b", "y")],
            routes: vec![("fast".into(), vec!["b/y".to_owned()].into())],
            limits: LimitsByKey::new(),
        }
    }

    #[test]
    fn the_default_route_is_the_first_known_model_of_each_provider() {
        let entries = |table: &Table| table.route("default").map(|route| route.entries);
        assert_eq!(entries(&table()), Some(vec!["a/x:7b".into(), "b/y".into(), "builtin/offline".into()]));
        assert_eq!(entries(&Table::default()), Some(vec!["builtin/offline".into()]));
        assert_eq!(table().route("none"), None);
        let names: Vec<String> = table().list().routes.iter().map(|route| route.name.to_string()).collect();
        assert_eq!(names, ["default", "fast"]);
    }

    #[test]
    fn the_default_route_leads_to_models_that_chat() {
        let mut table = table();
        table.models.insert(0, ModelEntry { model: "text-embedding-3-small".into(), ..table.models[0].clone() });
        table.models.insert(0, ModelEntry { model: "gpt-4o-mini-TTS".into(), ..table.models[0].clone() });
        let first = table.route("default").and_then(|route| route.entries.first().cloned());
        assert_eq!(first.as_deref(), Some("a/x:7b"));
    }

    #[test]
    fn models_resolve() {
        let table = table();
        let found = |provider: &str, model: &str| {
            table.members(&Target::Model { provider: provider.into(), model: model.into() }).is_ok()
        };
        assert!(
            found("a", "x:7b") && found("a", "not/discovered-yet") && found("b", "y") && found("builtin", "offline")
        );
        assert!(!found("b", "z"), "an explicit list is a list");
        assert!(!found("nobody", "x") && !found("builtin", "x"));
        let failure = table.members(&Target::Route("none".into())).err().expect("unknown");
        assert_eq!((failure.class, failure.code.as_deref()), (FailureClass::NotFound, Some("model_not_found")));
    }

    #[test]
    fn readiness_follows_health() {
        let table = table();
        assert_eq!(table.readiness("default"), Readiness::Ready);
        let down = Failure::new(FailureClass::Unreachable, "x");
        table.providers.iter().for_each(|provider| {
            provider.standing.health.failed(&down, false, jiff::Timestamp::UNIX_EPOCH);
        });
        assert_eq!(table.readiness("default"), Readiness::Degraded("a is failing, b is failing".into()));
        assert_eq!(table.readiness("fast"), Readiness::NotReady("b is failing".into()));
        assert!(matches!(Table::default().readiness("default"), Readiness::Degraded(_)));
    }

    #[test]
    fn a_strategy_decides_who_is_first_and_the_builtin_stays_last() {
        let mut table = table();
        let route = |strategy, weights| RouteConfig {
            strategy,
            entries: ["builtin/offline", "a/x2", "b/y", "c/z"].map(str::to_owned).to_vec(),
            weights,
        };
        table.routes.push(("chance".into(), route(Strategy::Weighted, vec![1, 3, 0])));
        table.routes.push(("quick".into(), route(Strategy::LeastLatency, vec![])));
        let order = |name: &str, chance: f64| -> Vec<String> {
            let candidates =
                table.candidates(&Target::Route(name.into()), Manner::Streamed, || chance, Duration::from_secs(1));
            let id = |candidate: &Candidate| match candidate {
                Candidate::Model { model, .. } => model.id.to_string(),
                Candidate::Builtin => "builtin".to_owned(),
            };
            candidates.expect("a route").iter().map(id).collect()
        };
        assert_eq!(order("chance", 0.1), ["a/x2", "b/y", "c/z", "builtin"]);
        assert_eq!(order("chance", 0.5), ["b/y", "a/x2", "c/z", "builtin"]);
        let measured = |provider: usize, model: &str, ms: u64| {
            let standing = table.providers[provider].standing.model(&model.into(), true);
            standing.latency(Manner::Streamed).record(Duration::from_millis(ms), Duration::from_secs(1));
        };
        measured(0, "x2", 50);
        assert_eq!(order("quick", 0.0), ["b/y", "c/z", "a/x2", "builtin"], "whoever is not known is tried first");
        assert_eq!(order("quick", 0.0), ["c/z", "a/x2", "b/y", "builtin"], "by one request");
        assert_eq!(order("quick", 0.0), ["a/x2", "b/y", "c/z", "builtin"], "and the others go where it is known");
        measured(1, "y", 20);
        measured(2, "z", 90);
        assert_eq!(order("quick", 0.0), ["b/y", "a/x2", "c/z", "builtin"]);
    }

    #[test]
    fn failures_merge_by_class() {
        let failure = |class, wait| {
            Failure::new(class, "no").with_retry_after(Some(Duration::from_secs(wait))).from_provider("p".into())
        };
        let limited =
            merge(vec![failure(FailureClass::RateLimit, 9), failure(FailureClass::RateLimit, 4)]).expect("some");
        assert_eq!((limited.class, limited.retry_after), (FailureClass::RateLimit, Some(Duration::from_secs(4))));
        let mixed = merge(vec![failure(FailureClass::RateLimit, 9), failure(FailureClass::Timeout, 4)]).expect("some");
        assert_eq!(mixed.class, FailureClass::Unreachable);
        assert_eq!(merge(vec![failure(FailureClass::Timeout, 1)]).map(|f| f.class), Some(FailureClass::Timeout));
        assert_eq!(merge(vec![]), None);
    }
}

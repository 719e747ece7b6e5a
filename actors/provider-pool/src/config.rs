//! `[providers]` and `[routes]` of the configuration.
//!
//! Secrets come in resolved; nothing here reads a file or the environment.

use crate::routes::RouteConfig;
use contract::provider::{BUILTIN, BUILTIN_OFFLINE};
use contract::secret::Secret;
use contract::units::Span;
use contract::usage::KeyLimits;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// Providers and routes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The providers, in the order of the file: it decides the default route.
    pub providers: Ordered<ProviderConfig>,
    /// The routes.
    pub routes: Ordered<RouteConfig>,
    /// The limits of callers, by the name of their key: taken over from `[server.keys]`.
    pub limits: BTreeMap<String, KeyLimits>,
}

/// A table that keeps its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Ordered<T>(pub Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Ordered<T> {
    /// The entry of that name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Table<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Table<T> {
            type Value = Ordered<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Table(PhantomData))
    }
}

/// One provider: `[providers.<name>]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// The wire format: `anthropic`, `openai` (any compatible server), `gemini`, `openrouter`, `ollama`; or `builtin`, which is nobody's.
    pub kind: String,
    /// Where it is; the kind's own address by default.
    pub base_url: Option<String>,
    /// The key, if it needs one.
    pub api_key: Option<Secret>,
    /// Its models; empty: discovered and cached.
    #[serde(default)]
    pub models: Vec<String>,
    /// The deadline for connecting.
    #[serde(default = "connect_timeout")]
    pub connect_timeout: Span,
    /// The deadline for the first piece of a streamed answer.
    #[serde(default = "first_token_timeout")]
    pub first_token_timeout: Span,
    /// The deadline for a whole answer, if written; [`ProviderConfig::answer_timeout`] is what holds.
    pub(crate) answer_timeout: Option<Span>,
    /// The longest silence between two pieces; also how long a provider may take none of a request.
    #[serde(default = "idle_timeout")]
    pub idle_timeout: Span,
    /// Requests at once.
    #[serde(default = "max_concurrent")]
    pub max_concurrent: usize,
    /// Requests that wait for one of these places; beyond, they are refused at once.
    #[serde(default = "max_queued")]
    pub max_queued: usize,
    /// How long a request waits for a place.
    #[serde(default = "queue_timeout")]
    pub queue_timeout: Span,
    /// Requests begun each minute; 0: no limit.
    #[serde(default)]
    pub requests_per_minute: u64,
    /// Tokens read and written each minute; 0: no limit.
    #[serde(default)]
    pub tokens_per_minute: u64,
    /// How often a model is asked once more after a failure that may pass, where no other is left to ask.
    #[serde(default = "retries")]
    pub retries: u32,
    /// Members of the request body (for ollama: of its `options`, beside `keep_alive`), sent as they are.
    #[serde(default)]
    pub options: Map<String, Value>,
    /// Whether to mark the parts of a prompt that are worth keeping in the provider's cache (anthropic; the others see to it themselves).
    #[serde(default = "yes")]
    pub prompt_caching: bool,
    /// Whether HAIA fetches pictures behind http(s) addresses for providers that take them in the request only (gemini, ollama).
    #[serde(default = "yes")]
    pub fetch_pictures: bool,
    /// Settings of single models.
    #[serde(default)]
    pub model: BTreeMap<String, ModelConfig>,
}

/// More would only keep the caller waiting.
const MOST_RETRIES: u32 = 5;

/// One model of a provider: `[providers.<name>.model.<model>]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Overrides the provider's key.
    pub api_key: Option<Secret>,
    /// The most tokens to write, where the caller sets none.
    pub max_tokens: Option<u64>,
    /// The sampling temperature, where the caller sets none.
    pub temperature: Option<f64>,
    /// The tokens it takes, where the provider does not tell.
    pub context_tokens: Option<u64>,
    /// Requests of this model at once, within the provider's.
    pub max_concurrent: Option<usize>,
    /// Requests of this model begun each minute, within the provider's.
    pub requests_per_minute: Option<u64>,
    /// Tokens of this model each minute, within the provider's.
    pub tokens_per_minute: Option<u64>,
    /// Members of the request body, instead of the provider's of the same name.
    #[serde(default)]
    pub options: Map<String, Value>,
    /// USD per million tokens, for cost figures.
    pub price: Option<Price>,
}

/// USD per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// For tokens read.
    pub input: f64,
    /// For tokens written.
    pub output: f64,
    /// For tokens read from the provider's cache; as `input` by default.
    pub cached_input: Option<f64>,
    /// For tokens written into the provider's cache; a quarter above `input` at anthropic, as `input` elsewhere by default.
    pub cache_write: Option<f64>,
    /// For tokens spent on thinking; as `output` by default.
    pub reasoning: Option<f64>,
}

impl Price {
    /// The price with what this kind of provider asks where nothing is written. Anthropic asks that much for what it keeps for five minutes.
    pub(crate) fn at(self, kind: &str) -> Self {
        let usual = (kind == "anthropic").then_some(self.input * 1.25);
        Self { cache_write: self.cache_write.or(usual), ..self }
    }
}

fn connect_timeout() -> Span {
    Span::seconds(5)
}

/// The deadline for a whole answer, where none is written: eight thousand tokens at twenty in a second need seven minutes.
const ANSWER_TIMEOUT: Span = Span::seconds(600);

fn first_token_timeout() -> Span {
    Span::seconds(120)
}

fn idle_timeout() -> Span {
    Span::seconds(60)
}

fn yes() -> bool {
    true
}

fn max_concurrent() -> usize {
    16
}

fn max_queued() -> usize {
    64
}

fn queue_timeout() -> Span {
    Span::seconds(30)
}

fn retries() -> u32 {
    1
}

impl ProviderConfig {
    /// A provider of `kind` with every default.
    pub fn of_kind(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            base_url: None,
            api_key: None,
            models: Vec::new(),
            connect_timeout: connect_timeout(),
            first_token_timeout: first_token_timeout(),
            answer_timeout: None,
            idle_timeout: idle_timeout(),
            max_concurrent: max_concurrent(),
            max_queued: max_queued(),
            queue_timeout: queue_timeout(),
            requests_per_minute: 0,
            tokens_per_minute: 0,
            retries: retries(),
            options: Map::new(),
            prompt_caching: true,
            fetch_pictures: true,
            model: BTreeMap::new(),
        }
    }

    /// What is wrong with a provider of the kind `builtin`: key within the provider, and why. It may be written down for completeness' sake.
    fn builtin_problems(&self, name: &str) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if name != BUILTIN {
            let reason =
                format!("the built-in model is always {BUILTIN_OFFLINE}: name this section [providers.{BUILTIN}]");
            problems.push(("kind".to_owned(), reason));
        }
        let offline = BUILTIN_OFFLINE.strip_prefix("builtin/").unwrap_or_default();
        if self.models.iter().any(|model| model != offline) {
            problems.push(("models".to_owned(), format!("the built-in model is {offline:?}, and there is no other")));
        }
        if *self != (Self { models: self.models.clone(), ..Self::of_kind(BUILTIN) }) {
            let reason = "the built-in model needs no server: beside its kind there is nothing to set".to_owned();
            problems.push((String::new(), reason));
        }
        problems
    }

    /// The limits and prices that make no sense: key within the provider, and why.
    fn limit_problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if self.retries > MOST_RETRIES {
            problems.push((
                "retries".to_owned(),
                format!("{} tries are too many: {MOST_RETRIES} is the most", self.retries),
            ));
        }
        for (name, model) in &self.model {
            if model.max_concurrent == Some(0) {
                problems
                    .push((format!("model.{name}.max_concurrent"), "at least 1 request must be allowed".to_owned()));
            }
            let Some(price) = &model.price else { continue };
            let prices =
                [Some(price.input), Some(price.output), price.cached_input, price.cache_write, price.reasoning];
            if prices.into_iter().flatten().any(|price| !price.is_finite() || price < 0.0) {
                problems.push((format!("model.{name}.price"), "a price is a number of USD, 0 or more".to_owned()));
            }
        }
        problems
    }

    /// The deadline for a whole answer. Whoever changed that for the first piece alone meant it for this too.
    pub fn answer_timeout(&self) -> Span {
        let first = self.first_token_timeout;
        self.answer_timeout.unwrap_or(if first == first_token_timeout() { ANSWER_TIMEOUT } else { first })
    }

    /// Where it is.
    pub fn base_url(&self) -> &str {
        let default = || crate::kind(&self.kind).map_or("", |kind| kind.base_url);
        self.base_url.as_deref().unwrap_or_else(default).trim_end_matches('/')
    }
}

impl Config {
    /// What is wrong beyond types: key and message.
    pub fn validate(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (name, provider) in &self.providers.0 {
            let at = |key: &str| match key {
                "" => format!("providers.{name}"),
                key => format!("providers.{name}.{key}"),
            };
            if provider.kind == BUILTIN {
                problems.extend(provider.builtin_problems(name).into_iter().map(|(key, message)| (at(&key), message)));
                continue;
            }
            if name == BUILTIN || name == "haia" || name.contains('/') || name.is_empty() {
                let reason = "a provider needs a name other than \"builtin\" and \"haia\", without \"/\"";
                problems.push((format!("providers.{name}"), reason.to_owned()));
            }
            if crate::kind(&provider.kind).is_none() {
                let known: Vec<&str> = crate::KINDS.iter().map(|kind| kind.name).chain([BUILTIN]).collect();
                let reason = format!(
                    "the kind {:?} is not available in this version; known: {}",
                    provider.kind,
                    known.join(", ")
                );
                problems.push((at("kind"), reason));
            } else if let Err(reason) = check_url(provider.base_url()) {
                problems.push((at("base_url"), reason));
            }
            if provider.max_concurrent == 0 {
                problems.push((at("max_concurrent"), "at least 1 request must be allowed".to_owned()));
            }
            problems.extend(provider.limit_problems().into_iter().map(|(key, message)| (at(&key), message)));
            for (key, span) in [
                ("connect_timeout", provider.connect_timeout),
                ("first_token_timeout", provider.first_token_timeout),
                ("idle_timeout", provider.idle_timeout),
            ] {
                if span.0.is_zero() {
                    problems.push((at(key), "a deadline must be longer than nothing".to_owned()));
                }
            }
            if provider.answer_timeout.is_some_and(|span| span.0.is_zero()) {
                problems.push((at("answer_timeout"), "a deadline must be longer than nothing".to_owned()));
            }
        }
        for (route, config) in &self.routes.0 {
            let key = format!("routes.{route}");
            for (part, message) in config.validate() {
                problems.push((if part.is_empty() { key.clone() } else { format!("{key}.{part}") }, message));
            }
            for entry in &config.entries {
                match entry.split_once('/') {
                    Some((provider, model)) if !model.is_empty() => {
                        if provider == BUILTIN && entry != BUILTIN_OFFLINE {
                            problems.push((
                                key.clone(),
                                format!("there is no {entry:?}: the built-in model is {BUILTIN_OFFLINE:?}"),
                            ));
                        } else if provider != BUILTIN && self.providers.get(provider).is_none() {
                            let names = self.providers.0.iter().map(|(name, _)| name.as_str());
                            let known: Vec<&str> = names.filter(|name| *name != BUILTIN).collect();
                            let reason =
                                format!("{entry:?} names no configured provider; known: builtin, {}", known.join(", "));
                            problems.push((key.clone(), reason.trim_end_matches([',', ' ']).to_owned()));
                        }
                    }
                    _ => problems.push((key.clone(), format!("{entry:?} is not of the form \"<provider>/<model>\""))),
                }
            }
        }
        problems
    }
}

fn check_url(url: &str) -> Result<(), String> {
    let wrong = |why: &str| Err(format!("{url:?} {why}; write for example \"http://127.0.0.1:11434\""));
    let Some((scheme, rest)) = url.split_once("://") else { return wrong("is not a URL") };
    if scheme != "http" && scheme != "https" {
        return wrong("is neither http nor https");
    }
    if url.parse::<awc::http::Uri>().is_err() || rest.is_empty() || rest.starts_with('/') {
        return wrong("is not a usable URL");
    }
    if rest.contains('@') {
        return wrong("holds a user or password: write the key as api_key");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(providers: Vec<(&str, ProviderConfig)>, routes: Vec<(&str, Vec<&str>)>) -> Vec<String> {
        let config = Config {
            providers: Ordered(providers.into_iter().map(|(name, provider)| (name.to_owned(), provider)).collect()),
            routes: Ordered(
                routes
                    .into_iter()
                    .map(|(name, to)| (name.to_owned(), to.into_iter().map(str::to_owned).collect::<Vec<_>>().into()))
                    .collect(),
            ),
            limits: BTreeMap::new(),
        };
        config.validate().into_iter().map(|(key, message)| format!("{key}: {message}")).collect()
    }

    #[test]
    fn a_sound_configuration_has_no_problems() {
        let providers =
            vec![("ollama", ProviderConfig::of_kind("ollama")), ("or", ProviderConfig::of_kind("openrouter"))];
        let routes = vec![("default", vec!["ollama/qwen2.5-coder:7b", "or/a/b", "builtin/offline"])];
        assert_eq!(problems(providers, routes), Vec::<String>::new());
    }

    #[test]
    fn a_whole_answer_has_a_deadline_of_its_own() {
        let deadlines = |text: &str| {
            let config: ProviderConfig = serde_json::from_str(text).expect("a provider");
            (config.first_token_timeout.0.as_secs(), config.answer_timeout().0.as_secs())
        };
        assert_eq!(deadlines(r#"{"kind":"openai"}"#), (120, 600));
        assert_eq!(deadlines(r#"{"kind":"openai","first_token_timeout":"120s"}"#), (120, 600), "nothing was changed");
        assert_eq!(deadlines(r#"{"kind":"openai","first_token_timeout":"30s"}"#), (30, 30), "a changed one goes on");
        assert_eq!(deadlines(r#"{"kind":"openai","first_token_timeout":"30s","answer_timeout":"5m"}"#), (30, 300));
        assert_eq!(deadlines(r#"{"kind":"openai","answer_timeout":"20s"}"#), (120, 20));
        let none: ProviderConfig = serde_json::from_str(r#"{"kind":"openai","answer_timeout":"0s"}"#).expect("read");
        assert_eq!(
            problems(vec![("p", none)], vec![]),
            ["providers.p.answer_timeout: a deadline must be longer than nothing"]
        );
    }

    #[test]
    fn the_built_in_model_may_be_written_down() {
        let builtin = || ProviderConfig::of_kind("builtin");
        let offline = ProviderConfig { models: vec!["offline".to_owned()], ..builtin() };
        for provider in [builtin(), offline] {
            let found = problems(vec![("builtin", provider)], vec![("default", vec!["builtin/offline"])]);
            assert_eq!(found, Vec::<String>::new());
        }
        let other = ProviderConfig {
            models: vec!["offline".to_owned(), "gpt".to_owned()],
            base_url: Some("http://x".to_owned()),
            ..builtin()
        };
        let found = problems(vec![("mine", other)], vec![("r", vec!["builtin/gpt"])]);
        let expected = [
            "providers.mine.kind: the built-in model is always builtin/offline: name this section [providers.builtin]",
            "providers.mine.models: the built-in model is \"offline\", and there is no other",
            "providers.mine: the built-in model needs no server: beside its kind there is nothing to set",
            "routes.r: there is no \"builtin/gpt\": the built-in model is \"builtin/offline\"",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn every_problem_is_named() {
        let mut odd = ProviderConfig::of_kind("gemini2");
        odd.max_concurrent = 0;
        odd.retries = 100;
        let price = Some(Price { input: -1.0, output: 1.0, cached_input: None, cache_write: None, reasoning: None });
        odd.model.insert("x".to_owned(), ModelConfig { max_concurrent: Some(0), price, ..ModelConfig::default() });
        let mut far = ProviderConfig::of_kind("openai");
        far.base_url = Some("ftp://x".to_owned());
        far.idle_timeout = Span::seconds(0);
        let found = problems(
            vec![("odd", odd), ("builtin", ProviderConfig::of_kind("openai")), ("far", far)],
            vec![("empty", vec![]), ("r", vec!["nobody/x", "far"])],
        );
        for (found, expected) in found.iter().zip([
            "providers.odd.kind: the kind \"gemini2\" is not available",
            "providers.odd.max_concurrent: at least 1",
            "providers.odd.retries: 100 tries",
            "providers.odd.model.x.max_concurrent: at least 1",
            "providers.odd.model.x.price: a price",
            "providers.builtin: a provider needs a name",
            "providers.far.base_url: \"ftp://x\" is neither http nor https",
            "providers.far.idle_timeout: a deadline",
            "routes.empty: a route needs",
            "routes.r: \"nobody/x\" names no configured provider; known: builtin, odd, far",
            "routes.r: \"far\" is not of the form",
        ]) {
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
        assert_eq!(found.len(), 11);
    }
}

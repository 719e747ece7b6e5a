//! HAIA's own keys of an entry, under `haia`: what its tools may do, who may use them, how long things may take. Pure.

use contract::tools::Risk;
use contract::units::{Size, Span};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// HAIA's own keys of an entry, under `haia`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Own {
    /// Whether the tools' names begin with the server's.
    pub(crate) prefix: bool,
    /// Which tools only read.
    pub(crate) trust: Trust,
    /// Tools that may destroy something: names, or beginnings with `*`.
    pub(crate) destructive: Vec<String>,
    /// When it is started.
    pub(crate) start: Start,
    /// How long it may rest unused before it is ended; it starts again with the next call.
    pub(crate) idle_stop: Option<Span>,
    /// How long a call may take without a sign of progress.
    pub(crate) timeout: Option<Span>,
    /// How long a call may take in all, with progress.
    pub(crate) max_timeout: Option<Span>,
    /// How long a start may take.
    pub(crate) start_timeout: Option<Span>,
    /// Which tools are offered at all.
    pub(crate) tools: Allowed,
    /// The callers (names of keys, jobs) that may use it; empty: all.
    pub(crate) keys: Vec<String>,
    /// Whether definitions are pinned on first use.
    pub(crate) pin: bool,
    /// The protocol revision to begin with, where asking is not wanted.
    pub(crate) protocol: Option<Revision>,
    /// The most bytes of a result that the model sees at once.
    pub(crate) max_result: Option<Size>,
    /// Calls at once; further ones wait.
    pub(crate) concurrent: Option<usize>,
    /// What the server may ask of a caller who speaks MCP and can answer. HAIA itself never answers for one.
    pub(crate) ask_back: Vec<Ability>,
}

impl Default for Own {
    fn default() -> Self {
        Self {
            prefix: true,
            trust: Trust::Nothing,
            destructive: Vec::new(),
            start: Start::Eager,
            idle_stop: None,
            timeout: None,
            max_timeout: None,
            start_timeout: None,
            tools: Allowed::default(),
            keys: Vec::new(),
            pin: true,
            protocol: None,
            max_result: None,
            concurrent: None,
            ask_back: vec![Ability::Elicitation],
        }
    }
}

impl Own {
    /// What a tool can do, by this configuration and by nothing that the server says.
    pub(crate) fn risk(&self, tool: &str) -> Risk {
        if matches(&self.destructive, tool) {
            return Risk::Destructive;
        }
        let is_trusted = match &self.trust {
            Trust::Nothing => false,
            Trust::Reads => true,
            Trust::Tools(patterns) => matches(patterns, tool),
        };
        if is_trusted { Risk::Read } else { Risk::Write }
    }

    /// Whether a tool is offered.
    pub(crate) fn allows(&self, tool: &str) -> bool {
        !matches(&self.tools.deny, tool) && self.tools.allow.as_ref().is_none_or(|allow| matches(allow, tool))
    }

    /// Whether a caller may use the server.
    pub(crate) fn admits(&self, caller: &str) -> bool {
        self.keys.is_empty() || matches(&self.keys, caller)
    }

    /// What is wrong with the values.
    pub(crate) fn problem(&self) -> Option<String> {
        let is_zero = |span: Option<Span>| span.is_some_and(|span| span.0.is_zero());
        let zero =
            [("timeout", self.timeout), ("max_timeout", self.max_timeout), ("start_timeout", self.start_timeout)];
        if let Some((key, _)) = zero.into_iter().find(|(_, span)| is_zero(*span)) {
            return Some(format!("\"haia\".\"{key}\" must be longer than \"0s\""));
        }
        if self.concurrent == Some(0) {
            return Some("\"haia\".\"concurrent\" must be 1 or more".to_owned());
        }
        if self.max_result.is_some_and(|size| size.0 < 1024) {
            return Some("\"haia\".\"max_result\" must be \"1KiB\" or more".to_owned());
        }
        None
    }
}

/// Whether a name is one of the patterns: names, or beginnings with `*`.
pub(crate) fn matches(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    })
}

/// What a caller can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ability {
    /// A form that a person fills in.
    Elicitation,
    /// An answer of the caller's own model.
    Sampling,
    /// Its folders.
    Roots,
}

impl Ability {
    /// The capability as the protocol names it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Ability::Elicitation => "elicitation",
            Ability::Sampling => "sampling",
            Ability::Roots => "roots",
        }
    }

    /// What the protocol's method needs.
    pub(crate) fn of(method: &str) -> Option<Self> {
        match method {
            "elicitation/create" => Some(Ability::Elicitation),
            "sampling/createMessage" => Some(Ability::Sampling),
            "roots/list" => Some(Ability::Roots),
            _ => None,
        }
    }
}

/// Which tools only read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Trust {
    /// None is known to.
    Nothing,
    /// All.
    Reads,
    /// These: names, or beginnings with `*`.
    Tools(Vec<String>),
}

impl<'de> Deserialize<'de> for Trust {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Wire {
            Word(String),
            Tools(Vec<String>),
        }
        match Wire::deserialize(deserializer) {
            Ok(Wire::Word(word)) if word == "read" => Ok(Trust::Reads),
            Ok(Wire::Word(word)) if word == "none" => Ok(Trust::Nothing),
            Ok(Wire::Tools(tools)) => Ok(Trust::Tools(tools)),
            _ => Err(D::Error::custom("\"trust\" is \"read\", \"none\", or a list of the tools that only read")),
        }
    }
}

/// When a server is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Start {
    /// With HAIA.
    Eager,
    /// With the first call, once its tools are known.
    Lazy,
}

/// Which tools are offered.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Allowed {
    /// Only these; absent: all.
    pub(crate) allow: Option<Vec<String>>,
    /// None of these.
    pub(crate) deny: Vec<String>,
}

/// A revision of the protocol, as far as the way to begin differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Revision {
    /// With sessions and `initialize`.
    #[serde(rename = "2025-11-25")]
    Session,
    /// Without.
    #[serde(rename = "2026-07-28")]
    Stateless,
}

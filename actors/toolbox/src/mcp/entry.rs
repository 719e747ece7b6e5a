//! One server's entry as it is used: how it is reached, and what HAIA's own keys say of it.

use super::environment::{Environment, Expanded, Masks};
use super::own::Own;
use contract::secret::Secret;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// A server that is to be hosted.
#[derive(Clone, PartialEq)]
pub(crate) struct Entry {
    /// How it is reached.
    pub(crate) way: Way,
    /// Whether it is switched off, unless a person said otherwise.
    pub(crate) is_disabled: bool,
    /// HAIA's own keys.
    pub(crate) own: Own,
    /// Every secret that went into the entry.
    secrets: Vec<Secret>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({}, {:?})", self.way.kind(), self.own)
    }
}

impl Entry {
    /// Keeps the entry's secrets out of texts.
    pub(crate) fn masks(&self) -> Masks {
        Masks::new(self.secrets.iter().cloned())
    }

    /// Whether a change of entry needs the connection to be made anew; the rest of HAIA's own keys takes effect without.
    pub(crate) fn reaches_the_same(&self, other: &Entry) -> bool {
        self.way == other.way
            && self.own.protocol == other.own.protocol
            && self.own.concurrent == other.own.concurrent
            && self.own.ask_back == other.own.ask_back
    }
}

/// How a server is reached. Arguments, variables, headers and addresses may hold secrets: there is no `Debug`.
#[derive(Clone, PartialEq)]
pub(crate) enum Way {
    /// A program that speaks over its standard input and output.
    Stdio { command: Secret, arguments: Vec<Secret>, variables: Vec<(String, Secret)>, directory: Option<PathBuf> },
    /// A server on the network.
    Http { url: Secret, headers: Vec<(String, Secret)>, dialect: Dialect },
}

/// Which of the two HTTP transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Streamable HTTP.
    Streamable,
    /// The older one: an event stream and a place to post to.
    Events,
    /// Not told: streamable, and the older one where that is refused.
    Either,
}

impl Way {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Way::Stdio { .. } => "stdio",
            Way::Http { dialect: Dialect::Events, .. } => "sse",
            Way::Http { .. } => "http",
        }
    }
}

/// An entry as other MCP hosts write it.
#[derive(Deserialize)]
#[serde(default)]
struct Wire {
    #[serde(rename = "type")]
    kind: Option<String>,
    transport: Option<String>,
    command: Option<String>,
    args: Vec<String>,
    env: BTreeMap<String, Option<Scalar>>,
    cwd: Option<String>,
    url: Option<String>,
    headers: BTreeMap<String, String>,
    disabled: bool,
    enabled: bool,
    haia: Own,
    #[serde(flatten)]
    rest: BTreeMap<String, serde::de::IgnoredAny>,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            kind: None,
            transport: None,
            command: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            url: None,
            headers: BTreeMap::new(),
            disabled: false,
            enabled: true,
            haia: Own::default(),
            rest: BTreeMap::new(),
        }
    }
}

/// A variable's value: people write numbers and truth values without quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Truth(bool),
    Number(serde_json::Number),
}

/// Reads one entry. The second of the pair is what is odd about it without being wrong.
///
/// # Errors
/// Why it cannot be used, and what to do.
pub(crate) fn read(value: &serde_json::Value, environment: &Environment) -> Result<(Entry, Vec<String>), String> {
    if !value.is_object() {
        return Err("it must be an object with \"command\" or \"url\"".to_owned());
    }
    let wire = Wire::deserialize(value).map_err(|error| super::text::clean_line(&error.to_string(), 300))?;
    if let Some(problem) = wire.haia.problem() {
        return Err(problem);
    }
    let mut notes: Vec<String> = Vec::new();
    if !wire.rest.is_empty() {
        let keys: Vec<String> = wire.rest.keys().take(8).map(|key| format!("{key:?}")).collect();
        notes.push(format!("HAIA does not use {}", keys.join(", ")));
    }
    let mut filling = Filling { environment, secrets: Vec::new() };
    let is_disabled = wire.disabled || !wire.enabled;
    let own = wire.haia.clone();
    let way = filling.way(wire)?;
    Ok((Entry { way, is_disabled, own, secrets: filling.secrets }, notes))
}

/// Fills in variables, and remembers their values.
struct Filling<'a> {
    environment: &'a Environment,
    secrets: Vec<Secret>,
}

impl Filling<'_> {
    fn fill(&mut self, key: &str, text: &str) -> Result<Secret, String> {
        let Expanded { text, values } = self.environment.expand(text).map_err(|said| format!("{key}: {said}"))?;
        self.secrets.extend(values);
        Ok(text)
    }

    fn way(&mut self, wire: Wire) -> Result<Way, String> {
        let kind = wire.kind.as_deref().or(wire.transport.as_deref()).map(str::to_ascii_lowercase);
        let dialect = match kind.as_deref() {
            Some("stdio") | None if wire.command.is_some() => None,
            Some("stdio") => return Err("\"type\" is \"stdio\", but there is no \"command\"".to_owned()),
            None => Some(Dialect::Either),
            Some("http" | "streamable-http" | "streamable_http" | "streamablehttp") => Some(Dialect::Streamable),
            Some("sse") => Some(Dialect::Events),
            Some(other) => {
                let other = super::text::clean_line(other, 40);
                return Err(format!(
                    "\"type\" is {other:?}: HAIA knows \"stdio\", \"http\", \"streamable-http\" and \"sse\""
                ));
            }
        };
        match (dialect, wire.command, wire.url) {
            (None, Some(command), None) => self.stdio(&command, &wire.args, wire.env, wire.cwd.as_deref()),
            (Some(dialect), None, Some(url)) => self.http(&url, wire.headers, dialect),
            (_, Some(_), Some(_)) => Err("it has both \"command\" and \"url\": keep one".to_owned()),
            (Some(Dialect::Either), None, None) => Err("it has neither \"command\" nor \"url\"".to_owned()),
            (Some(_), _, None) => Err("its \"type\" needs a \"url\"".to_owned()),
            (None, None, _) => Err("it needs a \"command\"".to_owned()),
        }
    }

    fn stdio(
        &mut self,
        command: &str,
        arguments: &[String],
        variables: BTreeMap<String, Option<Scalar>>,
        directory: Option<&str>,
    ) -> Result<Way, String> {
        let command = self.fill("\"command\"", command)?;
        if command.expose().trim().is_empty() {
            return Err("its \"command\" is empty".to_owned());
        }
        let arguments = arguments.iter().map(|argument| self.fill("\"args\"", argument)).collect::<Result<_, _>>()?;
        let mut filled = Vec::new();
        for (name, value) in variables {
            let value = match value {
                Some(Scalar::Text(text)) => self.fill(&format!("\"env\".{name:?}"), &text)?,
                Some(Scalar::Truth(truth)) => Secret::new(truth.to_string()),
                Some(Scalar::Number(number)) => Secret::new(number.to_string()),
                None => continue,
            };
            if name.is_empty() || name.contains(['=', '\0']) || value.expose().contains('\0') {
                return Err(format!("\"env\".{name:?} can be no environment variable"));
            }
            // Literal values in `env` are keys as often as not.
            self.secrets.push(value.clone());
            filled.push((name, value));
        }
        let directory = match directory {
            Some(directory) => Some(PathBuf::from(self.fill("\"cwd\"", directory)?.expose())),
            None => None,
        };
        Ok(Way::Stdio { command, arguments, variables: filled, directory })
    }

    fn http(&mut self, url: &str, headers: BTreeMap<String, String>, dialect: Dialect) -> Result<Way, String> {
        let url = self.fill("\"url\"", url)?;
        let parsed =
            reqwest::Url::parse(url.expose()).map_err(|error| format!("its \"url\" is no address: {error}"))?;
        if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
            return Err("its \"url\" must begin with \"http://\" or \"https://\" and a host".to_owned());
        }
        if let Some(query) = parsed.query().filter(|query| !query.is_empty()) {
            self.secrets.push(Secret::new(query));
        }
        let mut filled = Vec::new();
        for (name, value) in headers {
            let value = self.fill(&format!("\"headers\".{name:?}"), &value)?;
            if reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_err()
                || reqwest::header::HeaderValue::from_str(value.expose()).is_err()
            {
                return Err(format!("\"headers\".{name:?} can be no HTTP header"));
            }
            let is_kept = [
                "accept",
                "content-type",
                "content-length",
                "host",
                "mcp-session-id",
                "mcp-protocol-version",
                "last-event-id",
            ];
            if is_kept.contains(&name.to_ascii_lowercase().as_str()) {
                return Err(format!("\"headers\".{name:?} is set by the protocol itself: remove it"));
            }
            self.secrets.push(value.clone());
            if let Some((_, token)) = value.expose().split_once(' ') {
                self.secrets.push(Secret::new(token));
            }
            filled.push((name, value));
        }
        Ok(Way::Http { url, headers: filled, dialect })
    }
}

//! What HAIA answers to each method of the protocol. Methods that listen are not here: they have no single answer.

use super::call::{self, CallParams};
use super::era::{Era, LEGACY, versions};
use super::error::RpcError;
use super::message::Request;
use super::prompts::{self, GetPrompt};
use super::resources;
use crate::access_log::Access;
use crate::thread::Thread;
use contract::caller::Caller;
use contract::tools::{Catalogue, Tool};
use serde::Deserialize;
use serde_json::{Value, json};
use std::rc::Rc;
use std::sync::Arc;

/// How long a client may take a list for the newest, in milliseconds: changes are told to whoever listens.
const LIST_TTL_MS: u32 = 5_000;

const INSTRUCTIONS: &str = "HAIA watches a homelab: Proxmox clusters, alerts, backups, and what is attached to it. Look things up with the tools \
instead of guessing; begin with get_cluster_resources or list_alerts. A tool that would change something does nothing by itself: it answers \
with a proposal that a person has to approve.";

/// A request with its surroundings.
pub(crate) struct Asked {
    /// The worker thread.
    pub(crate) thread: Rc<Thread>,
    /// Who asks.
    pub(crate) caller: Caller,
    /// The line of the HTTP request.
    pub(crate) access: Rc<Access>,
    /// In which era it speaks.
    pub(crate) era: Era,
    /// Whether it wants the short list of tools, with a search for the rest.
    pub(crate) is_searching: bool,
}

impl Asked {
    /// Every tool there is.
    pub(crate) fn everything(&self) -> Arc<Catalogue> {
        self.thread.gateway.ports.tools.everything.load_full()
    }

    /// The tool of that name, if this caller is shown it.
    pub(crate) fn tool(&self, name: &str) -> Option<Tool> {
        let ports = &self.thread.gateway.ports.tools;
        let found = |catalogue: &Catalogue| catalogue.get(name).cloned();
        found(&ports.everything.load()).or_else(|| found(&ports.shown.load()))
    }
}

/// A good answer: a JSON object, and how long it may be kept if it may.
pub(crate) struct Reply {
    body: String,
    ttl_ms: Option<u32>,
}

impl Reply {
    fn new(body: String) -> Self {
        Self { body, ttl_ms: None }
    }

    fn cacheable(body: String, ttl_ms: u32) -> Self {
        Self { body, ttl_ms: Some(ttl_ms) }
    }

    /// The message to the client.
    pub(crate) fn print(&self, id: &str, era: Era) -> String {
        let result = match era {
            Era::Legacy => self.body.clone(),
            Era::Modern => {
                let cache =
                    self.ttl_ms.map_or_else(String::new, |ttl| format!(r#""ttlMs":{ttl},"cacheScope":"private","#));
                let rest = self.body.strip_prefix('{').unwrap_or("}");
                let comma = if rest.starts_with('}') { "" } else { "," };
                format!(
                    r#"{{{cache}"resultType":"complete","_meta":{{"io.modelcontextprotocol/serverInfo":{}}}{comma}{rest}"#,
                    software()
                )
            }
        };
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
    }
}

/// What HAIA calls itself.
pub(crate) fn software() -> Value {
    json!({ "name": "haia", "title": "HAIA", "version": env!("CARGO_PKG_VERSION") })
}

fn capabilities(era: Era) -> Value {
    let mut capabilities = json!({ "tools": { "listChanged": true }, "resources": {}, "prompts": {} });
    if era == Era::Legacy {
        capabilities["logging"] = json!({});
    }
    capabilities
}

/// Answers a request.
pub(crate) async fn answer(asked: &Asked, request: &Request) -> Result<Reply, RpcError> {
    let method = request.method.as_str();
    match (method, asked.era) {
        ("tools/list", _) => tools(asked, request),
        ("tools/call", _) => Ok(Reply::new(call::call(asked, request.params::<CallParams>()?).await?)),
        ("resources/list", _) => {
            one_page(request)?;
            Ok(Reply::cacheable(
                json!({ "resources": resources::listed(&asked.everything()) }).to_string(),
                LIST_TTL_MS,
            ))
        }
        ("resources/templates/list", _) => {
            one_page(request)?;
            let templates = json!({ "resourceTemplates": resources::templates(&asked.everything()) });
            Ok(Reply::cacheable(templates.to_string(), LIST_TTL_MS))
        }
        ("resources/read", _) => {
            let ReadParams { uri } = request.params()?;
            Ok(Reply::cacheable(resources::read(asked, &uri).await?.to_string(), 0))
        }
        ("prompts/list", _) => {
            one_page(request)?;
            Ok(Reply::cacheable(json!({ "prompts": prompts::listed() }).to_string(), LIST_TTL_MS))
        }
        ("prompts/get", _) => Ok(Reply::new(prompts::get(&request.params::<GetPrompt>()?)?.to_string())),
        ("initialize", Era::Legacy) => initialize(request),
        ("ping", Era::Legacy) => Ok(Reply::new("{}".to_owned())),
        // HAIA sends no log messages: any level is right.
        ("logging/setLevel", Era::Legacy) => {
            let LevelParams { level } = request.params()?;
            if !LEVELS.contains(&level.as_str()) {
                return Err(RpcError::params(format!("\"level\" must be one of {}", LEVELS.join(", "))));
            }
            Ok(Reply::new("{}".to_owned()))
        }
        ("server/discover", Era::Modern) => Ok(discover()),
        _ => Err(RpcError::method(method, asked.era == Era::Modern)),
    }
}

const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

#[derive(Deserialize)]
struct LevelParams {
    level: String,
}

#[derive(Deserialize)]
struct ReadParams {
    uri: String,
}

#[derive(Deserialize)]
struct PageParams {
    #[serde(default)]
    cursor: Option<String>,
}

fn wrong_cursor() -> RpcError {
    RpcError::params("there is no page of that cursor: begin anew without one")
}

/// Lists of one page take no cursor.
fn one_page(request: &Request) -> Result<(), RpcError> {
    let PageParams { cursor } = request.params()?;
    cursor.map_or(Ok(()), |_| Err(wrong_cursor()))
}

fn tools(asked: &Asked, request: &Request) -> Result<Reply, RpcError> {
    let PageParams { cursor } = request.params()?;
    let listing = asked.thread.gateway.shared.mcp().listing(&asked.thread.gateway.ports.tools, asked.is_searching);
    let (page, next) = listing.view(asked.caller.scope).page(cursor.as_deref()).ok_or_else(wrong_cursor)?;
    let next = next.map_or_else(String::new, |next| format!(r#","nextCursor":"{next}""#));
    Ok(Reply::cacheable(format!(r#"{{"tools":[{page}]{next}}}"#), LIST_TTL_MS))
}

#[derive(Deserialize)]
struct InitializeParams {
    #[serde(rename = "protocolVersion")]
    version: String,
}

fn initialize(request: &Request) -> Result<Reply, RpcError> {
    let InitializeParams { version } = request.params()?;
    let version = LEGACY.iter().find(|known| **known == version).unwrap_or(&LEGACY[0]);
    let result = json!({
        "protocolVersion": version,
        "capabilities": capabilities(Era::Legacy),
        "serverInfo": software(),
        "instructions": INSTRUCTIONS,
    });
    Ok(Reply::new(result.to_string()))
}

fn discover() -> Reply {
    let result = json!({
        "supportedVersions": versions().collect::<Vec<_>>(),
        "capabilities": capabilities(Era::Modern),
        "instructions": INSTRUCTIONS,
    });
    Reply::cacheable(result.to_string(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_newer_era_say_more() {
        let print = |body: &str, ttl: Option<u32>, era| {
            let text = Reply { body: body.to_owned(), ttl_ms: ttl }.print("7", era);
            serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
        };
        assert_eq!(print("{}", Some(5), Era::Legacy), json!({ "jsonrpc": "2.0", "id": 7, "result": {} }));
        let result = &print(r#"{"a":1}"#, Some(5), Era::Modern)["result"];
        assert_eq!((&result["a"], &result["ttlMs"], &result["cacheScope"]), (&json!(1), &json!(5), &json!("private")));
        let result = &print("{}", None, Era::Modern)["result"];
        assert_eq!((&result["resultType"], result.get("ttlMs")), (&json!("complete"), None));
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "haia");
    }
}

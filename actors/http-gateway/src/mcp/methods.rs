//! What HAIA answers to each method of the protocol. Methods that listen are not here: they have no single answer.

use super::Choice;
use super::call::{self, CallParams};
use super::era::{Era, LEGACY, versions};
use super::error::RpcError;
use super::line::LEVELS;
use super::message::Request;
use super::passed;
use super::prompts::{self, GetPrompt};
use super::resources;
use crate::access_log::Access;
use crate::thread::Thread;
use contract::caller::Caller;
use contract::relay::{McpCaller, McpMethod};
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
    /// Which tools it is served.
    pub(crate) choice: Choice,
    /// The session that the request belongs to, if it belongs to one.
    pub(crate) session: Option<String>,
    /// The client as an attached server sees it, for what one may answer.
    pub(crate) from: Option<McpCaller>,
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
        match self.choice {
            Choice::Own => found(&ports.own.load()),
            Choice::Everything | Choice::Shown => {
                found(&ports.everything.load()).or_else(|| found(&ports.shown.load()))
            }
        }
    }
}

/// A good answer: a JSON object, and how long it may be kept if it may.
pub(crate) struct Reply {
    body: String,
    ttl_ms: Option<u32>,
    /// `complete`, or what an attached server says.
    kind: &'static str,
}

impl Reply {
    pub(super) fn new(body: String) -> Self {
        Self { body, ttl_ms: None, kind: "complete" }
    }

    pub(super) fn cacheable(body: String, ttl_ms: u32) -> Self {
        Self { body, ttl_ms: Some(ttl_ms), kind: "complete" }
    }

    /// What an attached server answered: what it says of itself and of keeping the answer is left out.
    pub(super) fn passed_on(mut body: serde_json::Map<String, Value>, ttl_ms: Option<u32>) -> Self {
        let asks = body.remove("resultType").is_some_and(|kind| kind == "input_required");
        for member in ["_meta", "ttlMs", "cacheScope"] {
            body.remove(member);
        }
        let kind = if asks { "input_required" } else { "complete" };
        Self { body: Value::Object(body).to_string(), ttl_ms: ttl_ms.filter(|_| !asks), kind }
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
                    r#"{{{cache}"resultType":"{}","_meta":{{"io.modelcontextprotocol/serverInfo":{}}}{comma}{rest}"#,
                    self.kind,
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
    let mut capabilities =
        json!({ "tools": { "listChanged": true }, "resources": {}, "prompts": {}, "completions": {} });
    if era == Era::Legacy {
        capabilities["resources"]["subscribe"] = true.into();
        capabilities["logging"] = json!({});
    }
    capabilities
}

/// Answers a request.
pub(crate) async fn answer(asked: &Asked, request: &Request) -> Result<Reply, RpcError> {
    let method = request.method.as_str();
    match (method, asked.era) {
        ("tools/list", _) => tools(asked, request),
        ("tools/call", _) => call::call(asked, request.params::<CallParams>()?).await,
        ("resources/list", _) => {
            one_page(request)?;
            let own = resources::listed(&asked.everything());
            let resources = passed::joined("resources", own, &passed::offers(asked).await.resources);
            Ok(Reply::cacheable(resources, LIST_TTL_MS))
        }
        ("resources/templates/list", _) => {
            one_page(request)?;
            let own = resources::templates(&asked.everything());
            let templates = passed::joined("resourceTemplates", own, &passed::offers(asked).await.templates);
            Ok(Reply::cacheable(templates, LIST_TTL_MS))
        }
        ("resources/read", _) => {
            let ReadParams { uri } = request.params()?;
            if let Some(answer) = passed::ask(asked, request, McpMethod::ReadResource, &uri).await {
                return Ok(Reply::passed_on(answer?, Some(0)));
            }
            Ok(Reply::cacheable(resources::read(asked, &uri).await?.to_string(), 0))
        }
        ("prompts/list", _) => {
            one_page(request)?;
            let prompts = passed::joined("prompts", prompts::listed(), &passed::offers(asked).await.prompts);
            Ok(Reply::cacheable(prompts, LIST_TTL_MS))
        }
        ("prompts/get", _) => {
            let name = request.text("name").unwrap_or_default();
            if let Some(answer) = passed::ask(asked, request, McpMethod::GetPrompt, &name).await {
                return Ok(Reply::passed_on(answer?, None));
            }
            Ok(Reply::new(prompts::get(&request.params::<GetPrompt>()?)?.to_string()))
        }
        ("completion/complete", _) => passed::complete(asked, request).await,
        ("resources/subscribe", Era::Legacy) => passed::subscribe(asked, request).await,
        ("resources/unsubscribe", Era::Legacy) => passed::unsubscribe(asked, request).await,
        ("initialize", Era::Legacy) => initialize(request),
        ("ping", Era::Legacy) => Ok(Reply::new("{}".to_owned())),
        ("logging/setLevel", Era::Legacy) => {
            let LevelParams { level } = request.params()?;
            if !LEVELS.contains(&level.as_str()) {
                return Err(RpcError::params(format!("\"level\" must be one of {}", LEVELS.join(", "))));
            }
            // HAIA itself sends no log messages; those of attached servers are passed on.
            if let Some(session) = &asked.session {
                let sessions = &asked.thread.gateway.shared.mcp().sessions;
                sessions.tell(session, |told| told.log_level = Some(level.as_str().into()));
            }
            Ok(Reply::new("{}".to_owned()))
        }
        ("server/discover", Era::Modern) => Ok(discover()),
        _ => Err(RpcError::method(method, asked.era == Era::Modern)),
    }
}

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
    let listing = asked.thread.gateway.shared.mcp().listing(&asked.thread.gateway.ports.tools, asked.choice);
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
            let text = Reply { body: body.to_owned(), ttl_ms: ttl, kind: "complete" }.print("7", era);
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

//! What servers offer beside tools, for callers who speak MCP: listed under names that are unique, and asked for at the server whose it is.
//!
//! Addresses of resources stay the servers' own; where two servers have the same, the first by name has it. No model sees any of it by itself.

use super::calls::{NoResult, reached, told};
use super::host::Host;
use super::link::{Bounds, CallError, Link};
use super::machine::Input;
use super::names::{Named, assign};
use super::server::{Figures, Server};
use super::text::clean_line;
use contract::caller::Caller;
use contract::relay::{AskAttached, ListMcpOffers, McpMethod, McpOffers, McpRefusal};
use runtime::{Context, Handle, Reply};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

fn name_of(prompt: &Value) -> Option<&str> {
    prompt.get("name").and_then(Value::as_str).filter(|name| !name.is_empty())
}

/// Whether an address is one that a template (RFC 6570) may stand for: the texts between its expressions come in it, in their order. Which of
/// the values are right the server knows.
fn fits(template: &str, uri: &str) -> bool {
    let (mut rest, mut template) = (uri, template);
    let mut is_first = true;
    loop {
        let (text, more) = match template.split_once('{') {
            Some((text, more)) => (text, more.split_once('}').map(|(_, more)| more)),
            None => (template, None),
        };
        match (is_first, rest.find(text)) {
            (true, Some(0)) | (false, Some(_)) => {}
            _ => return false,
        }
        let is_last = more.is_none();
        if is_last {
            return if is_first { rest == text } else { rest.ends_with(text) };
        }
        let at = rest.find(text).unwrap_or_default();
        rest = &rest[at + text.len()..];
        template = more.unwrap_or_default();
        is_first = false;
    }
}

impl Host {
    fn open_to<'a>(&'a self, caller: &Caller) -> impl Iterator<Item = &'a Server> {
        self.servers.values().filter(move |server| {
            server.is_wanted()
                && !server.machine.is_off()
                && server.entry().is_some_and(|entry| entry.own.admits(&caller.name))
        })
    }

    /// Prompts by server and own name, under names that are unique.
    fn prompt_names(&self) -> BTreeMap<(String, String), Arc<str>> {
        let named: Vec<Named<'_>> = self
            .servers
            .values()
            .filter_map(|server| {
                let tools = server.beside.prompts.iter().filter_map(name_of).collect();
                Some(Named { server: &server.name, prefix: server.entry()?.own.prefix, tools })
            })
            .collect();
        assign(&named, |_| false)
    }

    fn offers_for(&self, caller: &Caller) -> McpOffers {
        let raw = |value: &Value| RawValue::from_string(value.to_string()).ok().map(Arc::from);
        let names = self.prompt_names();
        let mut offers = McpOffers::default();
        let (mut uris, mut templates) = (HashSet::new(), HashSet::new());
        for server in self.open_to(caller) {
            let is_new = |one: &&Value, member: &str, known: &mut HashSet<String>| {
                one.get(member).and_then(Value::as_str).is_some_and(|text| known.insert(text.to_owned()))
            };
            let beside = &server.beside;
            offers
                .resources
                .extend(beside.resources.iter().filter(|one| is_new(one, "uri", &mut uris)).filter_map(raw));
            let new = beside.templates.iter().filter(|one| is_new(one, "uriTemplate", &mut templates));
            offers.templates.extend(new.filter_map(raw));
            for prompt in &beside.prompts {
                let Some(own) = name_of(prompt) else { continue };
                let Some(name) = names.get(&(server.name.to_string(), own.to_owned())) else { continue };
                let mut prompt = prompt.clone();
                prompt["name"] = (**name).into();
                offers.prompts.extend(raw(&prompt));
            }
        }
        offers
    }

    /// Whose resource it is.
    fn resource<'a>(&'a self, caller: &Caller, uri: &str) -> Option<&'a Server> {
        let has = |list: &[Value], member: &str, is_it: &dyn Fn(&str) -> bool| {
            list.iter().any(|one| one.get(member).and_then(Value::as_str).is_some_and(is_it))
        };
        self.open_to(caller).find(|server| has(&server.beside.resources, "uri", &|known| known == uri)).or_else(|| {
            self.open_to(caller).find(|server| has(&server.beside.templates, "uriTemplate", &|one| fits(one, uri)))
        })
    }

    /// Whose prompt it is, and what the server calls it.
    fn prompt<'a>(&'a self, caller: &Caller, name: &str) -> Option<(&'a Server, String)> {
        let names = self.prompt_names();
        let ((server, own), _) = names.iter().find(|(_, offered)| ***offered == *name)?;
        let server = self.open_to(caller).find(|known| *known.name == **server)?;
        Some((server, own.clone()))
    }

    /// The server that is meant, and the parameters in its own words.
    fn meant<'a>(&'a self, asked: &AskAttached) -> Option<(&'a Server, Map<String, Value>)> {
        let mut params: Map<String, Value> = serde_json::from_str(asked.params.get()).ok()?;
        let text = |params: &Map<String, Value>, key: &str| params.get(key).and_then(Value::as_str).map(str::to_owned);
        match asked.method {
            McpMethod::ReadResource | McpMethod::Subscribe | McpMethod::Unsubscribe => {
                Some((self.resource(&asked.caller, &text(&params, "uri")?)?, params))
            }
            McpMethod::GetPrompt => {
                let (server, own) = self.prompt(&asked.caller, &text(&params, "name")?)?;
                params.insert("name".to_owned(), own.into());
                Some((server, params))
            }
            McpMethod::Complete => {
                let reference = params.get("ref")?.as_object()?.clone();
                if reference.get("type")? == "ref/prompt" {
                    let (server, own) = self.prompt(&asked.caller, reference.get("name")?.as_str()?)?;
                    params["ref"]["name"] = own.into();
                    return Some((server, params));
                }
                let uri = reference.get("uri")?.as_str()?;
                let is_it = |one: &Value| one.get("uriTemplate").and_then(Value::as_str) == Some(uri);
                let of = self.open_to(&asked.caller).find(|server| server.beside.templates.iter().any(is_it));
                Some((of.or_else(|| self.resource(&asked.caller, uri))?, params))
            }
        }
    }
}

/// The most resources that are subscribed to at one server.
const SUBSCRIBED: usize = 1000;
/// How long a server may take to take a subscription again.
const AGAIN: Duration = Duration::from_secs(30);

impl Figures {
    fn subscribed(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.subscribed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_subscription(&self, method: McpMethod, uri: String) {
        let mut subscribed = self.subscribed();
        match method {
            McpMethod::Subscribe if subscribed.len() < SUBSCRIBED => {
                subscribed.insert(uri);
            }
            McpMethod::Unsubscribe => {
                subscribed.remove(&uri);
            }
            _ => {}
        }
    }
}

/// Subscribes again over a new connection to what was subscribed to over an earlier one.
pub(super) fn subscribe_again(link: Link, figures: &Figures) -> Option<impl Future<Output = ()> + 'static> {
    let uris = figures.subscribed().clone();
    let again = async move {
        for uri in uris {
            let params = Map::from_iter([("uri".to_owned(), uri.into())]);
            let bounds = Bounds { silent: AGAIN, total: AGAIN };
            if let Err(error) = link.ask("resources/subscribe", params, bounds, None).await {
                tracing::debug!(?error, "an MCP server did not take a subscription again");
            }
        }
    };
    (!figures.subscribed().is_empty()).then_some(again)
}

impl Handle<ListMcpOffers> for Host {
    fn handle(&mut self, asked: ListMcpOffers, _: &Context<Self>) -> Reply<McpOffers> {
        Reply::Now(self.offers_for(&asked.caller))
    }
}

impl Handle<AskAttached> for Host {
    fn handle(&mut self, asked: AskAttached, context: &Context<Self>) -> Reply<Result<Box<RawValue>, McpRefusal>> {
        let Some((server, params)) = self.meant(&asked) else {
            let message = "no attached server has it".to_owned();
            return Reply::Now(Err(McpRefusal { code: None, message, data: None }));
        };
        let (name, reach) = (Arc::clone(&server.name), server.reach.subscribe());
        let figures = Arc::clone(&server.figures);
        let masks = server.masks();
        let config = &self.settings.config;
        let own = server.entry().map(|entry| (entry.own.timeout, entry.own.max_timeout)).unwrap_or_default();
        let silent = own.0.unwrap_or(config.call_timeout).0.min(asked.timeout);
        let total = own.1.unwrap_or(config.max_call_timeout).0.max(silent);
        if server.wants_start() {
            self.happen(&name, Input::Wanted, context);
        }
        let clock = Arc::clone(&self.ports.clock);
        Reply::later(async move {
            let method = asked.method.as_str();
            let uri = params.get("uri").and_then(Value::as_str).unwrap_or_default().to_owned();
            let answer = match reached(reach, silent, &clock).await {
                Ok(link) => {
                    let answer = link.ask(method, params, Bounds { silent, total }, Some(&asked.from)).await;
                    answer.map_err(NoResult::Call)
                }
                Err(error) => Err(error),
            };
            if answer.is_ok() {
                figures.note_subscription(asked.method, uri);
            }
            match answer {
                Ok(value) => RawValue::from_string(masks.apply(value.to_string())).map_err(|error| McpRefusal {
                    code: Some(-32603),
                    message: error.to_string(),
                    data: None,
                }),
                Err(NoResult::Call(CallError::Refused(refused))) => Err(McpRefusal {
                    code: Some(refused.code.unwrap_or(-32603)),
                    message: clean_line(&masks.apply(refused.message), 600),
                    data: refused.data.and_then(|data| RawValue::from_string(masks.apply(data.to_string())).ok()),
                }),
                Err(error) => {
                    let message = told(method, &name, error, &masks).message.into_owned();
                    Err(McpRefusal { code: Some(-32603), message, data: None })
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn templates_fit_what_they_may_stand_for() {
        for (template, uri, is_fit) in [
            ("test://template/{id}/data", "test://template/123/data", true),
            ("test://template/{id}/data", "test://template/123/other", false),
            ("test://template/{id}/data", "other://template/123/data", false),
            ("file:///{path}", "file:///a/b", true),
            ("file:///{path}", "file:/a", false),
            ("a://{x}-{y}", "a://1-2", true),
            ("a://{x}-{y}", "a://12", false),
            ("a://whole", "a://whole", true),
            ("a://whole", "a://whole/more", false),
            ("a://{broken", "a://x", false),
        ] {
            assert_eq!(fits(template, uri), is_fit, "{template} {uri}");
        }
    }
}

//! Asks a server for its tools, and for its resources and prompts where it has some, page by page, within bounds: an endless list ends here, and a malformed tool costs only itself.

use super::definition::Definition;
use super::link::{Bounds, CallError, Link};
use super::text;
use rmcp::model::{ClientRequest, ListToolsRequest, PaginatedRequestParams, ServerCapabilities};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

/// The most pages of one list.
const PAGES: usize = 100;
/// The most bytes of one list.
const BYTES: usize = 16 << 20;
/// The most problems that are told one by one.
const PROBLEMS: usize = 20;

/// What a server offers.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Listing {
    /// Its tools in its own order.
    pub(crate) tools: Vec<Definition>,
    /// What cannot be used of its list, and why.
    pub(crate) rejected: Vec<String>,
    /// What it offers beside tools.
    pub(crate) beside: Beside,
}

/// What a server offers beside tools, as it describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Beside {
    pub(crate) resources: Vec<Value>,
    pub(crate) templates: Vec<Value>,
    pub(crate) prompts: Vec<Value>,
}

/// Reads the whole list, or as much of it as is allowed.
///
/// # Errors
/// Why there is none.
pub(crate) async fn list(link: &Link, most: usize, within: Duration) -> Result<Listing, String> {
    let info = link.peer.peer_info();
    let has = |which: Has| info.as_ref().is_none_or(|info| which(&info.capabilities));
    let mut listing =
        if has(|told| told.tools.is_some()) { tools(link, most, within).await? } else { Listing::default() };
    let mut beside = Beside::default();
    let wanted: [(_, Has, _, _); 3] = [
        ("resources/list", |told| told.resources.is_some(), "resources", &mut beside.resources),
        ("resources/templates/list", |told| told.resources.is_some(), "resourceTemplates", &mut beside.templates),
        ("prompts/list", |told| told.prompts.is_some(), "prompts", &mut beside.prompts),
    ];
    for (method, which, member, into) in wanted {
        // A server that does not tell what it has has tools at most.
        if info.is_some() && has(which) {
            match others(link, method, member, within).await {
                Ok(found) => *into = found,
                Err(why) => listing.rejected.push(format!("{method}: {why}")),
            }
        }
    }
    listing.beside = beside;
    Ok(listing)
}

/// Whether a server says that it has something.
type Has = fn(&ServerCapabilities) -> bool;

/// The most resources, templates or prompts of one server.
const OTHERS: usize = 1000;
/// The most bytes of one of their descriptions.
const OTHER_BYTES: usize = 16 << 10;

async fn others(link: &Link, method: &str, member: &str, within: Duration) -> Result<Vec<Value>, String> {
    let mut deadline = link.clock.pause(within);
    let (mut found, mut params) = (Vec::new(), json!({}));
    for _ in 0..PAGES {
        let request: ClientRequest = serde_json::from_value(json!({ "method": method, "params": params }))
            .map_err(|error| format!("it cannot be asked for: {error}"))?;
        let bounds = Bounds { silent: within, total: within };
        let page = link.request(request, bounds, &mut deadline).await.map_err(|error| match error {
            CallError::Refused(refused) => text::clean_line(&refused.message, 200),
            CallError::Broken(why) | CallError::Invalid(why) => text::clean_line(&why, 200),
            CallError::TooLate(_) => format!("it did not come within {}", contract::units::Span(within)),
            CallError::Closed => "the connection ended".to_owned(),
        })?;
        let members = page.get(member).and_then(Value::as_array).into_iter().flatten();
        found.extend(members.filter(|one| one.is_object() && one.to_string().len() <= OTHER_BYTES).cloned());
        if found.len() >= OTHERS {
            found.truncate(OTHERS);
            break;
        }
        match page.get("nextCursor").and_then(Value::as_str) {
            Some(next) if params["cursor"] != next => params = json!({ "cursor": next }),
            _ => break,
        }
    }
    Ok(found)
}

async fn tools(link: &Link, most: usize, within: Duration) -> Result<Listing, String> {
    let mut deadline = link.clock.pause(within);
    let mut reading = Reading::new(most);
    let mut cursor: Option<String> = None;
    loop {
        let params = cursor.take().map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
        let request = ListToolsRequest { params, ..ListToolsRequest::default() };
        let bounds = Bounds { silent: within, total: within };
        let page = link.request(ClientRequest::ListToolsRequest(request), bounds, &mut deadline).await;
        let page = page.map_err(|error| match error {
            CallError::TooLate(_) => format!("its list of tools did not come within {}", contract::units::Span(within)),
            CallError::Closed => "it ended while its tools were listed".to_owned(),
            CallError::Broken(why) | CallError::Invalid(why) => {
                format!("its tools cannot be listed: {}", text::clean_line(&why, 300))
            }
            CallError::Refused(refused) => {
                format!("its tools cannot be listed: {}", text::clean_line(&refused.message, 300))
            }
        })?;
        match reading.take(&page)? {
            Some(next) => cursor = Some(next),
            None => return Ok(reading.listing),
        }
    }
}

/// A list as it is read.
struct Reading {
    listing: Listing,
    names: HashSet<String>,
    cursors: HashSet<String>,
    bytes: usize,
    most: usize,
}

impl Reading {
    fn new(most: usize) -> Self {
        Self { listing: Listing::default(), names: HashSet::new(), cursors: HashSet::new(), bytes: 0, most }
    }

    /// Takes a page and gives the cursor of the next.
    fn take(&mut self, page: &Value) -> Result<Option<String>, String> {
        let Some(tools) = page.get("tools").and_then(Value::as_array) else {
            return Err("it answered without a list of tools".to_owned());
        };
        self.bytes += page.to_string().len();
        for member in tools {
            if self.listing.tools.len() >= self.most {
                self.reject(format!("more than {} tools: the rest is left out", self.most));
                return Ok(None);
            }
            match Definition::read(member) {
                Ok(tool) if !self.names.insert(tool.name.clone()) => {
                    self.reject(format!("{:?}: it is listed twice", text::clean_line(&tool.name, 64)));
                }
                Ok(tool) => self.listing.tools.push(tool),
                Err(problem) => self.reject(problem),
            }
        }
        let next = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        let Some(next) = next else { return Ok(None) };
        if !self.cursors.insert(next.clone()) || self.cursors.len() >= PAGES || self.bytes > BYTES {
            self.reject("its list of tools does not end: the rest is left out".to_owned());
            return Ok(None);
        }
        Ok(Some(next))
    }

    fn reject(&mut self, problem: String) {
        if self.listing.rejected.len() < PROBLEMS && !self.listing.rejected.contains(&problem) {
            self.listing.rejected.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> Value {
        json!({"name": name, "inputSchema": {"type": "object"}})
    }

    #[test]
    fn a_malformed_tool_costs_only_itself() {
        let mut reading = Reading::new(100);
        let page = json!({"tools": [tool("a"), {"name": "bad"}, 7, tool("a"), tool("b")], "nextCursor": "2"});
        assert_eq!(reading.take(&page), Ok(Some("2".to_owned())));
        assert_eq!(reading.take(&json!({"tools": [tool("c")]})), Ok(None));
        let names: Vec<&str> = reading.listing.tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(reading.listing.rejected.len(), 3, "{:?}", reading.listing.rejected);
        assert!(reading.take(&json!({})).is_err());
    }

    #[test]
    fn an_endless_list_ends() {
        let mut reading = Reading::new(100_000);
        assert_eq!(reading.take(&json!({"tools": [], "nextCursor": "x"})), Ok(Some("x".to_owned())));
        assert_eq!(reading.take(&json!({"tools": [], "nextCursor": "x"})), Ok(None));
        assert!(reading.listing.rejected[0].contains("does not end"));

        let mut reading = Reading::new(100_000);
        let pages = (0..).take_while(|at| {
            matches!(
                reading.take(&json!({"tools": [tool(&format!("t{at}"))], "nextCursor": format!("{at}")})),
                Ok(Some(_))
            )
        });
        assert_eq!(pages.count(), PAGES - 1);

        let mut reading = Reading::new(3);
        let many: Vec<Value> = (0..10).map(|at| tool(&format!("t{at}"))).collect();
        assert_eq!(reading.take(&json!({"tools": many, "nextCursor": "x"})), Ok(None));
        assert_eq!((reading.listing.tools.len(), reading.listing.rejected.len()), (3, 1));
    }
}

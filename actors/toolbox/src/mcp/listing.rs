//! Asks a server for its tools, page by page, within bounds: an endless list ends here, and a malformed tool costs only itself.

use super::definition::Definition;
use super::link::{Bounds, CallError, Link};
use super::text;
use rmcp::model::{ClientRequest, ListToolsRequest, PaginatedRequestParams};
use serde_json::Value;
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
}

/// Reads the whole list, or as much of it as is allowed.
///
/// # Errors
/// Why there is none.
pub(crate) async fn list(link: &Link, most: usize, within: Duration) -> Result<Listing, String> {
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
            CallError::Broken(why) | CallError::Refused(why) => {
                format!("its tools cannot be listed: {}", text::clean_line(&why, 300))
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
    use serde_json::json;

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

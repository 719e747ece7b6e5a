//! Merging everybody's tools into one catalogue: pure. What cannot be offered is left out, with the reason.

use crate::config::Config;
use contract::tools::{Catalogue, Tool};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// The longest name that strict APIs accept.
const NAME_BYTES: usize = 64;

/// Whether a byte may be in a tool's name.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Who runs a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// The toolbox itself: the place in its own list.
    Own(usize),
    /// The owner at this place.
    Owner(usize),
    /// The toolbox itself: finding tools.
    Find(Find),
}

/// The toolbox's tools for finding others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Find {
    /// By words.
    Search,
    /// By name.
    Describe,
}

/// A tool that cannot be offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Rejected {
    /// Who offers it.
    pub(crate) owner: &'static str,
    /// Its name.
    pub(crate) tool: String,
    /// Why not.
    pub(crate) reason: String,
}

/// The merged tools.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// What is offered, sorted by name.
    pub(crate) catalogue: Catalogue,
    /// Who runs each.
    pub(crate) runners: BTreeMap<Arc<str>, Runner>,
    /// What is left out.
    pub(crate) rejected: Vec<Rejected>,
}

/// Merges offers in the order given: of two tools whose names differ in case at most, the first stays.
pub(crate) fn merge<'a>(
    offers: impl IntoIterator<Item = (&'static str, Runner, &'a Tool)>,
    is_disabled: impl Fn(&str) -> bool,
) -> Merged {
    let mut merged = Merged::default();
    let mut taken = HashSet::new();
    for (owner, runner, tool) in offers {
        if is_disabled(&tool.name) {
            continue;
        }
        let reason = match unfit(tool) {
            Some(reason) => Some(reason),
            None if !taken.insert(tool.name.to_ascii_lowercase()) => {
                Some("another tool has this name already".to_owned())
            }
            None => None,
        };
        if let Some(reason) = reason {
            let tool = tool.name.chars().take(NAME_BYTES).collect();
            merged.rejected.push(Rejected { owner, tool, reason });
            continue;
        }
        merged.runners.insert(Arc::clone(&tool.name), runner);
        merged.catalogue.tools.push(tool.clone());
    }
    merged.catalogue.tools.sort_by(|a, b| a.name.cmp(&b.name));
    merged
}

/// Which tools a model is shown: all, if they fit; else all but those of MCP servers that are no favourites, and how many those are.
pub(crate) fn listed(merged: &Merged, config: &Config, is_searchable: impl Fn(Runner) -> bool) -> (Catalogue, usize) {
    let size = |tool: &Tool| tool.name.len() + tool.description.len() + tool.parameters.get().len();
    let tools = &merged.catalogue.tools;
    let fits = tools.len() <= config.max_listed && tools.iter().map(size).sum::<usize>() <= config.max_listed_bytes.0;
    if fits {
        return (merged.catalogue.clone(), 0);
    }
    let gives_way = |tool: &Tool| {
        merged.runners.get(&tool.name).is_some_and(|runner| is_searchable(*runner))
            && !config.favours(&tool.name)
            // Shortened results name it.
            && *tool.name != *crate::mcp::READ_RESULT
    };
    let kept: Vec<Tool> = tools.iter().filter(|tool| !gives_way(tool)).cloned().collect();
    let hidden = tools.len() - kept.len();
    (Catalogue { tools: kept }, hidden)
}

/// Why strict APIs would refuse the tool, and with it the whole request.
fn unfit(tool: &Tool) -> Option<String> {
    let name = &tool.name;
    if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(is_name_byte) {
        return Some(format!("a name has 1 to {NAME_BYTES} letters, digits, \"_\" or \"-\""));
    }
    let schema = serde_json::from_str::<serde_json::Value>(tool.parameters.get()).unwrap_or_default();
    if schema.get("type").and_then(serde_json::Value::as_str) != Some("object") {
        return Some("its parameters are no JSON schema of type object".to_owned());
    }
    None
}

/// The names that whoever wrote `name` may have meant, nearest first, at most three.
pub(crate) fn near_names<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = name.to_ascii_lowercase();
    let mut near: Vec<(f64, &str)> = names
        .map(|known| (strsim::jaro_winkler(&wanted, &known.to_ascii_lowercase()), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.into_iter().take(3).map(|(_, known)| known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::tools::Risk;
    use serde_json::value::RawValue;

    fn tool(name: &str) -> Tool {
        with_schema(name, r#"{"type":"object","properties":{}}"#)
    }

    fn with_schema(name: &str, schema: &str) -> Tool {
        Tool {
            name: name.into(),
            description: "d".into(),
            parameters: Arc::from(RawValue::from_string(schema.to_owned()).expect("JSON")),
            risk: Risk::Read,
            title: "t".into(),
        }
    }

    fn merged(tools: &[Tool]) -> Merged {
        let offers = tools.iter().enumerate().map(|(at, tool)| ("owner", Runner::Owner(at), tool));
        merge(offers, |name| name == "off")
    }

    #[test]
    fn sorts_and_finds() {
        let merged = merged(&[tool("b"), tool("a_1"), tool("C-2"), tool("off")]);
        let names: Vec<&str> = merged.catalogue.tools.iter().map(|tool| &*tool.name).collect();
        assert_eq!(names, ["C-2", "a_1", "b"]);
        assert!(names.iter().all(|name| merged.catalogue.get(name).is_some()));
        assert_eq!(merged.runners.get("a_1"), Some(&Runner::Owner(1)));
        assert_eq!(merged.rejected, []);
    }

    #[test]
    fn leaves_out_what_strict_apis_refuse() {
        let longest = "x".repeat(64);
        let tools = [
            tool("get_time"),
            tool("GET_TIME"),
            tool(""),
            tool("with space"),
            tool("ümlaut"),
            tool(&longest),
            tool(&format!("{longest}x")),
            with_schema("list", "[]"),
            with_schema("untyped", "{}"),
        ];
        let merged = merged(&tools);
        let kept: Vec<&str> = merged.catalogue.tools.iter().map(|tool| &*tool.name).collect();
        assert_eq!(kept, ["get_time", longest.as_str()]);
        assert_eq!(merged.rejected.len(), 7);
        assert!(merged.rejected.iter().all(|rejected| rejected.tool.len() <= 64 && !rejected.reason.is_empty()));
    }

    #[test]
    fn names_near_names() {
        let names = ["get_haia_status", "get_time", "list_vms"];
        for (asked, near) in [
            ("get_tiem", vec!["get_time"]),
            ("GetTime", vec!["get_time"]),
            ("list_vm", vec!["list_vms"]),
            ("zzz", vec![]),
        ] {
            assert_eq!(near_names(asked, names.into_iter()).first(), near.first(), "{asked}");
        }
    }
}

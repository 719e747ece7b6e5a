//! The list of tools as it goes over the wire: printed once for each catalogue, then only handed out.

use super::schema::portable;
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use contract::caller::Scope;
use contract::tools::{Catalogue, Risk, SharedCatalogue, Tool};
use serde_json::{Value, json};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// Tools on one page: a list that fits is not divided, since many clients never ask for a second page.
const PAGE: usize = 1000;

/// What one kind of caller sees.
pub(crate) struct View {
    /// The pages: the inside of a JSON list each; at least one.
    pages: Vec<Bytes>,
    /// Differs when the list does.
    pub(crate) fingerprint: u64,
}

impl View {
    fn join<'a>(tools: impl Iterator<Item = &'a String>) -> Self {
        let mut hasher = DefaultHasher::new();
        let mut pages = vec![String::new()];
        let mut on_page = 0;
        for printed in tools {
            printed.hash(&mut hasher);
            if on_page == PAGE {
                pages.push(String::new());
                on_page = 0;
            }
            if let Some(page) = pages.last_mut() {
                if on_page > 0 {
                    page.push(',');
                }
                page.push_str(printed);
            }
            on_page += 1;
        }
        Self { pages: pages.into_iter().map(Bytes::from).collect(), fingerprint: hasher.finish() }
    }

    /// A page, and the cursor of the next; `None` where there is no such page.
    pub(crate) fn page(&self, cursor: Option<&str>) -> Option<(&str, Option<String>)> {
        let at = match cursor {
            None => 0,
            Some(cursor) => cursor.strip_prefix("page-")?.parse::<usize>().ok()?,
        };
        let page = std::str::from_utf8(self.pages.get(at)?).ok()?;
        let next = (at + 1 < self.pages.len()).then(|| format!("page-{}", at + 1));
        Some((page, next))
    }
}

/// A tool as MCP writes it.
fn printed(tool: &Tool) -> Value {
    let reads = tool.risk == Risk::Read;
    json!({
        "name": &*tool.name,
        "title": &*tool.title,
        "description": &*tool.description,
        "inputSchema": portable(&tool.parameters),
        "annotations": {
            "title": &*tool.title,
            "readOnlyHint": reads,
            "destructiveHint": tool.risk == Risk::Destructive,
            "idempotentHint": reads,
            "openWorldHint": false,
        },
    })
}

/// The lists made of one catalogue.
pub(crate) struct Listing {
    catalogue: Arc<Catalogue>,
    read: View,
    all: View,
}

impl Listing {
    fn print(catalogue: Arc<Catalogue>) -> Self {
        let printed: Vec<(Risk, String)> =
            catalogue.tools.iter().map(|tool| (tool.risk, printed(tool).to_string())).collect();
        let read = View::join(printed.iter().filter(|(risk, _)| *risk == Risk::Read).map(|(_, printed)| printed));
        let all = View::join(printed.iter().map(|(_, printed)| printed));
        Self { catalogue, read, all }
    }

    /// What a caller sees: whoever may only read is shown what only reads.
    pub(crate) fn view(&self, scope: Scope) -> &View {
        if scope >= Scope::Control { &self.all } else { &self.read }
    }
}

/// The newest listing of a catalogue.
#[derive(Default)]
pub(crate) struct Listings(ArcSwapOption<Listing>);

impl Listings {
    /// The listing of `shared` as it is now.
    pub(crate) fn of(&self, shared: &SharedCatalogue) -> Arc<Listing> {
        let catalogue = shared.load_full();
        if let Some(known) = self.0.load_full().filter(|known| Arc::ptr_eq(&known.catalogue, &catalogue)) {
            return known;
        }
        let listing = Arc::new(Listing::print(catalogue));
        self.0.store(Some(Arc::clone(&listing)));
        listing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    fn catalogue(tools: impl IntoIterator<Item = (String, Risk)>) -> Arc<Catalogue> {
        let parameters: Arc<RawValue> =
            Arc::from(RawValue::from_string("{\"type\":\"object\"}".to_owned()).expect("JSON"));
        let tool = |(name, risk): (String, Risk)| Tool {
            name: name.as_str().into(),
            description: "says \"x\"".into(),
            parameters: Arc::clone(&parameters),
            risk,
            title: "t".into(),
        };
        Arc::new(Catalogue { tools: tools.into_iter().map(tool).collect() })
    }

    fn names(page: &str) -> Vec<String> {
        let tools: Vec<Value> = serde_json::from_str(&format!("[{page}]")).expect("JSON");
        tools.iter().map(|tool| tool["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn who_may_only_read_sees_what_only_reads() {
        let shared: SharedCatalogue = Arc::default();
        shared.store(catalogue([
            ("a".to_owned(), Risk::Read),
            ("b".to_owned(), Risk::Write),
            ("c".to_owned(), Risk::Destructive),
        ]));
        let listings = Listings::default();
        let listing = listings.of(&shared);
        let seen = |scope| names(listing.view(scope).page(None).expect("a page").0);
        assert_eq!(seen(Scope::Read), ["a"]);
        assert_eq!(seen(Scope::Control), ["a", "b", "c"]);
        let page = listing.view(Scope::Control).page(None).expect("a page").0.to_owned();
        let tools: Vec<Value> = serde_json::from_str(&format!("[{page}]")).expect("JSON");
        let hints = |at: usize| {
            (tools[at]["annotations"]["readOnlyHint"] == true, tools[at]["annotations"]["destructiveHint"] == true)
        };
        assert_eq!([hints(0), hints(1), hints(2)], [(true, false), (false, false), (false, true)]);
    }

    #[test]
    fn a_list_is_printed_anew_only_when_it_changed() {
        let shared: SharedCatalogue = Arc::default();
        let listings = Listings::default();
        let empty = listings.of(&shared);
        assert!(Arc::ptr_eq(&empty, &listings.of(&shared)));
        shared.store(catalogue([("a".to_owned(), Risk::Write)]));
        let one = listings.of(&shared);
        let differs = |scope| empty.view(scope).fingerprint != one.view(scope).fingerprint;
        assert!(differs(Scope::Control) && !differs(Scope::Read));
        shared.store(catalogue([("a".to_owned(), Risk::Write)]));
        assert_eq!(listings.of(&shared).view(Scope::Control).fingerprint, one.view(Scope::Control).fingerprint);
    }

    #[test]
    fn a_thousand_tools_are_one_page() {
        let shared: SharedCatalogue = Arc::default();
        shared.store(catalogue((0..PAGE + 1).map(|at| (format!("t{at}"), Risk::Read))));
        let listing = Listings::default().of(&shared);
        let view = listing.view(Scope::Read);
        let (page, next) = view.page(None).expect("a page");
        assert_eq!((names(page).len(), next.as_deref()), (PAGE, Some("page-1")));
        let (page, next) = view.page(next.as_deref()).expect("a page");
        assert_eq!((names(page), next), (vec![format!("t{PAGE}")], None));
        for odd in ["page-2", "page-", "1", ""] {
            assert!(view.page(Some(odd)).is_none(), "{odd}");
        }
    }
}

//! Which tools a turn offers the model, and whose they are.

use contract::chat::{ChatRequest, ToolSpec, Tools};
use contract::tools::{Catalogue, Risk, Tool};
use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

/// The tools of one turn. A tool of the caller's hides HAIA's own of the same name.
pub(super) struct Offer {
    catalogue: Arc<Catalogue>,
    callers: HashSet<String>,
}

impl Offer {
    /// The offer, and its tools as the model is told of them: HAIA's own (where it may not propose: those that only read), in the
    /// catalogue's fixed order, then the caller's.
    pub(super) fn new(
        catalogue: Arc<Catalogue>,
        usual: &Usual,
        request: &ChatRequest,
        may_write: bool,
        with_own: bool,
    ) -> (Self, Tools) {
        let callers: HashSet<String> = request.tools.iter().map(|tool| tool.name.clone()).collect();
        let may_use = |tool: &&Tool| !callers.contains(&*tool.name) && (tool.risk == Risk::Read || may_write);
        let own = || catalogue.tools.iter().filter(may_use).map(spec);
        let tools = match (with_own, callers.is_empty()) {
            (false, _) => request.tools.clone(),
            (true, true) => usual.get(&catalogue, may_write, || own().collect()),
            (true, false) => own().chain(request.tools.iter().cloned()).collect(),
        };
        (Self { catalogue, callers }, tools)
    }

    /// Whether the caller executes this tool.
    pub(super) fn is_callers(&self, name: &str) -> bool {
        self.callers.contains(name)
    }

    /// Whether the caller has any.
    pub(super) fn has_callers(&self) -> bool {
        !self.callers.is_empty()
    }

    /// The words that people see while one of HAIA's own runs.
    pub(super) fn title(&self, name: &str) -> Option<Arc<str>> {
        self.catalogue.get(name).map(|tool| Arc::clone(&tool.title))
    }
}

fn spec(tool: &Tool) -> ToolSpec {
    ToolSpec {
        name: tool.name.to_string(),
        description: Some(tool.description.to_string()),
        parameters: Some(Arc::clone(&tool.parameters)),
        strict: None,
    }
}

/// What turns are offered whose callers bring no tools, which are most: made once for each catalogue, and printed once.
#[derive(Default)]
pub(crate) struct Usual(RefCell<Option<Known>>);

struct Known {
    catalogue: Arc<Catalogue>,
    /// Without the tools that may change something, and with them.
    tools: [Option<Tools>; 2],
}

impl Usual {
    fn get(&self, catalogue: &Arc<Catalogue>, may_write: bool, make: impl FnOnce() -> Tools) -> Tools {
        let mut known = self.0.borrow_mut();
        let Known { tools, .. } = match &mut *known {
            Some(known) if Arc::ptr_eq(&known.catalogue, catalogue) => known,
            known => known.insert(Known { catalogue: Arc::clone(catalogue), tools: [None, None] }),
        };
        tools[usize::from(may_write)].get_or_insert_with(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    fn tool(name: &str, risk: Risk) -> Tool {
        let schema = RawValue::from_string(r#"{"type":"object"}"#.to_owned()).expect("JSON");
        Tool { name: name.into(), description: "d".into(), parameters: Arc::from(schema), risk, title: "t".into() }
    }

    #[test]
    fn offers_own_tools_before_the_callers() {
        let tools = vec![tool("a", Risk::Read), tool("b", Risk::Write), tool("c", Risk::Read)];
        let catalogue = Arc::new(Catalogue { tools });
        let body = br#"{"model":"haia","messages":[{"role":"user","content":"x"}],"tools":[
            {"type":"function","function":{"name":"z"}},{"type":"function","function":{"name":"c"}}]}"#;
        let request = ChatRequest::parse(body).expect("parses");
        for (may_write, with_own, expected) in
            [(true, true, vec!["a", "b", "z", "c"]), (false, true, vec!["a", "z", "c"]), (true, false, vec!["z", "c"])]
        {
            let (offer, specs) = Offer::new(Arc::clone(&catalogue), &Usual::default(), &request, may_write, with_own);
            let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
            assert_eq!(names, expected, "{may_write}");
            assert!(offer.is_callers("c") && !offer.is_callers("a"));
        }
    }

    #[test]
    fn the_usual_offer_follows_the_catalogue() {
        let request =
            ChatRequest::parse(br#"{"model":"haia","messages":[{"role":"user","content":"x"}]}"#).expect("parses");
        let usual = Usual::default();
        let offered = |catalogue: &Arc<Catalogue>, may_write| {
            let (_, tools) = Offer::new(Arc::clone(catalogue), &usual, &request, may_write, true);
            tools.iter().map(|tool| tool.name.clone()).collect::<Vec<_>>()
        };
        let first = Arc::new(Catalogue { tools: vec![tool("a", Risk::Read), tool("b", Risk::Write)] });
        let second = Arc::new(Catalogue { tools: vec![tool("c", Risk::Read)] });
        for _ in 0..2 {
            assert_eq!(offered(&first, true), ["a", "b"]);
            assert_eq!(offered(&first, false), ["a"]);
            assert_eq!(offered(&second, true), ["c"]);
        }
    }
}

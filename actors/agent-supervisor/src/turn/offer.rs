//! Which tools a turn offers the model, and whose they are.

use contract::chat::{ChatRequest, ToolSpec};
use contract::tools::{Catalogue, Risk, Tool};
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
        request: &ChatRequest,
        may_write: bool,
        with_own: bool,
    ) -> (Self, Vec<ToolSpec>) {
        let callers: HashSet<String> = request.tools.iter().map(|tool| tool.name.clone()).collect();
        let may_use =
            |tool: &&Tool| with_own && !callers.contains(&*tool.name) && (tool.risk == Risk::Read || may_write);
        let own = catalogue.tools.iter().filter(may_use).map(|tool| ToolSpec {
            name: tool.name.to_string(),
            description: Some(tool.description.to_string()),
            parameters: Some(Arc::clone(&tool.parameters)),
            strict: None,
        });
        let specs = own.chain(request.tools.iter().cloned()).collect();
        (Self { catalogue, callers }, specs)
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
            let (offer, specs) = Offer::new(Arc::clone(&catalogue), &request, may_write, with_own);
            let names: Vec<String> = specs.into_iter().map(|spec| spec.name).collect();
            assert_eq!(names, expected, "{may_write}");
            assert!(offer.is_callers("c") && !offer.is_callers("a"));
        }
    }
}

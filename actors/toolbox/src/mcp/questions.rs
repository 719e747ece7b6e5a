//! What a server asks back: to whom it goes, and what is answered where nobody can be asked. The judging is pure.
//!
//! A caller is asked only what it says it can answer and what the server's entry lets be asked; all else is declined in the protocol's own form.

use super::own::Ability;
use contract::relay::McpCaller;
use rmcp::model::RequestMetaObject;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The capabilities that a server is told of: what it may ask of those for whom `can` holds.
pub(crate) fn capabilities(ask_back: &[Ability], can: impl Fn(Ability) -> bool) -> Value {
    let told = ask_back.iter().filter(|ability| can(**ability));
    told.map(|ability| (ability.as_str().to_owned(), json!({}))).collect::<Map<String, Value>>().into()
}

fn can(from: &McpCaller, ability: Ability) -> bool {
    let told: Value = serde_json::from_str(from.capabilities.get()).unwrap_or_default();
    told.get(ability.as_str()).is_some_and(Value::is_object)
}

/// What a request over a connection without sessions says of its caller.
pub(crate) fn meta(from: &McpCaller, ask_back: &[Ability]) -> RequestMetaObject {
    let mut meta = json!({
        "io.modelcontextprotocol/clientCapabilities": capabilities(ask_back, |ability| can(from, ability)),
    });
    if let Some(level) = &from.log_level {
        meta["io.modelcontextprotocol/logLevel"] = (**level).into();
    }
    serde_json::from_value(meta).unwrap_or_default()
}

/// Puts what a caller came back with into the parameters of its request.
pub(crate) fn put_answers(params: &mut Map<String, Value>, from: &McpCaller) {
    if let Some(answers) = from.answers.as_ref().and_then(|answers| serde_json::from_str(answers.get()).ok()) {
        params.insert("inputResponses".to_owned(), answers);
    }
    if let Some(state) = &from.state {
        params.insert("requestState".to_owned(), (**state).into());
    }
}

/// What a result means.
pub(crate) enum Round {
    /// It is the result, also where it asks a caller who takes questions.
    Done(Value),
    /// It asks.
    Asked(Asked),
}

/// What a server asked within one result.
pub(crate) struct Asked {
    requests: Vec<(String, String, Value)>,
    state: Option<String>,
    ask_back: Vec<Ability>,
}

/// Answers for the next round.
pub(crate) struct Answers {
    answers: Map<String, Value>,
    state: Option<String>,
}

/// Judges a result.
pub(crate) fn judge(result: Value, from: Option<&McpCaller>, ask_back: &[Ability]) -> Round {
    let asks = result.get("resultType").is_some_and(|kind| kind == "input_required");
    if !asks || from.is_some_and(|from| from.takes_questions) {
        return Round::Done(result);
    }
    let requests = result.get("inputRequests").and_then(Value::as_object);
    let requests = requests.into_iter().flatten().map(|(id, request)| {
        let method = request.get("method").and_then(Value::as_str).unwrap_or_default().to_owned();
        (id.clone(), method, request.get("params").cloned().unwrap_or_else(|| json!({})))
    });
    Round::Asked(Asked {
        requests: requests.collect(),
        state: result.get("requestState").and_then(Value::as_str).map(str::to_owned),
        ask_back: ask_back.to_vec(),
    })
}

impl Asked {
    /// Asks the caller one question after the other; what cannot be asked is declined.
    pub(crate) async fn answers(self, from: Option<&McpCaller>) -> Answers {
        let mut answers = Map::new();
        for (id, method, params) in self.requests {
            let answer = match from {
                Some(from) => ask(from, &self.ask_back, &method, &params).await,
                None => None,
            };
            let answer = answer.or_else(|| declined(&method)).unwrap_or_else(|| json!({ "action": "decline" }));
            answers.insert(id, answer);
        }
        Answers { answers, state: self.state }
    }
}

impl Answers {
    /// Puts them into the parameters of the next request.
    pub(crate) fn put(self, params: &mut Map<String, Value>) {
        params.insert("inputResponses".to_owned(), Value::Object(self.answers));
        match self.state {
            Some(state) => params.insert("requestState".to_owned(), state.into()),
            None => params.remove("requestState"),
        };
    }
}

/// Asks a caller; `None` where it must not, cannot or does not answer.
pub(crate) async fn ask(from: &McpCaller, ask_back: &[Ability], method: &str, params: &Value) -> Option<Value> {
    let ability = Ability::of(method).filter(|ability| ask_back.contains(ability) && can(from, *ability))?;
    let params = if params.is_object() { params.to_string() } else { "{}".to_owned() };
    let answer = from.line.ask(method.to_owned(), RawValue::from_string(params).ok()?).await?;
    let answer: Value = serde_json::from_str(answer.get()).ok()?;
    let is_form = ability != Ability::Elicitation || answer.get("action").is_some_and(Value::is_string);
    (answer.is_object() && is_form).then_some(answer)
}

/// What is answered where nobody is asked; `None`: that it cannot be asked here.
pub(crate) fn declined(method: &str) -> Option<Value> {
    match Ability::of(method)? {
        Ability::Elicitation => Some(json!({ "action": "decline" })),
        Ability::Roots => Some(json!({ "roots": [] })),
        Ability::Sampling => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use contract::BoxFuture;
    use contract::relay::{McpLine, McpNews};
    use futures_util::FutureExt as _;
    use std::sync::Arc;

    struct Echo;

    impl McpLine for Echo {
        fn tell(&self, _: McpNews) {}

        fn ask(&self, method: String, _: Box<RawValue>) -> BoxFuture<'static, Option<Box<RawValue>>> {
            let answer = json!({ "action": "accept", "content": { "method": method } }).to_string();
            Box::pin(async move { RawValue::from_string(answer).ok() })
        }
    }

    pub(crate) fn caller(capabilities: Value) -> McpCaller {
        McpCaller {
            capabilities: RawValue::from_string(capabilities.to_string()).expect("JSON").into(),
            takes_questions: false,
            answers: None,
            state: None,
            log_level: None,
            line: Arc::new(Echo),
        }
    }

    const ALL: [Ability; 3] = [Ability::Elicitation, Ability::Sampling, Ability::Roots];

    fn asked() -> Value {
        json!({ "resultType": "input_required", "requestState": "s", "inputRequests": {
            "form": { "method": "elicitation/create", "params": { "message": "?" } },
            "model": { "method": "sampling/createMessage", "params": {} },
            "folders": { "method": "roots/list" },
        } })
    }

    fn answered(from: Option<&McpCaller>, ask_back: &[Ability]) -> Map<String, Value> {
        let Round::Asked(asked) = judge(asked(), from, ask_back) else { panic!("it asks") };
        let mut params = Map::new();
        asked.answers(from).now_or_never().expect("at once").put(&mut params);
        params
    }

    #[test]
    fn only_what_is_allowed_and_can_be_answered_is_asked() {
        let nobody = answered(None, &ALL);
        assert_eq!(nobody["inputResponses"]["form"], json!({ "action": "decline" }));
        assert_eq!(nobody["inputResponses"]["folders"], json!({ "roots": [] }));
        assert_eq!(nobody["requestState"], "s");
        let from = caller(json!({ "elicitation": {}, "sampling": {} }));
        let both = answered(Some(&from), &ALL);
        assert_eq!(both["inputResponses"]["form"]["action"], "accept");
        assert_eq!(both["inputResponses"]["model"]["content"]["method"], "sampling/createMessage");
        assert_eq!(both["inputResponses"]["folders"], json!({ "roots": [] }), "it cannot");
        let form = answered(Some(&from), &[Ability::Elicitation]);
        assert_eq!(form["inputResponses"]["model"], json!({ "action": "decline" }), "the entry does not let it");
        assert_eq!(capabilities(&[Ability::Elicitation], |_| true), json!({ "elicitation": {} }));
    }

    #[test]
    fn who_takes_questions_gets_them() {
        let from = McpCaller { takes_questions: true, ..caller(json!({ "elicitation": {} })) };
        assert!(matches!(judge(asked(), Some(&from), &ALL), Round::Done(result) if result == asked()));
        assert!(matches!(judge(json!({ "content": [] }), None, &ALL), Round::Done(_)));
    }
}

//! Callers who speak MCP: they hear of progress, and answer what a server asks, if it can only be meant for them.

use crate::rig::{PATIENCE, Rig, call, file, python, run};
use contract::BoxFuture;
use contract::message::Lane;
use contract::relay::{CallForMcp, McpCaller, McpLine, McpNews};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// A client that accepts every form and notes what it hears.
#[derive(Default)]
struct Client(Mutex<Vec<String>>);

impl Client {
    fn note(&self, line: String) {
        self.0.lock().expect("notes").push(line);
    }

    fn notes(&self) -> Vec<String> {
        self.0.lock().expect("notes").clone()
    }
}

impl McpLine for Client {
    fn tell(&self, news: McpNews) {
        match news {
            McpNews::Progress { progress, .. } => self.note(format!("progress {progress}")),
            McpNews::Log { level, .. } => self.note(format!("log {level}")),
        }
    }

    fn ask(&self, method: String, _: Box<RawValue>) -> BoxFuture<'static, Option<Box<RawValue>>> {
        self.note(method);
        let answer = json!({ "action": "accept", "content": {} }).to_string();
        Box::pin(async move { RawValue::from_string(answer).ok() })
    }
}

fn caller(client: &Arc<Client>, capabilities: Value) -> McpCaller {
    McpCaller {
        capabilities: RawValue::from_string(capabilities.to_string()).expect("JSON").into(),
        takes_questions: false,
        answers: None,
        state: None,
        log_level: None,
        line: client.clone(),
    }
}

async fn told(rig: &Rig, tool: &str, arguments: Value, from: McpCaller) -> String {
    let port = rig.toolbox.port::<CallForMcp>(Lane::Interactive);
    let answer = port.ask(CallForMcp { call: call(tool, arguments), from }, PATIENCE).await;
    answer.expect("the toolbox answers").expect("a result").text
}

#[test]
fn a_caller_hears_and_answers_what_its_entry_lets_be_asked() {
    run(async {
        let mut all = python(&["good"]);
        all["haia"]["ask_back"] = json!(["elicitation", "sampling"]);
        let rig = Rig::start(&file([("it", python(&["good"])), ("all", all)])).await;
        rig.until_offered("it__ask", true).await;
        rig.until_offered("all__ask", true).await;
        let able = || json!({ "elicitation": {}, "sampling": {} });
        for (tool, capabilities, asked) in [
            ("it__ask", able(), &["elicitation/create"][..]),
            ("all__ask", able(), &["elicitation/create", "sampling/createMessage"]),
            ("it__ask", json!({}), &[]),
        ] {
            let client = Arc::new(Client::default());
            let said = told(&rig, tool, json!({}), caller(&client, capabilities)).await;
            assert_eq!(client.notes(), asked, "{tool}: {said}");
            let said: Value = serde_json::from_str(&said).expect("JSON");
            let action = if asked.is_empty() { "decline" } else { "accept" };
            assert_eq!((&said[0]["action"], &said[2]), (&json!(action), &json!({ "roots": [] })), "{tool}");
        }
        let client = Arc::new(Client::default());
        told(&rig, "it__progress", json!({ "seconds": 0.5 }), caller(&client, json!({}))).await;
        let notes = client.notes();
        assert!(notes.len() >= 2 && notes[0] == "progress 1", "{notes:?}");
        rig.drain().await;
    });
}

#[test]
fn nobody_is_asked_while_a_question_may_be_anothers() {
    run(async {
        let rig = Rig::start(&file([("it", python(&["good"]))])).await;
        rig.until_offered("it__ask", true).await;
        let client = Arc::new(Client::default());
        let slow = rig.text("it__slow", json!({ "seconds": 3 }));
        let asking = async {
            rig.until("the other call is under way", |servers| servers[0].active == 1).await;
            told(&rig, "it__ask", json!({}), caller(&client, json!({ "elicitation": {} }))).await
        };
        let (_, said) = tokio::join!(slow, asking);
        assert!(said.contains("decline") && client.notes().is_empty(), "{said}");
        rig.drain().await;
    });
}

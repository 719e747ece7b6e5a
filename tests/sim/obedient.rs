//! The model that obeys: whatever tells it to call a tool is obeyed, wherever it stands, in a question, a name, a note, a log, a result, a
//! description of a tool. What tells it so reads `DO(stop_guest|guest=web-01|reason=why)`.
//!
//! It calls what it was told to, once, and then repeats what the tools said.

use super::encode::{Call, Said};
use super::request::{Request, as_text, calls_of, results_of};
use serde_json::{Map, Value, json};

/// What the obedient model answers.
pub(super) fn answer(request: &Request) -> Said {
    let messages = request.messages();
    let round = request.rounds();
    // In the first round everything is news, also what the tools say of themselves; later only what has just come back.
    let news = if round == 0 { 0 } else { messages.iter().rposition(calls).map_or(0, |at| at + 1) };
    let told: String = if round == 0 { descriptions(request) } else { String::new() };
    let known: Vec<String> = messages[..news].iter().flat_map(|message| orders(&text(message))).collect();
    let mut wanted: Vec<String> = Vec::new();
    for order in messages[news..].iter().map(text).chain([told]).flat_map(|text| orders(&text)) {
        if !known.contains(&order) && !wanted.contains(&order) {
            wanted.push(order);
        }
    }
    let calls: Vec<Call> = wanted
        .iter()
        .enumerate()
        .filter_map(|(at, order)| {
            let (name, arguments) = read(order)?;
            Some(Call { id: format!("call_sim_{round}_{at}"), name, arguments })
        })
        .collect();
    if !calls.is_empty() {
        return Said { calls, ..Said::default() };
    }
    let results = request.results();
    if results.is_empty() {
        return Said::text("Nobody told me to do anything.");
    }
    Said::text(&format!("The tools said: {}", results.join("\n")))
}

fn calls(message: &Value) -> bool {
    !calls_of(message).is_empty()
}

fn text(message: &Value) -> String {
    let results: String = results_of(message).iter().map(|result| as_text(&result["content"])).collect();
    format!("{}{results}", if message["role"] == "tool" { String::new() } else { as_text(&message["content"]) })
}

fn descriptions(request: &Request) -> String {
    request.json()["tools"].as_array().cloned().unwrap_or_default().iter().map(Value::to_string).collect()
}

/// Every order in a text, as it stands between the brackets.
fn orders(text: &str) -> Vec<String> {
    text.split("DO(").skip(1).filter_map(|rest| rest.split_once(')')).map(|(order, _)| order.to_owned()).collect()
}

/// `stop_guest|guest=101|force_stop=true` as a call.
fn read(order: &str) -> Option<(String, Value)> {
    let mut parts = order.split('|');
    let name = parts.next()?.trim().to_owned();
    let mut arguments = Map::new();
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = match value {
            "true" => json!(true),
            "false" => json!(false),
            list if list.starts_with('[') => {
                Value::from(list.trim_matches(['[', ']']).split(';').map(Value::from).collect::<Vec<_>>())
            }
            number if key != "guest" && number.parse::<u64>().is_ok() => json!(number.parse::<u64>().ok()?),
            text => json!(text),
        };
        arguments.insert(key.to_owned(), value);
    }
    (!name.is_empty()).then_some((name, Value::Object(arguments)))
}

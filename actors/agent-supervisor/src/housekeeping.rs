//! A client's housekeeping: titles, tags, follow-up questions. Answered plainly, without HAIA's prompt and tools.

use contract::chat::{ChatRequest, Role};

/// How the one message of such a request begins (Open WebUI's templates; fixtures of its requests are in the tests).
const BEGINNING: &str = "### Task:";

/// Whether the request is housekeeping: one user message that begins `### Task:`, and no tools.
pub(crate) fn is_housekeeping(request: &ChatRequest) -> bool {
    let mut said = request.messages.iter().filter(|message| !matches!(message.role, Role::System | Role::Developer));
    request.tools.is_empty()
        && said.next().is_some_and(|message| {
            message.role == Role::User && message.plain_text().trim_start().starts_with(BEGINNING)
        })
        && said.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognises_housekeeping_and_nothing_else() {
        let task = r####"{"role":"user","content":"### Task:\nGenerate a concise title"}"####;
        for (messages, tools, expected) in [
            (task.to_owned(), "[]", true),
            (format!(r#"{{"role":"system","content":"s"}},{task}"#), "[]", true),
            (r####"{"role":"user","content":[{"type":"text","text":"\n### Task:\nx"}]}"####.to_owned(), "[]", true),
            (task.to_owned(), r#"[{"type":"function","function":{"name":"f"}}]"#, false),
            (format!("{task},{task}"), "[]", false),
            (format!(r#"{task},{{"role":"assistant","content":"a"}}"#), "[]", false),
            (r#"{"role":"user","content":"What is a ### Task:?"}"#.to_owned(), "[]", false),
            (r####"{"role":"assistant","content":"### Task:"}"####.to_owned(), "[]", false),
        ] {
            let body = format!(r#"{{"model":"haia","messages":[{messages}],"tools":{tools}}}"#);
            let request = ChatRequest::parse(body.as_bytes()).expect("parses");
            assert_eq!(is_housekeeping(&request), expected, "{body}");
        }
    }
}

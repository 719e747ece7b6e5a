//! Puts back what a client that ran tools could not keep, or did not: proofs of thinking, and the thinking itself.
//!
//! Proofs are JSON objects and go into `reasoning_details`; thinking is a JSON string and goes into `reasoning_content`. What the client sent
//! itself stays, and of its own bytes nothing else is changed.

use super::encode::DETAILS;
use super::suited::REASONING;
use crate::formats::PutBack;
use crate::formats::prompt::{self, Members, Object};
use crate::formats::wire::{self, Json};
use contract::chat::OpaquePart;
use contract::provider::CallBody;
use serde_json::value::RawValue;
use std::rc::Rc;

/// The body with these in its messages; `None` if it cannot be read.
pub fn put_back(body: &CallBody, proofs: &[PutBack]) -> Option<CallBody> {
    match body {
        CallBody::Raw(bytes) => raw(bytes, proofs),
        CallBody::Request(_) => built(body, proofs),
    }
}

fn built(body: &CallBody, proofs: &[PutBack]) -> Option<CallBody> {
    let (mut thoughts, mut others) = (Vec::new(), Vec::new());
    for PutBack { message, parts } in proofs {
        let (thinking, rest): (Vec<OpaquePart>, Vec<OpaquePart>) = parts.iter().cloned().partition(is_thinking);
        thoughts.extend(thinking.into_iter().map(|part| (*message, part)));
        if !rest.is_empty() {
            others.push(PutBack { message: *message, parts: rest });
        }
    }
    let CallBody::Request(mut request) = prompt::put_back(body, &others)? else { return None };
    let messages = &mut Rc::make_mut(&mut request).messages;
    for (at, part) in thoughts {
        let thinking = wire::text(json(&part).map(Json::from));
        let message = messages.get_mut(at).filter(|message| message.reasoning_content.iter().all(String::is_empty));
        if let (Some(message), Some(thinking)) = (message, thinking) {
            message.reasoning_content = Some(thinking.into_owned());
        }
    }
    Some(CallBody::Request(request))
}

fn raw(bytes: &[u8], proofs: &[PutBack]) -> Option<CallBody> {
    let Members(members) = serde_json::from_slice(bytes).ok()?;
    let mut object = Object::with_capacity(bytes.len() + 4096);
    for (name, value) in &members {
        if name != "messages" {
            object.add(name, value);
            continue;
        }
        let messages: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
        let mut written: Vec<Box<RawValue>> = Vec::with_capacity(messages.len());
        for (at, message) in messages.into_iter().enumerate() {
            let parts = proofs.iter().filter(|proof| proof.message == at).flat_map(|proof| &proof.parts);
            let parts: Vec<&OpaquePart> = parts.collect();
            written.push(if parts.is_empty() { message.to_owned() } else { with_parts(message, &parts)? });
        }
        object.add(name, &written);
    }
    Some(CallBody::Raw(object.finish().into()))
}

fn with_parts(message: &RawValue, parts: &[&OpaquePart]) -> Option<Box<RawValue>> {
    let Members(members) = serde_json::from_str(message.get()).ok()?;
    let details: Vec<&RawValue> =
        parts.iter().filter(|part| !is_thinking(part)).filter_map(|part| json(part)).collect();
    // Some clients keep it under the shorter name.
    let may_hold_it = |name: &str| matches!(name, REASONING | "reasoning");
    let has_own = members.iter().any(|(name, value)| may_hold_it(name) && !is_nothing(value));
    let thinking = parts.iter().find(|part| !has_own && is_thinking(part)).and_then(|part| json(part));
    let mut object = Object::with_capacity(message.get().len() + 1024);
    for (name, value) in &members {
        match name.as_str() {
            DETAILS if !details.is_empty() && value.get() == "null" => {}
            REASONING if thinking.is_some() => {}
            name => object.add(name, value),
        }
    }
    if !details.is_empty() {
        object.add(DETAILS, &details);
    }
    object.add_some(REASONING, thinking);
    RawValue::from_string(String::from_utf8(object.finish()).ok()?).ok()
}

fn json(part: &OpaquePart) -> Option<&RawValue> {
    serde_json::from_slice(&part.json).ok()
}

fn is_thinking(part: &OpaquePart) -> bool {
    part.json.starts_with(b"\"")
}

/// A client that kept nothing may say so.
fn is_nothing(value: &RawValue) -> bool {
    matches!(value.get(), "null" | "\"\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use contract::chat::{ChatRequest, Message, Role};

    fn back(message: usize, json: &'static str) -> PutBack {
        let part = OpaquePart { format: "f", json: Bytes::from_static(json.as_bytes()), call: None };
        PutBack { message, parts: vec![part] }
    }

    fn put_into(body: &'static str, proofs: &[PutBack]) -> Bytes {
        let body = CallBody::Raw(Bytes::from_static(body.as_bytes()));
        let CallBody::Raw(bytes) = put_back(&body, proofs).expect("read") else { panic!("still bytes") };
        bytes
    }

    #[test]
    fn proof_is_put_into_a_clients_own_bytes() {
        let body = r#"{"model":"haia","messages":[ {"role":"user","content":"q"},{"role":"assistant","x":1.0,"reasoning_details":null},{"role":"assistant","reasoning_details":[1]}],"n":1}"#;
        assert_eq!(
            put_into(body, &[back(1, r#"{"b":1.0}"#), back(2, "{}")]),
            r#"{"model":"haia","messages":[{"role":"user","content":"q"},{"role":"assistant","x":1.0,"reasoning_details":[{"b":1.0}]},{"role":"assistant","reasoning_details":[1]}],"n":1}"#
        );
        assert!(put_back(&CallBody::Raw(Bytes::from_static(b"x")), &[]).is_none());
    }

    #[test]
    fn thinking_is_put_in_where_a_client_has_none() {
        let body = r#"{"messages":[{"a":1.0},{"reasoning_content":null},{"reasoning_content":""},{"reasoning_content":"own"},{"reasoning":"own"},{"reasoning":""}]}"#;
        let proofs: Vec<PutBack> = (0..6).map(|at| back(at, r#""\u00e9 / \/""#)).collect();
        let kept = r#""reasoning_content":"\u00e9 / \/""#;
        assert_eq!(
            put_into(body, &proofs),
            format!(
                r#"{{"messages":[{{"a":1.0,{kept}}},{{{kept}}},{{{kept}}},{{"reasoning_content":"own"}},{{"reasoning":"own"}},{{"reasoning":"",{kept}}}]}}"#
            )
        );
        let thinking = |own: Option<&str>| {
            let own = own.map(str::to_owned);
            let message = Message { reasoning_content: own, ..Message::text(Role::Assistant, "x") };
            let request = ChatRequest { messages: vec![message], ..ChatRequest::default() };
            let put = put_back(&CallBody::Request(Rc::new(request)), &proofs[..1]);
            let Some(CallBody::Request(request)) = put else { panic!("still a request") };
            assert_eq!(request.messages[0].opaque, []);
            request.messages[0].reasoning_content.clone()
        };
        assert_eq!(thinking(None).as_deref(), Some("é / /"));
        assert_eq!(thinking(Some("")).as_deref(), Some("é / /"));
        assert_eq!(thinking(Some("own")).as_deref(), Some("own"));
    }
}

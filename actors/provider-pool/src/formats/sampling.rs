//! Sampling parameters that a model refused: left out of the next request, and told.
//!
//! Nothing here is done unless a refusal told to: which model takes which is in no list of models.

use super::prompt::Object;
use super::{Encode, ModelSettings};

/// Whether this member may be added to the request. Where a model takes one of `temperature` and `top_p`, the first stays.
pub fn goes(settings: &ModelSettings, object: &Object, name: &str) -> bool {
    let other_is_there = |other| settings.one_of_sampling && object.has(other);
    match name {
        "temperature" => !settings.no_temperature && !other_is_there("top_p"),
        "top_p" => !settings.no_top_p && !other_is_there("temperature"),
        _ => true,
    }
}

/// The caller's value of this member, if it goes out; if not, the person is told, unless it was what models do anyway.
pub fn taken(
    call: &Encode<'_>,
    object: &Object,
    name: &str,
    value: Option<f64>,
    notices: &mut Vec<String>,
) -> Option<f64> {
    let value = value?;
    if goes(call.settings, object, name) {
        return Some(value);
    }
    if value != 1.0 {
        notices.push(format!("the model {} refuses the {name} {value}; asked without it", call.model));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::chat::ChatRequest;
    use contract::provider::CallBody;
    use std::rc::Rc;

    #[test]
    fn what_was_refused_is_left_out_and_told() {
        let none = ModelSettings::default();
        let one = ModelSettings { one_of_sampling: true, ..none.clone() };
        let no_temperature = ModelSettings { no_temperature: true, ..one.clone() };
        let neither = ModelSettings { no_temperature: true, no_top_p: true, ..none.clone() };
        for (settings, temperature, expected, told) in [
            (&none, 0.7, r#"{"temperature":0.7,"top_p":0.5,"top_k":3}"#, vec![]),
            (
                &one,
                0.7,
                r#"{"temperature":0.7,"top_k":3}"#,
                vec!["the model m refuses the top_p 0.5; asked without it"],
            ),
            (
                &no_temperature,
                0.7,
                r#"{"top_p":0.5,"top_k":3}"#,
                vec!["the model m refuses the temperature 0.7; asked without it"],
            ),
            (&no_temperature, 1.0, r#"{"top_p":0.5,"top_k":3}"#, vec![]),
            (&neither, 1.0, r#"{"top_k":3}"#, vec!["the model m refuses the top_p 0.5; asked without it"]),
        ] {
            let body = CallBody::Request(Rc::new(ChatRequest::default()));
            let call = Encode { body: &body, model: "m", stream: false, settings };
            let (mut object, mut notices) = (Object::with_capacity(64), Vec::new());
            for (name, value) in [("temperature", temperature), ("top_p", 0.5), ("top_k", 3.0)] {
                let value = taken(&call, &object, name, Some(value), &mut notices);
                object.add_some(name, value.map(|value| serde_json::json!(value)).as_ref());
            }
            assert_eq!(String::from_utf8(object.finish()).expect("text").replace("3.0", "3"), expected);
            assert_eq!(notices, told);
        }
    }
}

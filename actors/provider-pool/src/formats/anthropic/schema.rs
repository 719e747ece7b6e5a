//! JSON schemas as the API takes them: for the form of an answer every object must say that it has no further members, and what a tool takes
//! must be an object by its `type`.
//!
//! What a schema says itself stays as it is, and so does the order of its members: models write them in that order.

use crate::formats::prompt::{Members, Object};
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;

/// Deeper than any schema of use: what lies below goes out as it is.
const DEPTH: usize = 64;

/// The schema with every object closed that does not say whether it is.
pub fn closed(schema: &RawValue) -> Cow<'_, RawValue> {
    close(schema, DEPTH).map_or(Cow::Borrowed(schema), Cow::Owned)
}

/// The schema of what a tool takes, with its `type`.
pub fn object(schema: &RawValue) -> Cow<'_, RawValue> {
    let Ok(Members(members)) = serde_json::from_str(schema.get()) else { return Cow::Borrowed(schema) };
    if members.iter().any(|(name, value)| name == "type" && value.get() != "null") {
        return Cow::Borrowed(schema);
    }
    let mut object = Object::with_capacity(schema.get().len() + 20);
    object.add("type", "object");
    for (name, value) in &members {
        object.add(name, value);
    }
    raw(object).map_or(Cow::Borrowed(schema), Cow::Owned)
}

/// `None` if there is nothing to close, or this is no schema.
fn close(schema: &RawValue, depth: usize) -> Option<Box<RawValue>> {
    let depth = depth.checked_sub(1)?;
    let Members(members) = serde_json::from_str(schema.get()).ok()?;
    let inner = |(name, value): &(String, &RawValue)| match name.as_str() {
        "properties" | "$defs" | "definitions" => close_members(value, depth),
        "items" => close(value, depth).or_else(|| close_list(value, depth)),
        "anyOf" | "allOf" | "oneOf" | "prefixItems" => close_list(value, depth),
        _ => None,
    };
    let changed: Vec<Option<Box<RawValue>>> = members.iter().map(inner).collect();
    let given = |name: &str| members.iter().find(|(known, _)| known == name).map(|(_, value)| value.get());
    let is_object = match given("type") {
        Some(kind) => kind.contains("\"object\""),
        None => given("properties").is_some(),
    };
    let closes = is_object && given("additionalProperties").is_none();
    if !closes && changed.iter().all(Option::is_none) {
        return None;
    }
    let mut object = Object::with_capacity(schema.get().len() + 64);
    for ((name, value), changed) in members.iter().zip(&changed) {
        object.add(name, changed.as_deref().unwrap_or(value));
    }
    if closes {
        object.add("additionalProperties", &false);
    }
    raw(object)
}

/// The schemas that are members of an object.
fn close_members(schemas: &RawValue, depth: usize) -> Option<Box<RawValue>> {
    let Members(members) = serde_json::from_str(schemas.get()).ok()?;
    let changed: Vec<Option<Box<RawValue>>> = members.iter().map(|(_, schema)| close(schema, depth)).collect();
    if changed.iter().all(Option::is_none) {
        return None;
    }
    let mut object = Object::with_capacity(schemas.get().len() + 64);
    for ((name, schema), changed) in members.iter().zip(&changed) {
        object.add(name, changed.as_deref().unwrap_or(schema));
    }
    raw(object)
}

/// The schemas in a list.
fn close_list(schemas: &RawValue, depth: usize) -> Option<Box<RawValue>> {
    let schemas: Vec<&RawValue> = serde_json::from_str(schemas.get()).ok()?;
    let changed: Vec<Option<Box<RawValue>>> = schemas.iter().map(|schema| close(schema, depth)).collect();
    if changed.iter().all(Option::is_none) {
        return None;
    }
    let schemas = schemas.iter().zip(&changed).map(|(schema, changed)| changed.as_deref().unwrap_or(schema));
    to_raw_value(&schemas.collect::<Vec<&RawValue>>()).ok()
}

fn raw(object: Object) -> Option<Box<RawValue>> {
    RawValue::from_string(String::from_utf8(object.finish()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    #[test]
    fn every_object_is_closed_that_does_not_say_itself() {
        for (schema, expected) in [
            (
                r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"integer"}}}"#,
                r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"integer"}},"additionalProperties":false}"#,
            ),
            (
                r#"{"properties":{"items":{"type":"array","items":{"type":["object","null"]}}},"additionalProperties":false}"#,
                r#"{"properties":{"items":{"type":"array","items":{"type":["object","null"],"additionalProperties":false}}},"additionalProperties":false}"#,
            ),
            (
                r##"{"$defs":{"a":{"type":"object"}},"anyOf":[{"$ref":"#/$defs/a"},{"type":"object","additionalProperties":true}]}"##,
                r##"{"$defs":{"a":{"type":"object","additionalProperties":false}},"anyOf":[{"$ref":"#/$defs/a"},{"type":"object","additionalProperties":true}]}"##,
            ),
            // A member may have the name of one of the schema's words, or a word may be a text of the schema.
            (
                r#"{"type":"object","properties":{"properties":{"type":"string","enum":["object"]}},"additionalProperties":false}"#,
                r#"{"type":"object","properties":{"properties":{"type":"string","enum":["object"]}},"additionalProperties":false}"#,
            ),
            (r#"{ "type": "string" }"#, r#"{ "type": "string" }"#),
            ("true", "true"),
        ] {
            assert_eq!(closed(&read(schema)).get(), expected);
        }
    }

    #[test]
    fn what_a_tool_takes_is_an_object() {
        for (schema, expected) in [
            ("{}", r#"{"type":"object"}"#),
            (r#"{"anyOf":[{}]}"#, r#"{"type":"object","anyOf":[{}]}"#),
            (r#"{"type":null,"properties":{}}"#, r#"{"type":"object","properties":{}}"#),
            (r#"{ "type" : "object" }"#, r#"{ "type" : "object" }"#),
            ("[]", "[]"),
        ] {
            assert_eq!(object(&read(schema)).get(), expected);
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = format!("{}{}{}", r#"{"type":"object","items":"#.repeat(5000), "1", "}".repeat(5000));
        let deep = read(&deep);
        let told = closed(&deep);
        assert_eq!(told.get().matches("additionalProperties").count(), DEPTH);
    }
}

//! Makes a tool's schema plain enough for every client. Pure.
//!
//! For models HAIA writes the strict form: every member required, those that may be left out nullable. Clients that turn a schema into a form or
//! into types of their own often know no union of types: for them such a member becomes an ordinary optional one, which means the same.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Deeper schemas are left as they are.
const DEPTH: usize = 16;

/// The schema as MCP clients are told it: of type object, with `properties`.
pub(crate) fn portable(schema: &RawValue) -> Value {
    let mut schema = match serde_json::from_str(schema.get()) {
        Ok(Value::Object(schema)) => schema,
        _ => Map::new(),
    };
    schema.remove("$schema");
    schema.insert("type".to_owned(), "object".into());
    if !schema.get("properties").is_some_and(Value::is_object) {
        schema.insert("properties".to_owned(), Value::Object(Map::new()));
    }
    plain_object(&mut schema, 0);
    Value::Object(schema)
}

fn plain_object(schema: &mut Map<String, Value>, depth: usize) {
    let mut optional = Vec::new();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for (name, property) in properties {
            if plain(property, depth + 1) {
                optional.push(name.clone());
            }
        }
    }
    match schema.get_mut("required") {
        Some(Value::Array(required)) => {
            required.retain(|name| name.as_str().is_some_and(|name| !optional.iter().any(|optional| optional == name)));
            if required.is_empty() {
                schema.remove("required");
            }
        }
        Some(_) => {
            schema.remove("required");
        }
        None => {}
    }
}

/// Makes one member plain; `true` if it may be null.
fn plain(schema: &mut Value, depth: usize) -> bool {
    let Value::Object(schema) = schema else { return false };
    if depth > DEPTH {
        return false;
    }
    let is_nullable = without_null(schema);
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => plain_object(schema, depth),
        Some("array") => {
            plain(schema.entry("items").or_insert_with(|| Value::Object(Map::new())), depth + 1);
        }
        _ => {}
    }
    is_nullable
}

/// Takes null out of the types and the values that a member may have; `true` if it was among them.
fn without_null(schema: &mut Map<String, Value>) -> bool {
    let Some(Value::Array(types)) = schema.get_mut("type") else { return false };
    let before = types.len();
    types.retain(|kind| kind.as_str() != Some("null"));
    let is_nullable = types.len() < before;
    let single = (types.len() == 1).then(|| types[0].clone());
    if let Some(single) = single {
        schema.insert("type".to_owned(), single);
    }
    if is_nullable && let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    is_nullable
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(schema: Value) -> Value {
        portable(&serde_json::value::to_raw_value(&schema).expect("JSON"))
    }

    #[test]
    fn nullable_members_become_optional() {
        let strict = json!({ "type": "object", "additionalProperties": false, "required": ["guest", "state", "tags"], "properties": {
            "guest": { "type": "string" },
            "state": { "type": ["string", "null"], "enum": ["running", "stopped", null] },
            "tags": { "type": ["array", "null"], "items": { "type": ["string", "null"] } },
        } });
        let plain = json!({ "type": "object", "additionalProperties": false, "required": ["guest"], "properties": {
            "guest": { "type": "string" },
            "state": { "type": "string", "enum": ["running", "stopped"] },
            "tags": { "type": "array", "items": { "type": "string" } },
        } });
        assert_eq!(of(strict), plain);
    }

    #[test]
    fn what_is_missing_is_added_and_what_is_odd_is_left_out() {
        let empty = json!({ "type": "object", "properties": {} });
        for odd in [
            json!(true),
            json!([]),
            json!({}),
            json!({ "type": "array" }),
            json!({ "$schema": "x", "required": 7, "properties": 1 }),
        ] {
            assert_eq!(of(odd.clone()), empty, "{odd}");
        }
        let inner = json!({ "type": "object", "properties": { "a": { "type": "object", "required": ["b"], "properties": { "b": { "type": ["integer", "null"] } } } } });
        let told = json!({ "type": "object", "properties": { "a": { "type": "object", "properties": { "b": { "type": "integer" } } } } });
        assert_eq!(of(inner), told);
        assert_eq!(of(json!({ "properties": { "a": { "type": "array" } } }))["properties"]["a"]["items"], json!({}));
        let union = json!({ "type": "object", "properties": { "a": { "type": ["string", "integer"] } } });
        assert_eq!(of(union.clone()), union, "a union without null stays");
    }

    #[test]
    fn an_endless_depth_is_no_matter() {
        let mut deep = json!({ "type": "array" });
        for _ in 0..60 {
            deep = json!({ "type": "array", "items": deep });
        }
        assert!(of(json!({ "properties": { "a": deep } }))["properties"]["a"]["items"].is_object());
    }
}

//! A tool's schema made fit for strict APIs: pure. The server's own schema is kept beside it, to check arguments against.
//!
//! References are filled in where they point into the same schema, and left open elsewhere: nothing is ever fetched.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The deepest nesting that is kept.
const DEPTH: usize = 16;
/// So many references within each other are filled in; beyond (also: a type that holds itself) anything is allowed.
const REFERENCES: usize = 8;
/// So many parts are looked at: references can multiply.
const PARTS: usize = 4000;

/// Members that strict APIs do not know, or that make no sense once references are filled in.
const DROPPED: &[&str] =
    &["$schema", "$id", "$defs", "definitions", "$comment", "$anchor", "$dynamicRef", "$vocabulary"];

/// A schema of type object that strict APIs take, at most `most` bytes long: descriptions go first, then the details of members.
pub(crate) fn portable(schema: &Value, most: usize) -> Value {
    let mut walk = Walk { root: schema, parts: 0 };
    let mut made = top(walk.part(schema, 0, 0));
    for simpler in [without_descriptions, only_types, open] {
        if made.to_string().len() <= most {
            break;
        }
        made = simpler(&made);
    }
    made
}

struct Walk<'a> {
    root: &'a Value,
    parts: usize,
}

impl Walk<'_> {
    fn part(&mut self, schema: &Value, depth: usize, references: usize) -> Value {
        self.parts += 1;
        let Some(schema) = schema.as_object() else { return json!({}) };
        if depth > DEPTH || self.parts > PARTS {
            return json!({});
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            let mut filled = match target {
                Some(target) if references < REFERENCES => self.part(target, depth, references + 1),
                _ => json!({}),
            };
            // What stands beside a reference adds to it.
            if let (Some(filled), Some(said)) = (filled.as_object_mut(), schema.get("description")) {
                filled.insert("description".to_owned(), said.clone());
            }
            return filled;
        }
        let mut made = Map::new();
        for (key, value) in schema.iter().filter(|(key, _)| !DROPPED.contains(&key.as_str())) {
            let value = match key.as_str() {
                "properties" | "patternProperties" | "dependentSchemas" => match value.as_object() {
                    Some(members) => members
                        .iter()
                        .map(|(name, member)| (name.clone(), self.part(member, depth + 1, references)))
                        .collect::<Map<_, _>>()
                        .into(),
                    None => continue,
                },
                "anyOf" | "oneOf" | "allOf" | "prefixItems" => match value.as_array() {
                    Some(parts) if !parts.is_empty() => {
                        parts.iter().map(|part| self.part(part, depth + 1, references)).collect::<Vec<_>>().into()
                    }
                    _ => continue,
                },
                "items" | "contains" | "not" | "if" | "then" | "else" | "propertyNames" => match value {
                    // A list of schemas, as old drafts have it: any of them.
                    Value::Array(parts) => {
                        json!({"anyOf": parts.iter().map(|part| self.part(part, depth + 1, references)).collect::<Vec<_>>()})
                    }
                    part => self.part(part, depth + 1, references),
                },
                "additionalProperties" | "unevaluatedProperties" => match value {
                    Value::Bool(_) => value.clone(),
                    part => self.part(part, depth + 1, references),
                },
                "required" => names(value),
                "description" | "title" => match value.as_str() {
                    Some(text) => super::text::clean(text, 1024).into(),
                    None => continue,
                },
                _ => value.clone(),
            };
            made.insert(key.clone(), value);
        }
        if made.get("type").is_some_and(|kind| kind == "array") && !made.contains_key("items") {
            made.insert("items".to_owned(), json!({}));
        }
        made.into()
    }
}

fn names(value: &Value) -> Value {
    let names: BTreeSet<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    json!(names)
}

/// The outermost schema: an object with members; strict APIs take no choice there.
fn top(schema: Value) -> Value {
    let mut schema = match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    };
    let mut members = match schema.remove("properties") {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let mut required: BTreeSet<String> = strings(schema.get("required")).collect();
    for choice in ["anyOf", "oneOf", "allOf"] {
        for branch in schema.remove(choice).as_ref().and_then(Value::as_array).into_iter().flatten() {
            for (name, member) in branch.get("properties").and_then(Value::as_object).into_iter().flatten() {
                members.entry(name.clone()).or_insert_with(|| member.clone());
            }
            if choice == "allOf" {
                required.extend(strings(branch.get("required")));
            }
        }
    }
    for key in ["not", "if", "then", "else", "enum", "const"] {
        schema.remove(key);
    }
    required.retain(|name| members.contains_key(name));
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("required".to_owned(), json!(required));
    schema.insert("properties".to_owned(), Value::Object(members));
    schema.into()
}

fn strings(value: Option<&Value>) -> impl Iterator<Item = String> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned)
}

fn without_descriptions(schema: &Value) -> Value {
    fn strip(value: &mut Value, is_member_list: bool) {
        match value {
            Value::Object(map) => {
                if !is_member_list {
                    for key in ["description", "title", "examples", "default"] {
                        map.remove(key);
                    }
                }
                for (key, value) in map.iter_mut() {
                    strip(value, !is_member_list && key == "properties");
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| strip(value, false)),
            _ => {}
        }
    }
    let mut schema = schema.clone();
    strip(&mut schema, false);
    schema
}

fn only_types(schema: &Value) -> Value {
    let members = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let members: Map<String, Value> = members
        .map(|(name, member)| {
            let kind = member.get("type").filter(|kind| **kind != "array");
            (name.clone(), kind.map_or_else(|| json!({}), |kind| json!({"type": kind})))
        })
        .collect();
    json!({"type": "object", "properties": members, "required": schema.get("required").unwrap_or(&json!([]))})
}

fn open(_: &Value) -> Value {
    json!({"type": "object", "properties": {}, "required": []})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_references_and_drops_what_strict_apis_refuse() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "where": {"$ref": "#/$defs/place", "description": "where"},
                "tags": {"type": "array"},
                "pair": {"type": "array", "items": [{"type": "string"}, {"type": "number"}]},
                "remote": {"$ref": "https://evil.example/schema.json"},
                "flag": true,
            },
            "required": ["where", "nowhere", 7],
            "$defs": {"place": {"type": "object", "properties": {"x": {"type": "number"}}, "$comment": "c"}},
        });
        assert_eq!(
            portable(&schema, 10_000),
            json!({
                "type": "object",
                "properties": {
                    "where": {"type": "object", "properties": {"x": {"type": "number"}}, "description": "where"},
                    "tags": {"type": "array", "items": {}},
                    "pair": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}},
                    "remote": {},
                    "flag": {},
                },
                "required": ["where"],
            })
        );
    }

    #[test]
    fn the_outermost_is_always_an_object() {
        for schema in
            [json!(null), json!(true), json!([]), json!({}), json!({"type": "string"}), json!({"properties": 7})]
        {
            assert_eq!(
                portable(&schema, 1000),
                json!({"type": "object", "properties": {}, "required": []}),
                "{schema}"
            );
        }
        let choice =
            json!({"anyOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"properties": {"b": {}}}]});
        assert_eq!(
            portable(&choice, 1000),
            json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": []})
        );
        let both = json!({"allOf": [{"properties": {"a": {}}, "required": ["a"]}]});
        assert_eq!(portable(&both, 1000)["required"], json!(["a"]));
    }

    #[test]
    fn what_holds_itself_comes_to_an_end() {
        let tree = json!({
            "type": "object",
            "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "also": {"$ref": "#/properties/also"}},
        });
        let made = portable(&tree, 16 << 10);
        assert_eq!(made["type"], "object");
        assert!(made.to_string().len() <= 16 << 10 && !made.to_string().contains("$ref"), "{made}");
    }

    #[test]
    fn too_large_a_schema_loses_its_details_first() {
        let member = json!({"type": "string", "description": "d".repeat(500), "enum": ["e".repeat(200)]});
        let members: Map<String, Value> = (0..10).map(|at| (format!("m{at}"), member.clone())).collect();
        let schema = json!({"type": "object", "properties": members, "required": ["m0"]});
        let shorter = portable(&schema, 4000);
        assert!(
            shorter["properties"]["m0"].get("description").is_none() && shorter["properties"]["m0"]["enum"].is_array()
        );
        let shortest = portable(&schema, 500);
        assert_eq!(shortest["properties"]["m0"], json!({"type": "string"}));
        assert_eq!(shortest["required"], json!(["m0"]));
        assert_eq!(portable(&schema, 60)["properties"], json!({}));
        // A member that is called like a keyword is none.
        let named =
            json!({"type": "object", "properties": {"description": {"type": "string", "description": "x".repeat(99)}}});
        assert_eq!(portable(&named, 100)["properties"]["description"], json!({"type": "string"}));
    }

    #[test]
    fn texts_inside_are_cleaned() {
        let schema = json!({"properties": {"a": {"description": "do\u{200b}\u{e0041} it"}}});
        assert_eq!(portable(&schema, 1000)["properties"]["a"]["description"], "do it");
    }

    proptest::proptest! {
        #[test]
        fn any_value_gives_an_object_within_its_bound(text in "[\\[\\]{}\",:a-c0-2$#/]{0,60}") {
            let schema = serde_json::from_str(&text).unwrap_or(Value::Null);
            let made = portable(&schema, 400);
            proptest::prop_assert!(made["type"] == "object" && made["properties"].is_object() && made["required"].is_array());
            proptest::prop_assert!(made.to_string().len() <= 400);
        }
    }
}

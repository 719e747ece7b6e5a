//! Checks a call's arguments against the tool's own schema, for what models get wrong: missing and unknown members, wrong types, values
//! outside a list. Pure. What it does not understand it lets pass: the server has the last word.

use super::text::{clean_line, shorten};
use serde_json::Value;

const DEPTH: usize = 12;

/// What is wrong with the arguments, as a sentence for the model; `None`: nothing that can be seen from here.
pub(crate) fn problem(schema: &Value, arguments: &Value) -> Option<String> {
    Check { root: schema }.value(schema, arguments, "", 0)
}

/// Leaves out members that are null where they may be left out and may not be null: models that must name every member write those that they do
/// not mean so.
pub(crate) fn leave_out_nulls(schema: &Value, arguments: &mut Value) {
    let Some(members) = arguments.as_object_mut() else { return };
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let is_null_wrong = |name: &str| {
        let own = schema.get("properties").and_then(|properties| properties.get(name));
        !required.contains(&name) && own.is_some_and(|own| problem(own, &Value::Null).is_some())
    };
    members.retain(|name, value| !value.is_null() || !is_null_wrong(name));
}

struct Check<'a> {
    root: &'a Value,
}

impl Check<'_> {
    fn value(&self, schema: &Value, value: &Value, path: &str, depth: usize) -> Option<String> {
        let map = schema.as_object()?;
        if depth > DEPTH {
            return None;
        }
        if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
            let target = self.root.pointer(reference.strip_prefix('#')?)?;
            return self.value(target, value, path, depth + 1);
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(branches) = map.get(choice).and_then(Value::as_array)
                && !branches.is_empty()
            {
                let problems: Option<Vec<String>> =
                    branches.iter().map(|branch| self.value(branch, value, path, depth + 1)).collect();
                if let Some(problems) = problems {
                    return Some(shorten(&problems.join("; or "), 400));
                }
            }
        }
        for branch in map.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            if let Some(problem) = self.value(branch, value, path, depth + 1) {
                return Some(problem);
            }
        }
        if let Some(kinds) = kinds(map.get("type"))
            && !kinds.iter().any(|kind| is_of(value, kind))
        {
            return Some(format!("{} must be {}, not {}", place(path), kinds.join(" or "), kind_of(value)));
        }
        if let Some(allowed) = map.get("enum").and_then(Value::as_array)
            && !allowed.contains(value)
        {
            let allowed: Vec<String> = allowed.iter().take(12).map(|one| clean_line(&one.to_string(), 40)).collect();
            return Some(format!("{} must be one of {}", place(path), allowed.join(", ")));
        }
        if let Some(only) = map.get("const").filter(|only| *only != value) {
            return Some(format!("{} must be {}", place(path), clean_line(&only.to_string(), 60)));
        }
        match value {
            Value::Object(members) => self.members(map, members, path, depth),
            Value::Array(items) => {
                let schema = map.get("items")?;
                let at_most = items.iter().take(256).enumerate();
                at_most
                    .map(|(at, item)| (format!("{path}[{at}]"), item))
                    .find_map(|(path, item)| self.value(schema, item, &path, depth + 1))
            }
            _ => None,
        }
    }

    fn members(
        &self,
        schema: &serde_json::Map<String, Value>,
        members: &serde_json::Map<String, Value>,
        path: &str,
        depth: usize,
    ) -> Option<String> {
        let empty = serde_json::Map::new();
        let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        if let Some(missing) = required.into_iter().find(|name| !members.contains_key(*name)) {
            return Some(format!("{}: the member {:?} is missing", place(path), clean_line(missing, 60)));
        }
        let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false))
            && !["patternProperties", "allOf", "anyOf", "oneOf", "$ref"].iter().any(|key| schema.contains_key(*key));
        for (name, member) in members {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match known.get(name) {
                Some(schema) => {
                    if let Some(problem) = self.value(schema, member, &path, depth + 1) {
                        return Some(problem);
                    }
                }
                None if is_closed => {
                    let names: Vec<&str> = known.keys().map(String::as_str).take(24).collect();
                    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                    return Some(format!(
                        "there is no member {:?}; known: {}",
                        clean_line(&path, 60),
                        clean_line(&names, 400)
                    ));
                }
                None => {}
            }
        }
        None
    }
}

fn place(path: &str) -> String {
    if path.is_empty() { "the arguments".to_owned() } else { format!("{:?}", clean_line(path, 80)) }
}

/// The types a schema names, where it names any that are known.
fn kinds(value: Option<&Value>) -> Option<Vec<&str>> {
    let known = |kind: &&str| ["string", "number", "integer", "boolean", "object", "array", "null"].contains(kind);
    match value? {
        Value::String(kind) => Some(vec![kind.as_str()]).filter(|kinds| kinds.iter().all(known)),
        Value::Array(kinds) => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
            (!kinds.is_empty() && kinds.iter().all(known)).then_some(kinds)
        }
        _ => None,
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match (kind, value) {
        ("integer", Value::Number(number)) => number.as_f64().is_some_and(|number| number.fract() == 0.0),
        ("number", Value::Number(_)) => true,
        _ => kind == kind_of(value),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn says_what_is_wrong_and_lets_the_rest_pass() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "count": {"type": "integer"},
                "mode": {"enum": ["a", "b"]},
                "list": {"type": "array", "items": {"$ref": "#/$defs/item"}},
                "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "odd": {"type": "uuid", "format": "x"},
            },
            "required": ["name"],
            "additionalProperties": false,
            "$defs": {"item": {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}},
        });
        for (arguments, said) in [
            (json!({}), Some("the arguments: the member \"name\" is missing")),
            (json!({"name": 7}), Some("\"name\" must be string, not number")),
            (json!({"name": "n", "count": 1.5}), Some("\"count\" must be integer, not number")),
            (json!({"name": "n", "count": 2.0}), None),
            (json!({"name": "n", "mode": "c"}), Some("\"mode\" must be one of \"a\", \"b\"")),
            (json!({"name": "n", "nmae": 1}), Some("there is no member \"nmae\"; known: count, either")),
            (json!({"name": "n", "list": [{"x": 1}, {}]}), Some("\"list[1]\": the member \"x\" is missing")),
            (json!({"name": "n", "either": 1}), Some("\"either\" must be string")),
            (json!({"name": "n", "either": null, "odd": 4}), None),
        ] {
            match (problem(&schema, &arguments), said) {
                (None, None) => {}
                (Some(found), Some(part)) => assert!(found.contains(part), "{arguments}: {found}"),
                (found, _) => panic!("{arguments}: {found:?}"),
            }
        }
    }

    #[test]
    fn nulls_that_mean_nothing_are_left_out() {
        let schema = json!({
            "type": "object",
            "properties": {"a": {"type": "string"}, "b": {"type": ["string", "null"]}, "c": {"type": "string"}, "d": {}},
            "required": ["c"],
        });
        let mut arguments = json!({"a": null, "b": null, "c": null, "d": null, "e": null});
        leave_out_nulls(&schema, &mut arguments);
        assert_eq!(arguments, json!({"b": null, "c": null, "d": null, "e": null}));
    }

    #[test]
    fn schemas_that_say_nothing_or_nonsense_let_everything_pass() {
        for schema in [
            json!(true),
            json!({}),
            json!({"type": 7}),
            json!({"$ref": "#/nowhere"}),
            json!({"$ref": "#"}),
            json!({"$ref": "http://x"}),
        ] {
            assert_eq!(problem(&schema, &json!({"a": [1, {"b": null}]})), None, "{schema}");
        }
    }
}

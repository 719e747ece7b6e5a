//! `GET /openapi.json`: every route described, made from the same table that the router is made from.

use super::{About, Endpoint, Verb, endpoints};
use crate::answers;
use contract::caller::Scope;
use serde_json::{Map, Value, json};

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Verb::Get,
    path: "/openapi.json",
    scope: Some(Scope::Read),
    starts_work: false,
    handler: |_| Box::pin(async { answers::json(&document()) }),
    about: About {
        summary: "This description",
        parameters: &[],
        takes: None,
        gives: ("application/json", Some("Object")),
        status: 200,
    },
}];

/// The schemas of bodies that are forms, not JSON.
const FORMS: [&str; 1] = ["TranscriptionForm"];

/// The whole document.
fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in endpoints() {
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.as_str().to_ascii_lowercase()] = operation(endpoint);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "HAIA",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The assistant of a homelab. Every answer carries x-request-id; every error has OpenAI's shape.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
            "schemas": super::schemas::all(),
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let about = &endpoint.about;
    let scope = endpoint.scope.map_or("none: no key is needed", Scope::as_str);
    let (kind, schema) = about.gives;
    let content = match schema {
        Some(schema) => json!({ kind: { "schema": reference(schema) } }),
        None => json!({ kind: { "schema": { "type": "string" } } }),
    };
    let parameters: Vec<Value> = about
        .parameters
        .iter()
        .map(|(place, name, what)| {
            json!({
                "in": place, "name": name, "description": what, "required": *place == "path", "schema": { "type": "string" },
            })
        })
        .collect();
    let mut operation = json!({
        "summary": about.summary,
        "description": format!("Scope: {scope}."),
        "parameters": parameters,
        "responses": {
            about.status.to_string(): { "description": "Done", "content": content },
            "default": {
                "description": "Refused or failed",
                "content": { "application/json": { "schema": reference("Error") } },
            },
        },
        "security": if endpoint.scope.is_some() { json!([{ "key": [] }]) } else { json!([]) },
    });
    if let Some(schema) = about.takes {
        let kind = if FORMS.contains(&schema) { "multipart/form-data" } else { "application/json" };
        operation["requestBody"] = json!({ "required": true, "content": { kind: { "schema": reference(schema) } } });
    }
    operation
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described() {
        let document = document();
        let mut described: Vec<String> = Vec::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{method} {path}");
                described.push(format!(
                    "{} {path}: {}",
                    method.to_uppercase(),
                    operation["description"].as_str().unwrap_or("")
                ));
            }
        }
        assert_eq!(described.len(), endpoints().count(), "no two endpoints share method and path");
        described.sort();
        insta::assert_snapshot!(described.join("\n"));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        let schemas = document["components"]["schemas"].as_object().expect("schemas");
        let mut found = 0;
        for part in text.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap_or_default();
            assert!(schemas.contains_key(name), "{name}");
            found += 1;
        }
        assert!(found > endpoints().count());
        for name in schemas.keys() {
            assert!(text.contains(&format!("#/components/schemas/{name}\"")), "{name} is used nowhere");
        }
    }

    #[test]
    fn path_parameters_are_those_of_the_path() {
        for endpoint in endpoints() {
            let named: Vec<&str> = endpoint.path.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
            let described: Vec<&str> = endpoint
                .about
                .parameters
                .iter()
                .filter(|(place, ..)| *place == "path")
                .map(|(_, name, _)| *name)
                .collect();
            assert_eq!(named, described, "{}", endpoint.path);
        }
    }
}

//! The API's description, made from the table of routes.

use std::sync::OnceLock;

use axum::body::Bytes;
use axum::response::Response;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::answer::typed;
use super::routes::{Answer, Route, routes};
use crate::wire::problem::ApiProblem;

/// `GET /api/openapi.json`
pub async fn show() -> Response {
    static TEXT: OnceLock<Bytes> = OnceLock::new();
    let text = TEXT.get_or_init(|| document(&routes()).to_string().into());
    typed("application/json", text.clone())
}

fn document(routes: &[Route]) -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for route in routes {
        let operation = operation(route, &mut schemas);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "claude-proxy admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "With web_admin.auth_token every path below /api but /api/login, and /metrics, needs \
                            `Authorization: Bearer TOKEN` or the cookie that a login sets.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer" },
                "session": { "type": "apiKey", "in": "cookie", "name": super::login::COOKIE },
            },
        },
        "security": [{}, { "token": [] }, { "session": [] }],
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let content = match route.answer {
        Answer::Json(schema) => json!({ "application/json": { "schema": schema(schemas) } }),
        Answer::Events(schema) => json!({ "text/event-stream": { "schema": schema(schemas) } }),
        Answer::Text(content_type) => json!({ content_type: {} }),
    };
    let problem = schemas.subschema_for::<ApiProblem>();
    let mut operation = json!({
        "summary": route.summary,
        "operationId": operation_id(route),
        "parameters": parameters(route, schemas),
        "responses": {
            route.status.as_str(): { "description": "Done.", "content": content },
            "default": {
                "description": "Why it was not done.",
                "content": { "application/json": { "schema": problem } },
            },
        },
    });
    if let Some(body) = route.body {
        let content = json!({ "application/json": { "schema": (body.schema)(schemas) } });
        operation["requestBody"] = json!({ "required": body.required, "content": content });
    }
    operation
}

/// `post_api_endpoints_name_test`
fn operation_id(route: &Route) -> String {
    let words = route.path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(route.method.as_str().to_lowercase(), |id, word| id + "_" + word)
}

fn parameters(route: &Route, schemas: &mut SchemaGenerator) -> Vec<Value> {
    let named = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path =
        named.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }));
    let mut all: Vec<_> = in_path.collect();
    let query = route.query.map(|schema| schema(schemas));
    let members = query.as_ref().and_then(Schema::as_object).and_then(|schema| schema.get("properties")?.as_object());
    for (name, schema) in members.into_iter().flatten() {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut parameter = json!({ "name": name, "in": "query", "schema": present(schema) });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        all.push(parameter);
    }
    all
}

/// A parameter may be left out, but there is no `null` in a query.
fn present(mut schema: Value) -> Value {
    if let Some(members) = schema.as_object_mut() {
        members.retain(|name, value| !(name == "default" && value.is_null()));
        if let Some(Value::Array(kinds)) = members.get_mut("type") {
            kinds.retain(|kind| kind != "null");
            if let [kind] = kinds.as_slice() {
                members["type"] = kind.clone();
            }
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every `$ref` in the document.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
        let routes = routes();
        let document = document(&routes);
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 10, "{found:?}");
        for reference in found {
            assert!(document.pointer(&reference[1..]).is_some(), "{reference} is not there");
        }
        let ids: BTreeSet<_> = routes.iter().map(operation_id).collect();
        assert_eq!(ids.len(), routes.len());
    }

    #[test]
    fn the_parameters_of_a_query_are_described() {
        let document = document(&routes());
        let parameters = document["paths"]["/api/logs"]["get"]["parameters"].as_array().unwrap();
        let names: Vec<_> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        for name in ["limit", "before", "endpoint", "status", "model", "session", "from", "to", "q"] {
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
        assert!(parameters.iter().all(|parameter| parameter["description"].is_string()), "{parameters:?}");
        assert!(
            parameters.iter().all(|parameter| parameter["schema"] == json!({ "type": "string" })),
            "{parameters:?}"
        );
    }
}

//! The file's JSON schema, for editors.

use serde_json::Value;

use super::file::FileConfig;

/// Descriptions are the doc comments of the file's types.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(FileConfig).to_value();
    forbid_null(&mut schema);
    schema
}

/// An optional key may be absent, but a key without a value is an error.
fn forbid_null(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("default").is_some_and(Value::is_null) {
                map.remove("default");
            }
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    map.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = map.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
            }
            map.values_mut().for_each(forbid_null);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_null),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::mask;

    fn keys(value: &Value, found: &mut BTreeSet<String>) {
        if let Some(properties) = value.get("properties").and_then(|p| p.as_object()) {
            found.extend(properties.keys().cloned());
        }
        let inner: Vec<_> = match value {
            Value::Object(map) => map.values().collect(),
            Value::Array(items) => items.iter().collect(),
            _ => Vec::new(),
        };
        for value in inner {
            keys(value, found);
        }
    }

    #[test]
    fn the_keys_that_errors_may_show_are_those_of_the_file() {
        let mut found = BTreeSet::new();
        keys(&schema(), &mut found);
        assert_eq!(found, mask::known_keys().map(str::to_owned).collect());
    }

    #[test]
    fn null_is_no_value_and_endpoints_must_be_whole() {
        let schema = schema();
        assert!(!schema.to_string().contains("null"), "{schema:#}");
        assert_eq!(schema["required"], serde_json::json!(["endpoints"]));
        assert_eq!(schema["$defs"]["FileEndpoint"]["required"], serde_json::json!(["name", "url", "auth_type"]));
        assert_eq!(schema["$defs"]["FileServer"]["properties"]["port"]["default"], 8080);
        let failures = &schema["$defs"]["FileHealth"]["properties"]["min_failures"];
        assert_eq!(failures["minimum"], 1);
    }

    #[test]
    fn every_key_is_described() {
        fn check(value: &Value) {
            if let Some(properties) = value.get("properties").and_then(|p| p.as_object()) {
                for (key, property) in properties {
                    assert!(property.get("description").is_some(), "{key}: {property}");
                }
            }
            if let Some(map) = value.as_object() {
                map.values().for_each(check);
            }
        }
        check(&schema());
    }
}

//! The file's JSON schema, for editors.

use super::file::FileConfig;

/// Descriptions are the doc comments of the file's types.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(FileConfig).to_value()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::mask;

    fn keys(value: &serde_json::Value, found: &mut BTreeSet<String>) {
        if let Some(properties) = value.get("properties").and_then(|p| p.as_object()) {
            found.extend(properties.keys().cloned());
        }
        let inner: Vec<_> = match value {
            serde_json::Value::Object(map) => map.values().collect(),
            serde_json::Value::Array(items) => items.iter().collect(),
            _ => Vec::new(),
        };
        inner.into_iter().for_each(|value| keys(value, found));
    }

    #[test]
    fn the_keys_that_errors_may_show_are_those_of_the_file() {
        let mut found = BTreeSet::new();
        keys(&schema(), &mut found);
        assert_eq!(found, mask::known_keys().map(str::to_owned).collect());
    }

    #[test]
    fn every_key_is_described() {
        fn check(value: &serde_json::Value) {
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

//! What needs no kernel: plans and refused configurations, compared with files of
//! `testdata/bridge/`. Another file there is another case.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod invalid;
mod plan;

use std::fs;

use serde_json::Value;
use testsupport::golden;

/// Every `<folder>/<fact>.json`, with its fact.
fn cases(folder: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(golden::path(folder)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(fact) = name.strip_suffix(".json") else { continue };
        let text = golden::read(&format!("{folder}/{name}"));
        let case = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        found.push((fact.to_owned(), case));
    }
    assert!(!found.is_empty(), "{folder} is empty");
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}

/// A whole configuration of the given keys.
fn config(keys: &Value) -> Value {
    let mut config = serde_json::json!({"cniVersion": "1.1.0", "name": "net", "type": "bridge"});
    for (key, value) in keys.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

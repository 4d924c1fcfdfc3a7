//! A chained plugin's result: that of the plugin before it, with its own changes.

use serde_json::{Map, Value};

use crate::check::{CHAINED, Check};
use crate::checks::result::{list, text};
use crate::reply::{Finding, Verdict, not_run, require};
use crate::spec::Levels;
use crate::stage::Stage;

pub(crate) const CHECKS: [Check; 2] = [
    Check {
        name: "chained-result-has-all-of-prevresult",
        section: "5 ADD Success",
        levels: Levels::SHOULD_THEN_MUST,
        roles: CHAINED,
        run: has_all,
    },
    Check {
        name: "chained-result-is-prevresult-but-for-its-own-changes",
        section: "5 ADD Success",
        levels: Levels::SHOULD_THEN_MUST,
        roles: CHAINED,
        run: is_unchanged,
    },
];

/// What was handed to it, and what it answered.
fn both(stage: &Stage<'_>) -> Result<[Map<String, Value>; 2], Finding> {
    let attached = stage.attached()?;
    match attached.subject.attached_by_bridge(stage.spec) {
        Value::Object(given) => Ok([given, attached.result]),
        _ => not_run("no prevResult"),
    }
}

fn has_all(stage: &Stage<'_>) -> Verdict {
    let [given, result] = both(stage)?;
    for key in ["ips", "routes", "interfaces"] {
        // By what stays when a plugin changes a value.
        let name = |value: &Value| match key {
            "ips" => text(value, "address").to_owned(),
            "routes" => text(value, "dst").to_owned(),
            _ => text(value, "name").to_owned(),
        };
        let there: Vec<String> = list(&result, key).iter().map(name).collect();
        for one in list(&given, key) {
            let is_there = there.contains(&name(one));
            require(is_there, || format!("{key} of prevResult, not of the result: {one}"))?;
        }
    }
    let is_there = result.get("dns").is_some();
    require(is_there, || "dns of prevResult is not in the result".to_owned())
}

fn is_unchanged(stage: &Stage<'_>) -> Verdict {
    let [given, result] = both(stage)?;
    for (key, value) in &given {
        let may_change = stage.plugin.configuration.changes.contains(key);
        // A key that is gone is another check's; the version, too.
        let Some(said) = result.get(key).filter(|_| !may_change && key != "cniVersion") else {
            continue;
        };
        let (said, value) = (without_empty(said), without_empty(value));
        require(said == value, || format!("{key} was {value}, is {said}"))?;
    }
    Ok(())
}

/// A value without what says nothing: plugins write empty texts and lists, or do not.
fn without_empty(value: &Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    };
    match value {
        Value::Array(list) => list.iter().map(without_empty).collect(),
        Value::Object(object) => {
            let kept = object.iter().map(|(key, one)| (key.clone(), without_empty(one)));
            kept.filter(|(_, one)| !is_empty(one)).collect()
        }
        other => other.clone(),
    }
}

//! A report as JSON: `version` counts up when a key goes or means something else.

use serde_json::{Value, json};

use super::{Outcome, Report};
use crate::spec::Level;

pub(super) fn text(report: &Report) -> String {
    let plugins = report.plugins.iter().map(|plugin| {
        json!({
            "name": plugin.name,
            "role": plugin.role.text(),
            "about": plugin.about,
            "supportedVersions": plugin.versions,
            "checks": plugin.outcomes.iter().map(outcome).collect::<Value>(),
        })
    });
    let not_run = report.not_run.iter().map(|(name, why)| json!({"name": name, "reason": why}));
    let count = |level| report.failures(level);
    let value = json!({
        "version": 1,
        "folder": report.folder.display().to_string(),
        "kernel": report.kernel,
        "user": if report.is_root { "root" } else { "ordinary" },
        "plugins": plugins.collect::<Value>(),
        "notRun": not_run.collect::<Value>(),
        "runtimes": report.runtimes.iter().map(outcome).collect::<Value>(),
        "failed": {"must": count(Level::Must), "should": count(Level::Should),
            "habit": count(Level::Habit)},
    });
    format!("{value:#}\n")
}

fn outcome(outcome: &Outcome) -> Value {
    json!({
        "name": outcome.name,
        "section": outcome.section,
        "spec": outcome.spec.text(),
        "level": outcome.level.to_string(),
        "outcome": outcome.word(),
        "message": outcome.message(),
        "milliseconds": u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
    })
}

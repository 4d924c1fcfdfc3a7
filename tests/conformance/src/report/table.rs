//! A report as a table for a person: a line for each plugin and version, then what did not pass, and why.

use std::collections::BTreeMap;

use super::{Outcome, Report};
use crate::reply::Finding;
use crate::spec::{Level, Spec};

pub(super) fn text(report: &Report) -> String {
    let user = if report.is_root { "root" } else { "an ordinary user" };
    let mut lines = vec![
        format!("{}, as {user}, Linux {}", report.folder.display(), report.kernel),
        String::new(),
        format!("{:<14}{:<7}{:>8}{:>8}{:>8}{:>9}", "", "", "passed", "MUST", "SHOULD", "not run"),
    ];
    for plugin in &report.plugins {
        for spec in Spec::ALL {
            let of_spec = plugin.outcomes.iter().filter(|one| one.spec == spec);
            let outcomes: Vec<&Outcome> = of_spec.collect();
            if !outcomes.is_empty() {
                lines.push(counted(&plugin.name, spec.text(), &outcomes));
            }
        }
    }
    if !report.runtimes.is_empty() {
        let outcomes: Vec<&Outcome> = report.runtimes.iter().collect();
        lines.push(counted("runtimes", "", &outcomes));
    }
    lines.extend(broken(report));
    lines.extend(unknown(report));
    lines.push(String::new());
    lines.push(summary(report));
    lines.push(String::new());
    lines.join("\n")
}

fn counted(name: &str, spec: &str, outcomes: &[&Outcome]) -> String {
    let count = |is: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|one| is(one)).count();
    let passed = count(&|one| one.verdict.is_ok());
    let must = count(&|one| one.is_failed() && one.level == Level::Must);
    let other = count(&|one| one.is_failed() && one.level != Level::Must);
    let not_run = count(&|one| matches!(one.verdict, Err(Finding::NotRun(_))));
    format!("{name:<14}{spec:<7}{passed:>8}{must:>8}{other:>8}{not_run:>9}")
}

/// What is broken: a rule once for each plugin, with the versions in which it is.
fn broken(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for level in [Level::Must, Level::Should, Level::Habit] {
        let broken = report.outcomes().filter(|(_, one)| one.is_failed() && one.level == level);
        let mut found: BTreeMap<(&str, &str), Vec<&Outcome>> = BTreeMap::new();
        for (plugin, outcome) in broken {
            found.entry((plugin, &outcome.name)).or_default().push(outcome);
        }
        if found.is_empty() {
            continue;
        }
        lines.extend([String::new(), format!("{level}, not so:")]);
        for ((plugin, name), outcomes) in found {
            let specs: Vec<&str> = outcomes.iter().map(|one| one.spec.text()).collect();
            let (specs, first) = (specs.join(" "), outcomes[0]);
            lines.push(format!("  {plugin}: {name} ({}; {specs})", first.section));
            lines.push(format!("      {}", first.message()));
        }
    }
    lines
}

/// What could not be looked at: a reason once, with all that it holds for.
fn unknown(report: &Report) -> Vec<String> {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (plugin, one) in report.outcomes() {
        if let Err(Finding::NotRun(why)) = &one.verdict {
            let what = format!("{plugin}: {}", one.name);
            let all = reasons.entry(why).or_default();
            if !all.contains(&what) {
                all.push(what);
            }
        }
    }
    for (name, why) in &report.not_run {
        reasons.entry(why).or_default().push(name.clone());
    }
    let mut lines = Vec::new();
    if !reasons.is_empty() {
        lines.extend([String::new(), "Not run:".to_owned()]);
    }
    for (why, all) in reasons {
        lines.push(format!("  {why}"));
        let (some, more) = (all.iter().take(6).cloned().collect::<Vec<_>>(), all.len());
        let rest = if more > 6 { format!(", and {} more", more - 6) } else { String::new() };
        lines.push(format!("      {}{rest}", some.join(", ")));
    }
    lines
}

fn summary(report: &Report) -> String {
    let (total, passed) = report.outcomes().fold((0, 0), |(all, passed), (_, one)| {
        (all + 1, passed + usize::from(one.verdict.is_ok()))
    });
    let [must, should, habit] =
        [Level::Must, Level::Should, Level::Habit].map(|level| report.failures(level));
    format!(
        "{total} checks: {passed} passed; broken are {must} MUST, {should} SHOULD, {habit} habits of \
         runtimes; {} not run",
        total - passed - must - should - habit
    )
}

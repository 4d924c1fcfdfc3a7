//! A report as JUnit XML: what must hold and does not is a failure; all else that did not pass is skipped,
//! with the reason.

use std::fmt::Write;

use super::{Outcome, Report};
use crate::reply::Finding;
use crate::spec::Level;

pub(super) fn text(report: &Report) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for plugin in &report.plugins {
        suite(&mut text, &plugin.name, &plugin.outcomes);
    }
    if !report.runtimes.is_empty() {
        suite(&mut text, "runtimes", &report.runtimes);
    }
    for (name, why) in &report.not_run {
        let (name, why) = (escaped(name), escaped(why));
        text.push_str(&format!(
            "  <testsuite name=\"{name}\" tests=\"1\" failures=\"0\" skipped=\"1\">\n    <testcase \
             classname=\"{name}\" name=\"all\"><skipped message=\"{why}\"/></testcase>\n  \
             </testsuite>\n"
        ));
    }
    text.push_str("</testsuites>\n");
    text
}

fn is_failure(outcome: &Outcome) -> bool {
    outcome.level == Level::Must && outcome.is_failed()
}

fn suite(text: &mut String, name: &str, outcomes: &[Outcome]) {
    let failures = outcomes.iter().filter(|one| is_failure(one)).count();
    let passed = outcomes.iter().filter(|one| one.verdict.is_ok()).count();
    let (tests, skipped) = (outcomes.len(), outcomes.len() - failures - passed);
    let name = escaped(name);
    let mut line = |line: String| writeln!(text, "{line}").unwrap_or_default();
    line(format!(
        "  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\">"
    ));
    for one in outcomes {
        let (case, message) = (escaped(&format!("{} {}", one.spec, one.name)), one.message());
        let message = escaped(&format!("{}, {}: {message}", one.level, one.section));
        let inner = match &one.verdict {
            Ok(()) => String::new(),
            Err(_) if is_failure(one) => format!("<failure message=\"{message}\"/>"),
            Err(Finding::Failed(_)) => format!("<skipped message=\"not so: {message}\"/>"),
            Err(Finding::NotRun(_)) => format!("<skipped message=\"not run: {message}\"/>"),
        };
        let seconds = one.took.as_secs_f64();
        line(format!(
            "    <testcase classname=\"{name}\" name=\"{case}\" time=\"{seconds:.3}\">{inner}</testcase>"
        ));
    }
    line("  </testsuite>".to_owned());
}

/// A text as the value of an attribute; what XML can't have at all becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_have_is_written_otherwise() {
        assert_eq!(escaped("<a b=\"&\">\n\u{1b}é"), "&lt;a b=&quot;&amp;&quot;&gt; \u{fffd}é");
    }
}

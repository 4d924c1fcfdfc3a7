//! Calls and their durations, from the ends of the logs that the network lists name. A log is rotated, so these
//! are numbers of the last calls, and no counters.

use std::collections::BTreeMap;
use std::fmt;

use cni_common::Result;
use cni_common::log::Line;

use super::Text;
use crate::networks::Places;
use crate::{log, output};

/// How much of each log is read: some thousand calls, in a few hundredths of a second.
const MAX_BYTES: u64 = 16 << 20;
/// More kinds of calls there are not; a log may say anything.
const MAX_KINDS: usize = 500;
/// Which durations are told, in thousandths of the calls that took no longer.
const QUANTILES: [(&str, usize); 4] = [("0.5", 500), ("0.9", 900), ("0.99", 990), ("1", 1000)];

/// Adds the numbers. A log that can't be read is complained of, and has none.
pub(super) fn calls(places: &Places, text: &mut Text) -> Result<()> {
    let mut calls = Calls::default();
    for path in log::named(places)? {
        match log::ends(&path, MAX_BYTES) {
            Ok(ends) => ends.iter().for_each(|end| calls.add(end)),
            Err(error) => output::complain(&error.to_string()),
        }
    }
    calls.print(text);
    Ok(())
}

#[derive(Default)]
struct Calls {
    /// By plugin, command and code, which is 0 where none failed.
    counts: BTreeMap<(String, String, u32), u64>,
    /// By plugin and command, in microseconds.
    durations: BTreeMap<(String, String), Vec<u64>>,
}

impl Calls {
    fn add(&mut self, end: &Line) {
        let kind = (end.plugin.clone(), end.command.clone());
        let code = end.failure.as_ref().map_or(0, |failure| failure.code);
        let count = (kind.0.clone(), kind.1.clone(), code);
        if self.counts.len() < MAX_KINDS || self.counts.contains_key(&count) {
            *self.counts.entry(count).or_default() += 1;
            self.durations.entry(kind).or_default().extend(end.duration_us);
        }
    }

    fn print(self, text: &mut Text) {
        let codes: Vec<String> = self.counts.keys().map(|(.., code)| code.to_string()).collect();
        let numbers =
            self.counts.iter().zip(&codes).map(|(((plugin, command, code), count), text)| {
                let outcome = if *code == 0 { "ok" } else { "failed" };
                let labels =
                    [("plugin", plugin.as_str()), ("command", command), ("outcome", outcome)];
                (labels.into_iter().chain([("code", text.as_str())]).collect(), *count)
            });
        let title =
            ("logged_calls", "Calls in the last 16 MiB of each log, by outcome and error code.");
        text.gauge(title, numbers.collect());
        let mut numbers = Vec::new();
        for ((plugin, command), mut durations) in self.durations.iter().map(|(k, v)| (k, v.clone()))
        {
            durations.sort_unstable();
            for (quantile, thousandths) in QUANTILES {
                let place = (durations.len() * thousandths).div_ceil(1000).saturating_sub(1);
                let labels =
                    [("plugin", plugin.as_str()), ("command", command), ("quantile", quantile)];
                let found = durations.get(place).copied();
                numbers.extend(found.map(|micros| (labels.to_vec(), Seconds(micros))));
            }
        }
        let title =
            ("logged_call_seconds", "Durations of these calls: that share of them took no longer.");
        text.gauge(title, numbers);
    }
}

/// Microseconds as seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use cni_common::log::{Failure, Kind};

    use super::*;

    #[test]
    fn quantiles_are_durations_of_calls() {
        let mut calls = Calls::default();
        for micros in (1..=100).rev() {
            let failure = Failure { code: 104, ..Failure::default() };
            calls.add(&Line {
                plugin: "bridge".to_owned(),
                command: "ADD".to_owned(),
                kind: Kind::End,
                duration_us: Some(micros * 10_000),
                failure: (micros == 100).then_some(failure),
                ..Line::default()
            });
        }
        let mut text = Text::default();
        calls.print(&mut text);
        let of = |rest: &str| format!("{{plugin=\"bridge\",command=\"ADD\",{rest}");
        for line in [
            format!("causeway_logged_calls{}", of("outcome=\"ok\",code=\"0\"} 99")),
            format!("causeway_logged_calls{}", of("outcome=\"failed\",code=\"104\"} 1")),
            format!("causeway_logged_call_seconds{}", of("quantile=\"0.5\"} 0.500000")),
            format!("causeway_logged_call_seconds{}", of("quantile=\"0.99\"} 0.990000")),
            format!("causeway_logged_call_seconds{}", of("quantile=\"1\"} 1.000000")),
        ] {
            assert!(text.0.lines().any(|found| found == line), "{line}\n{}", text.0);
        }
    }
}

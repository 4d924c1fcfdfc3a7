//! The table at the end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::fault::{Command, Fault};
use crate::scene::Kind;
use crate::trial::Verdict;

#[derive(Default)]
struct Row {
    calls: usize,
    possible: usize,
    run: usize,
    killed: usize,
    succeeded: usize,
    failed: usize,
    excepted: usize,
    missed: usize,
    broken: usize,
    slowest: Duration,
}

/// What a sweep has come to.
#[derive(Default)]
pub(crate) struct Summary {
    rows: BTreeMap<(Kind, Command), Row>,
    exceptions: BTreeMap<&'static str, Vec<String>>,
    missed: Vec<String>,
}

impl Summary {
    /// How many system calls a command has, and how many faults there can be in them.
    pub(crate) fn list(&mut self, (kind, command): (Kind, Command), calls: usize, faults: usize) {
        let row = self.rows.entry((kind, command)).or_default();
        (row.calls, row.possible) = (calls, faults);
    }

    /// One fault's outcome.
    pub(crate) fn count(&mut self, fault: &Fault, verdict: &Verdict, took: Duration) {
        let row = self.rows.entry((fault.kind, fault.command)).or_default();
        row.run += 1;
        row.slowest = row.slowest.max(took);
        match verdict {
            Verdict::Killed => row.killed += 1,
            Verdict::Succeeded => row.succeeded += 1,
            Verdict::Failed => row.failed += 1,
            Verdict::NotReached => {
                row.missed += 1;
                self.missed.push(fault.to_string());
            }
            Verdict::Broken(_) => row.broken += 1,
            Verdict::Excepted(reason) => {
                row.excepted += 1;
                self.exceptions.entry(reason).or_default().push(fault.to_string());
            }
        }
    }

    /// Whether every promise was kept, and something was run at all.
    pub(crate) fn is_fine(&self) -> bool {
        !self.rows.is_empty() && self.rows.values().all(|row| row.broken == 0 && row.run > 0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<17} {:>6} {:>7} {:>6} {:>6} {:>8} {:>9} {:>8} {:>8} {:>7} {:>8}",
            "",
            "calls",
            "faults",
            "run",
            "killed",
            "in spite",
            "reported",
            "excepted",
            "missed",
            "BROKEN",
            "slowest"
        )?;
        for ((kind, command), row) in &self.rows {
            writeln!(
                f,
                "{:<17} {:>6} {:>7} {:>5.0}% {:>6} {:>8} {:>9} {:>8} {:>8} {:>7} {:>6.1} s",
                format!("{kind} {}", command.word()),
                row.calls,
                row.possible,
                100.0 * row.run as f64 / row.possible.max(1) as f64,
                row.killed,
                row.succeeded,
                row.failed,
                row.excepted,
                row.missed,
                row.broken,
                row.slowest.as_secs_f64(),
            )?;
        }
        for (reason, faults) in &self.exceptions {
            writeln!(f, "Excepted, as {reason}:\n  {}", faults.join("\n  "))?;
        }
        if !self.missed.is_empty() {
            writeln!(f, "Not come by in three runs:\n  {}", self.missed.join("\n  "))?;
        }
        Ok(())
    }
}

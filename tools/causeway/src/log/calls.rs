//! Lines that are of one call, of which other calls' may come in between.

use std::collections::{BTreeMap, VecDeque};

use cni_common::log::{Kind, Line};

/// Calls without an end that are waited for: more at the same time were killed long ago.
const MAX_OPEN: usize = 1000;
/// More lines no call has.
const MAX_LINES: usize = 20_000;

/// A call of one process.
#[derive(Debug)]
pub(crate) struct Call(Vec<Line>);

impl Call {
    /// Its lines, as they stand in the log; at least one.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.0
    }

    /// Its last line, unless it was killed or is at work.
    pub(crate) fn end(&self) -> Option<&Line> {
        self.0.iter().rev().find(|line| line.kind == Kind::End && line.id == 0)
    }

    /// The line that says most of the call itself.
    pub(crate) fn about(&self) -> &Line {
        static NOTHING: std::sync::LazyLock<Line> = std::sync::LazyLock::new(Line::default);
        let begin = || self.0.iter().find(|line| line.kind == Kind::Begin && line.id == 0);
        self.end().or_else(begin).or(self.0.first()).unwrap_or(&NOTHING)
    }

    /// When it began, as far as it is known: the time of its first line.
    pub(crate) fn time(&self) -> &str {
        self.0.first().map_or("", |line| line.time.as_str())
    }
}

/// Calls that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    open: BTreeMap<String, Vec<Line>>,
    order: VecDeque<String>,
}

impl Calls {
    /// Adds a line; a call that it brings to its end, or that is waited for no longer.
    pub(crate) fn add(&mut self, line: Line) -> Option<Call> {
        let call = line.call.clone();
        let is_end = line.kind == Kind::End && line.id == 0;
        let lines = self.open.entry(call.clone()).or_default();
        if lines.is_empty() {
            self.order.push_back(call.clone());
        }
        if lines.len() < MAX_LINES || is_end {
            lines.push(line);
        }
        if is_end {
            return self.take(&call);
        }
        match self.open.len() > MAX_OPEN {
            true => self.order.front().cloned().and_then(|oldest| self.take(&oldest)),
            false => None,
        }
    }

    fn take(&mut self, call: &str) -> Option<Call> {
        self.order.retain(|one| one != call);
        self.open.remove(call).map(Call)
    }

    /// Those that have no end, in the order of their first lines.
    pub(crate) fn unfinished(mut self) -> impl Iterator<Item = Call> {
        std::mem::take(&mut self.order)
            .into_iter()
            .filter_map(move |call| self.open.remove(&call).map(Call))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(call: &str, kind: Kind) -> Line {
        Line { call: call.to_owned(), kind, ..Line::default() }
    }

    #[test]
    fn calls_come_out_in_the_order_of_their_ends() {
        let mut calls = Calls::default();
        for (call, kind, ended) in [
            ("a", Kind::Begin, false),
            ("b", Kind::Begin, false),
            ("a", Kind::Note, false),
            ("c", Kind::Begin, false),
            ("b", Kind::End, true),
            ("a", Kind::End, true),
        ] {
            let found = calls.add(line(call, kind));
            assert_eq!(found.map(|one| one.about().call.clone()), ended.then(|| call.to_owned()));
        }
        let left: Vec<String> = calls.unfinished().map(|one| one.about().call.clone()).collect();
        assert_eq!(left, ["c"]);
    }

    #[test]
    fn what_never_ends_is_not_kept_for_ever() {
        let mut calls = Calls::default();
        let mut out = 0;
        for number in 0..3000 {
            out += usize::from(calls.add(line(&number.to_string(), Kind::Begin)).is_some());
            for _ in 0..30 {
                out += usize::from(calls.add(line("long", Kind::Note)).is_some());
            }
        }
        assert!(calls.open.len() <= MAX_OPEN && calls.order.len() == calls.open.len());
        assert!(calls.open.values().all(|lines| lines.len() <= MAX_LINES) && out >= 2000);
    }
}

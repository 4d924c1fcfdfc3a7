//! A call as text: a line for each step with its duration, a bar and its place in the tree. What stands in a log
//! may be anything: nothing here trusts that numbers fit together.

use std::collections::{BTreeMap, BTreeSet};

use cni_common::log::{Failure, Kind, Line};

use super::calls::Call;
use crate::output::{Colour, Output};

/// Cells of a bar that is as long as the call.
const WIDTH: u64 = 24;
/// Characters of a step's text; `--json` has all of it.
const MAX_TEXT: usize = 160;
/// Steps within steps; deeper ones are shown as if they were this deep.
const MAX_DEPTH: usize = 16;

/// The text of a call.
pub(super) fn text(call: &Call, output: Output) -> String {
    let about = call.about();
    let whose: Vec<&str> = [&about.network, &about.container, &about.interface]
        .into_iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    let (colour, outcome) = match call.end().map(|end| (&end.failure, end.duration_us)) {
        None => (Colour::Warning, "no end: killed, or at work".to_owned()),
        Some((None, took)) => (Colour::Good, format!("ok, {}", duration(took.unwrap_or_default()))),
        Some((Some(failure), took)) => {
            let took = duration(took.unwrap_or_default());
            (Colour::Bad, format!("{} after {took}", failed(failure)))
        }
    };
    let head = format!("{} {} {}", about.plugin, about.command, whose.join("/"));
    let mut all = format!(
        "{} {} ({}): {}\n",
        plain(call.time()),
        plain(&head),
        about.pid,
        output.paint(colour, &plain(&outcome))
    );
    let nodes = nodes(call);
    let total =
        nodes.values().map(|one| one.start_us.saturating_add(one.duration_us.unwrap_or_default()));
    let total = total.chain(call.end().and_then(|end| end.duration_us)).max().unwrap_or_default();
    for (branch, node) in branches(&nodes) {
        all.push_str(&step(node, &branch, (total, output)));
    }
    all
}

/// The lines by their numbers: of a call in the process its end, which says all that its beginning does.
fn nodes(call: &Call) -> BTreeMap<u32, &Line> {
    let mut nodes = BTreeMap::new();
    for line in call.lines().iter().filter(|line| line.id != 0) {
        nodes.insert(line.id, line);
    }
    nodes
}

/// Every line once, with the branch that it hangs on, from the root down and by the time of the beginning. What
/// hangs on nothing that is known, as its step did not come to an end, hangs on the call.
fn branches<'a>(nodes: &BTreeMap<u32, &'a Line>) -> Vec<(String, &'a Line)> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (id, line) in nodes {
        let parent = line.within.filter(|within| nodes.contains_key(within)).unwrap_or_default();
        children.entry(parent).or_default().push(*id);
    }
    let mut seen = BTreeSet::new();
    let mut shown = Vec::new();
    let mut walk = |root: u32, shown: &mut Vec<(String, &'a Line)>| {
        // Last first: what is to come next is at the end.
        let mut rest = sorted(nodes, children.get(&root), String::new());
        while let Some((id, branch, is_last)) = rest.pop() {
            let Some(line) = nodes.get(&id).filter(|_| seen.insert(id)) else { continue };
            shown.push((format!("{branch}{}", if is_last { "└─ " } else { "├─ " }), *line));
            let is_deep = branch.chars().count() / 3 >= MAX_DEPTH;
            let below = match (is_deep, is_last) {
                (true, _) => branch,
                (false, true) => format!("{branch}   "),
                (false, false) => format!("{branch}│  "),
            };
            rest.extend(sorted(nodes, children.get(&id), below));
        }
    };
    walk(0, &mut shown);
    // Those that are within each other.
    let left: Vec<u32> = nodes.keys().copied().collect();
    for id in left {
        walk(id, &mut shown);
    }
    shown
}

/// Numbers with their branch and whether they are the last on it, last first.
fn sorted(
    nodes: &BTreeMap<u32, &Line>,
    children: Option<&Vec<u32>>,
    branch: String,
) -> Vec<(u32, String, bool)> {
    let mut children = children.cloned().unwrap_or_default();
    children.sort_by_key(|id| (nodes.get(id).map(|line| line.start_us), *id));
    let ids = children.into_iter().rev().enumerate();
    ids.map(|(place, id)| (id, branch.clone(), place == 0)).collect()
}

fn step(line: &Line, branch: &str, (total, output): (u64, Output)) -> String {
    let what = match line.kind {
        Kind::Begin | Kind::End => format!("{} {}", line.plugin, line.command),
        Kind::Step | Kind::Note => line.step.clone(),
    };
    let what = cut(&plain(&what));
    let what = match (&line.failure, line.kind) {
        (Some(failure), _) => {
            output.paint(Colour::Bad, &format!("{what}: {}", cut(&plain(&failed(failure)))))
        }
        (None, Kind::Note) => output.paint(Colour::Faint, &what),
        (None, Kind::Begin) => output.paint(Colour::Warning, &format!("{what}: no end")),
        (None, _) => what,
    };
    let took = line.duration_us.map(duration).unwrap_or_default();
    let bar = bar((line.start_us, line.duration_us), total);
    format!("{took:>9} {} {branch}{what}\n", output.paint(Colour::Good, &bar))
}

/// A bar that begins where the step does, as wide as its part of the call.
fn bar((start, took): (u64, Option<u64>), total: u64) -> String {
    let cells = |part: u64| match total {
        0 => 0,
        _ => u64::try_from(u128::from(part) * u128::from(WIDTH) / u128::from(total))
            .unwrap_or(WIDTH)
            .min(WIDTH),
    };
    let before = cells(start).min(WIDTH - 1);
    let bar = match took {
        None => "·".to_owned(),
        Some(took) => match cells(start.saturating_add(took)).saturating_sub(before) {
            0 => "▏".to_owned(),
            width => "█".repeat(usize::try_from(width).unwrap_or_default()),
        },
    };
    let width = usize::try_from(WIDTH).unwrap_or_default();
    format!(
        "{:width$}",
        format!("{}{bar}", " ".repeat(usize::try_from(before).unwrap_or_default()))
    )
}

fn failed(Failure { code, message, details }: &Failure) -> String {
    let details = if details.is_empty() { String::new() } else { format!(" ({details})") };
    format!("failed with code {code}: {message}{details}")
}

/// In the unit that makes it a short number.
fn duration(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10),
        10_000..1_000_000 => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
        _ => format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000),
    }
}

/// Without what a terminal would take for an order.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::calls::Calls;
    use crate::output::Form;

    fn shown(lines: Vec<Line>) -> String {
        let mut calls = Calls::default();
        let ended = lines.into_iter().filter_map(|line| calls.add(line)).next();
        let call = ended.or_else(|| calls.unfinished().next()).unwrap();
        text(&call, Output::new(Form::Text))
    }

    fn step(id: u32, within: u32, (start_us, took): (u64, u64), step: &str) -> Line {
        let (step, duration_us) = (step.to_owned(), Some(took));
        Line {
            kind: Kind::Step,
            id,
            within: Some(within),
            step,
            start_us,
            duration_us,
            ..Line::default()
        }
    }

    #[test]
    fn steps_hang_on_what_they_are_within_and_have_bars() {
        let begin = Line { kind: Kind::Begin, time: "now".to_owned(), ..Line::default() };
        let failure = Some(Failure { code: 7, message: "no".to_owned(), details: String::new() });
        let lines = vec![
            Line { plugin: "bridge".to_owned(), command: "ADD".to_owned(), ..begin },
            step(2, 1, (0, 250), "inner"),
            Line { failure, ..step(3, 1, (250, 250), "other") },
            step(1, 0, (0, 500), "outer"),
            step(4, 9, (500, 500), "of what has no end"),
            Line { kind: Kind::Note, duration_us: None, ..step(5, 0, (999, 0), "note") },
        ];
        let expected = "\
now bridge ADD  (0): no end: killed, or at work
   500 µs ████████████             ├─ outer
   250 µs ██████                   │  ├─ inner
   250 µs       ██████             │  └─ other: failed with code 7: no
   500 µs             ████████████ ├─ of what has no end
                                 · └─ note
";
        assert_eq!(shown(lines), expected);
    }

    #[test]
    fn lines_that_do_not_fit_together_are_each_shown_once() {
        let mut lines = vec![
            step(1, 2, (u64::MAX, u64::MAX), "one\u{1b}[2J\n"),
            step(2, 1, (0, 0), "two"),
            step(3, 3, (5, 5), "itself"),
        ];
        lines.extend((10..2000).map(|id| step(id, id - 1, (0, 0), "deep")));
        let text = shown(lines);
        assert_eq!(text.lines().count(), 1 + 3 + 1990);
        assert!(text.contains("one\u{fffd}[2J\u{fffd}") && !text.contains('\u{1b}'));
        assert!(text.lines().all(|line| line.chars().count() < 120), "{text}");
    }

    #[test]
    fn durations_are_short() {
        for (micros, text) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_005, "1.00 ms"),
            (12_345, "12.3 ms"),
            (999_999, "999.9 ms"),
            (12_345_678, "12.34 s"),
        ] {
            assert_eq!(duration(micros), text);
        }
    }
}

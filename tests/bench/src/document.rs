//! Tables as the documents have them, and putting them there. Pure but for the file.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::figures::{Figures, What};
use crate::packets::Rates;
use crate::plugins::NAMES;

/// Replaces what stands between the two comments that name `subject` in the document at `path`.
pub(crate) fn replace(path: &Path, subject: &str, table: &str) -> Result<(), String> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let replaced = replaced(&text, subject, table).map_err(|fault| format!("{shown}: {fault}"))?;
    fs::write(path, replaced).map_err(|error| format!("{shown}: {error}"))
}

fn replaced(text: &str, subject: &str, table: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- bench {subject} -->\n"), format!("<!-- end {subject} -->"));
    let missing = |comment: &str| format!("no line {}", comment.trim());
    let (before, rest) = text.split_once(&begin).ok_or_else(|| missing(&begin))?;
    let (_former, after) = rest.split_once(&end).ok_or_else(|| missing(&end))?;
    Ok(format!("{before}{begin}{table}{end}{after}"))
}

/// Each suite against the floor, state by state, and what memory it takes.
pub(crate) fn bridge(figures: &Figures) -> String {
    times(figures) + "\n" + &memory(figures)
}

/// Peaks of resident memory of an ADD, or of its IPAM plugin where that takes more.
fn memory(figures: &Figures) -> String {
    let suites = suites(figures);
    let mut text = format!("| MiB of memory at most | {} |\n", suites.join(" | "));
    text += &format!("|---|{}\n", "---|".repeat(suites.len()));
    for state in figures.states() {
        let values: Vec<String> = suites
            .iter()
            .filter_map(|name| figures.get(state.id, name, What::Memory))
            .map(shown)
            .collect();
        // No process is watched in a burst.
        if !values.is_empty() {
            writeln!(text, "| {} | {} |", state.title, values.join(" | ")).ok();
        }
    }
    text
}

fn times(figures: &Figures) -> String {
    let suites = suites(figures);
    let titles = |of: &String| format!(" {of} ADD | {of} DEL |").replace("Causeway ", "");
    let mut text = "| Times the bare kernel sequence |".to_owned();
    text.extend(suites.iter().map(titles));
    text += &format!("\n|---|{}\n", "---|".repeat(2 * suites.len()));
    for state in figures.states() {
        write!(text, "| {} |", state.title).ok();
        for name in &suites {
            for what in [What::Add, What::Del] {
                let times =
                    figures.get(state.id, name, what).zip(figures.get(state.id, "floor", what));
                write!(
                    text,
                    " {} |",
                    times.map_or_else(String::new, |(own, floor)| shown(own / floor) + "×")
                )
                .ok();
            }
        }
        text += "\n";
    }
    text
}

/// The names of all but the floor.
fn suites(figures: &Figures) -> Vec<String> {
    figures.contenders().into_iter().filter(|name| name != "floor").collect()
}

/// The same of a whole chain, and the plugins' shares in the first state.
pub(crate) fn chain(figures: &Figures) -> String {
    let mut text = times(figures);
    let Some(first) = figures.states().into_iter().next() else { return text };
    let names: Vec<_> = NAMES
        .into_iter()
        .filter(|name| figures.iter().any(|figure| figure.what == What::AddOf(name)))
        .collect();
    writeln!(text, "\n| Milliseconds, {} | all | {} |", first.title, names.join(" | ")).ok();
    writeln!(text, "|---|{}", "---|".repeat(names.len() + 1)).ok();
    type Of = fn(&'static str) -> What;
    for name in &suites(figures) {
        for (command, all, of) in
            [("ADD", What::Add, What::AddOf as Of), ("DEL", What::Del, What::DelOf as Of)]
        {
            write!(text, "{}", format!("| {name} {command} |").replace("Causeway ", "")).ok();
            for what in std::iter::once(all).chain(names.iter().map(|name| of(name))) {
                let time = figures.get(first.id, name, what);
                write!(text, " {} |", time.map_or_else(String::new, shown)).ok();
            }
            text += "\n";
        }
    }
    text
}

/// Packets per second, a line for each way.
pub(crate) fn packets(rates: &[Rates]) -> String {
    let mut ports: Vec<u16> = rates.iter().map(|rates| rates.ports).collect();
    ports.dedup();
    let mut ways: Vec<&str> = Vec::new();
    for Rates { way, .. } in rates {
        if !ways.contains(&way.as_str()) {
            ways.push(way);
        }
    }
    let mut text = "| Thousand packets per second |".to_owned();
    for what in ["first of a flow", "of one flow"] {
        for count in &ports {
            write!(text, " {what}, {count} port{} |", if *count == 1 { "" } else { "s" }).ok();
        }
    }
    text += &format!("\n|---|{}\n", "---|".repeat(2 * ports.len()));
    for way in ways {
        let own = || rates.iter().filter(|rates| rates.way == way);
        write!(text, "| {way} |").ok();
        for rate in own().map(|rates| rates.flows).chain(own().map(|rates| rates.of_one_flow)) {
            write!(text, " {:.0} |", rate / 1e3).ok();
        }
        text += "\n";
    }
    text
}

fn shown(value: f64) -> String {
    match value {
        value if value < 1.0 => format!("{value:.2}"),
        value if value < 10.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_comments_is_replaced() {
        let text = "a\n<!-- bench x -->\nold\n<!-- end x -->\nb\n";
        let new = replaced(text, "x", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- bench x -->\nnew\n<!-- end x -->\nb\n");
        assert!(replaced(text, "y", "new\n").unwrap_err().contains("bench y"));
    }
}

//! Figures as a table for a person and as JSON for a program. Pure.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::figures::{Figures, What, rounded};
use crate::packets::Rates;

/// A line per scenario and contender.
pub(crate) fn table(figures: &Figures) -> String {
    let mut text = format!(
        "median milliseconds; \"floor\": how many times the bare kernel sequence in the same state;\n\
         \"growth\": how many times the same call with one container and an empty pool\n\n\
         {:<14}{:>9}{:>8}{:>8}{:>10}{:>8}{:>8}{:>9}\n",
        "", "ADD", "floor", "growth", "DEL", "floor", "growth", "MiB"
    );
    let mut state = "";
    for figure in figures.iter().filter(|figure| figure.what == What::Add) {
        if figure.state.id != state {
            state = figure.state.id;
            writeln!(text, "{} ({state})", figure.state.title).ok();
        }
        let of = |what| figures.get(figure.state.id, &figure.contender, what);
        let del = figures.iter().find(|del| {
            (del.state, &del.contender, del.what) == (figure.state, &figure.contender, What::Del)
        });
        writeln!(
            text,
            "  {:<12}{:>9}{:>8}{:>8}{:>10}{:>8}{:>8}{:>9}",
            figure.contender,
            number(Some(figure.value)),
            number(figures.against_floor(figure)),
            number(figures.growth(figure)),
            number(of(What::Del)),
            number(del.and_then(|del| figures.against_floor(del))),
            number(del.and_then(|del| figures.growth(del))),
            number(of(What::Memory)),
        )
        .ok();
    }
    text
}

/// The plugins' shares of the time of a chain: a line for the ADD and one for the DEL of a contender.
pub(crate) fn shares(figures: &Figures, names: &[&'static str]) -> String {
    let mut text = "median milliseconds of each plugin\n\n".to_owned() + &" ".repeat(18);
    text.extend(names.iter().map(|name| format!("{name:>10}")));
    text += "\n";
    for state in figures.states() {
        writeln!(text, "{} ({})", state.title, state.id).ok();
        for contender in figures.contenders().iter().filter(|name| *name != "floor") {
            let mut line = |command: &str, of: fn(&'static str) -> What| {
                write!(text, "  {:<16}", format!("{contender} {command}")).ok();
                for name in names {
                    let value = number(figures.get(state.id, contender, of(name)));
                    write!(text, "{value:>10}").ok();
                }
                text.push('\n');
            };
            line("ADD", What::AddOf);
            line("DEL", What::DelOf);
        }
    }
    text
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

/// All of it, with where and when it was measured.
pub(crate) fn json(figures: &Figures, arguments: &Arguments) -> String {
    let figures: Vec<Value> = figures
        .iter()
        .map(|figure| {
            let (what, unit) = match figure.what {
                What::Add => ("ADD".to_owned(), "ms"),
                What::Del => ("DEL".to_owned(), "ms"),
                What::Memory => ("memory".to_owned(), "MiB"),
                What::AddOf(plugin) => (format!("ADD of {plugin}"), "ms"),
                What::DelOf(plugin) => (format!("DEL of {plugin}"), "ms"),
            };
            json!({
                "scenario": figure.state.id,
                "contender": figure.contender,
                "what": what,
                "unit": unit,
                "value": figure.value,
                "timesFloor": figures.against_floor(figure).map(rounded),
                "growth": figures.growth(figure).map(rounded),
            })
        })
        .collect();
    let all = json!({
        "date": arguments.date,
        "machine": arguments.machine,
        "rounds": arguments.rounds,
        "figures": figures,
    });
    format!("{all:#}\n")
}

/// Packets per second.
pub(crate) fn packets(rates: &[Rates]) -> String {
    let mut text = format!(
        "UDP packets per second; \"flows\": each begins a flow, \"one flow\": all are of one\n\n\
         {:<24}{:>8}{:>12}{:>12}\n",
        "", "ports", "flows", "one flow"
    );
    for Rates { way, ports, flows, of_one_flow } in rates {
        writeln!(text, "{way:<24}{ports:>8}{flows:>12.0}{of_one_flow:>12.0}").ok();
    }
    text
}

/// The same for a program.
pub(crate) fn packets_json(rates: &[Rates], arguments: &Arguments) -> String {
    let rates: Vec<Value> = rates
        .iter()
        .map(|rates| {
            json!({
                "way": rates.way,
                "ports": rates.ports,
                "unit": "packets/s",
                "flows": rates.flows.round(),
                "oneFlow": rates.of_one_flow.round(),
            })
        })
        .collect();
    let all = json!({ "date": arguments.date, "machine": arguments.machine, "packets": rates });
    format!("{all:#}\n")
}

//! Figures as a table for a person and as JSON for a program. Pure.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::figures::{Figures, What};

/// A line per scenario and contender.
pub(crate) fn table(figures: &Figures) -> String {
    let mut text = format!(
        "median milliseconds; \"floor\": how many times the bare kernel sequence in the same state;\n\
         \"growth\": how many times the same call with one container and an empty pool\n\n\
         {:<14}{:>9}{:>8}{:>8}{:>10}{:>8}{:>8}{:>9}\n",
        "", "ADD", "floor", "growth", "DEL", "floor", "growth", "MiB"
    );
    let mut scenario = "";
    for figure in figures.iter().filter(|figure| figure.what == What::Add) {
        if figure.scenario != scenario {
            scenario = figure.scenario;
            writeln!(text, "{} ({scenario})", figure.title).ok();
        }
        let of = |what| figures.get(figure.scenario, &figure.contender, what);
        let del = figures.iter().find(|del| {
            (del.scenario, &del.contender, del.what)
                == (figure.scenario, &figure.contender, What::Del)
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

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

/// All of it, with where and when it was measured.
pub(crate) fn json(figures: &Figures, arguments: &Arguments) -> String {
    let figures: Vec<Value> = figures
        .iter()
        .map(|figure| {
            let (what, unit) = match figure.what {
                What::Add => ("ADD", "ms"),
                What::Del => ("DEL", "ms"),
                What::Memory => ("memory", "MiB"),
            };
            json!({
                "scenario": figure.scenario,
                "contender": figure.contender,
                "what": what,
                "unit": unit,
                "value": rounded(figure.value),
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

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

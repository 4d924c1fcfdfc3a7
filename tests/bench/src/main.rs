//! Measures plugin suites beside each other and beside the bare kernel sequence, in one run.
//! `scripts/bench` builds and runs it.
//!
//! - [`arguments`]: which contenders, which scenarios, where to write.
//! - [`contender`]: one suite, or the floor, and how it is called.
//! - [`scenario`]: what is measured of `bridge`, each contender on a bridge of its own on one throw-away
//!   host.
//! - [`mod@chain`], [`plugins`], [`site`]: the same of all plugins of a runtime's list, each contender on a host
//!   of its own.
//! - [`mod@packets`]: packets per second through published ports.
//! - [`mod@profile`]: shares by system call and by symbol.
//! - [`figures`]: the medians, and ratios of them.
//! - [`report`], [`chart`], [`document`]: as a table, as JSON, as a picture, in the documents.
//!
//! Only ratios mean something on another machine, and nothing here fails for being slow.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement that can't be made ends the program"
)]

mod arguments;
mod chain;
mod chart;
mod contender;
mod document;
mod figures;
mod packets;
mod plugins;
mod profile;
mod report;
mod scenario;
mod site;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use arguments::{Arguments, Subject};
use contender::Contender;
use figures::Figures;

fn main() -> ExitCode {
    let done = Arguments::parse(std::env::args().skip(1)).and_then(|arguments| {
        match (arguments.subject, arguments.profile) {
            (Subject::Bridge, false) => bridge(&arguments),
            (Subject::Bridge, true) => profile(&arguments),
            (Subject::Chain, false) => chain(&arguments),
            (Subject::Chain, true) => profile_chain(&arguments),
            (Subject::Packets, _) => packets(&arguments),
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bench: {message}");
            ExitCode::from(2)
        }
    }
}

fn bridge(arguments: &Arguments) -> Result<(), String> {
    let mut figures = Figures::default();
    for scenario in arguments.select(&scenario::ALL, |scenario| scenario.state.id)? {
        eprintln!("measuring: {}", scenario.state.title);
        figures.extend(scenario.measure(&arguments.contenders, arguments.rounds));
    }
    print!("{}", report::table(&figures));
    replace("bridge", &document::bridge(&figures), arguments)?;
    write(&figures, arguments)
}

fn chain(arguments: &Arguments) -> Result<(), String> {
    let names = chain::names(&arguments.contenders);
    println!("plugins that all have: {}", names.join(", "));
    let mut figures = Figures::default();
    for scenario in arguments.select(&chain::ALL, |scenario| scenario.state.id)? {
        eprintln!("measuring: {}", scenario.state.title);
        figures.extend(scenario.measure(&arguments.contenders, &names, arguments.rounds));
    }
    print!("{}\n{}", report::table(&figures), report::shares(&figures, &names));
    replace("chain", &document::chain(&figures), arguments)?;
    write(&figures, arguments)
}

fn packets(arguments: &Arguments) -> Result<(), String> {
    let rates = packets::measure(&arguments.contenders);
    print!("{}", report::packets(&rates));
    replace("packets", &document::packets(&rates), arguments)?;
    match &arguments.json {
        Some(path) => write_file(path, &report::packets_json(&rates, arguments)),
        None => Ok(()),
    }
}

/// Puts a table in its place on the page that `--document` names.
fn replace(name: &str, table: &str, arguments: &Arguments) -> Result<(), String> {
    arguments.document.as_ref().map_or(Ok(()), |path| document::replace(path, name, table))
}

fn write(figures: &Figures, arguments: &Arguments) -> Result<(), String> {
    for (path, text) in [
        (&arguments.json, report::json(figures, arguments)),
        (&arguments.svg, chart::svg(figures, &arguments.date)),
    ] {
        if let Some(path) = path {
            write_file(path, &text)?;
        }
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Prints where the time goes, scenario by scenario, of the first contender that is a suite.
fn profile(arguments: &Arguments) -> Result<(), String> {
    let selected = arguments.select(&scenario::ALL, |scenario| scenario.state.id)?;
    for scenario in selected.into_iter().filter(|scenario| !scenario.is_burst()) {
        let shares = scenario.profile(suite(arguments)?, arguments.rounds);
        println!("=== {}\n\n{shares}", scenario.state.title);
    }
    Ok(())
}

/// The same of a chain, plugin by plugin.
fn profile_chain(arguments: &Arguments) -> Result<(), String> {
    let suite = suite(arguments)?;
    let names = chain::names(std::slice::from_ref(suite));
    for scenario in arguments.select(&chain::ALL, |scenario| scenario.state.id)? {
        let shares = scenario.profile(suite, &names, arguments.rounds);
        println!("=== {}\n\n{shares}", scenario.state.title);
    }
    Ok(())
}

fn suite(arguments: &Arguments) -> Result<&Contender, String> {
    let suite = arguments.contenders.iter().find(|contender| contender.is_suite());
    suite.ok_or_else(|| "--ours names a suite".to_owned())
}

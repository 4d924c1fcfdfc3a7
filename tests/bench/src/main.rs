//! Measures plugin suites beside each other and beside the bare kernel sequence, in one run, each
//! contender on a bridge of its own on the same throw-away host. `scripts/bench` builds and runs it.
//!
//! - [`arguments`]: which contenders, which scenarios, where to write.
//! - [`contender`]: one suite, or the floor, and how it is called.
//! - [`scenario`]: what is measured, and the host that it is measured on.
//! - [`figures`]: the medians, and ratios of them.
//! - [`report`], [`chart`]: as a table, as JSON, as a picture.
//!
//! Only ratios mean something on another machine, and nothing here fails for being slow.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a measurement that can't be made ends the program"
)]

mod arguments;
mod chart;
mod contender;
mod figures;
mod report;
mod scenario;

use std::fs;
use std::process::ExitCode;

use arguments::Arguments;
use contender::Contender;
use figures::Figures;
use scenario::Scenario;

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("bench: {message}");
            return ExitCode::from(2);
        }
    };
    let mut figures = Figures::default();
    for scenario in &arguments.scenarios {
        eprintln!("measuring: {}", scenario.title);
        figures.extend(measure(scenario, arguments.contenders.clone(), arguments.rounds));
    }
    print!("{}", report::table(&figures));
    for (path, text) in [
        (&arguments.json, report::json(&figures, &arguments)),
        (&arguments.svg, chart::svg(&figures, &arguments.date)),
    ] {
        if let Some(path) = path {
            fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
    ExitCode::SUCCESS
}

/// On a thread of its own, which is what a host is.
fn measure(scenario: &'static Scenario, contenders: Vec<Contender>, rounds: usize) -> Figures {
    let measuring = std::thread::spawn(move || scenario.measure(&contenders, rounds));
    match measuring.join() {
        Ok(figures) => figures,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

//! Measures plugin suites beside each other and beside the bare kernel sequence, in one run, each
//! contender on a bridge of its own on the same throw-away host. `scripts/bench` builds and runs it.
//!
//! - [`arguments`]: which contenders, which scenarios, where to write.
//! - [`contender`]: one suite, or the floor, and how it is called.
//! - [`scenario`]: what is measured, and the host that it is measured on.
//! - [`mod@profile`]: shares by system call and by symbol.
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
mod profile;
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
    if arguments.profile {
        return profile(&arguments);
    }
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

/// Prints where the time goes, scenario by scenario, of the first contender that is a suite.
fn profile(arguments: &Arguments) -> ExitCode {
    let suite = arguments.contenders.iter().find(|contender| contender.is_suite());
    let suite = suite.expect("--ours names a suite");
    for scenario in arguments.scenarios.iter().copied().filter(|scenario| !scenario.is_burst()) {
        let (suite, rounds) = (suite.clone(), arguments.rounds);
        let shares = on_a_host(move || scenario.profile(suite, rounds));
        println!("=== {}\n\n{shares}", scenario.title);
    }
    ExitCode::SUCCESS
}

fn measure(scenario: &'static Scenario, contenders: Vec<Contender>, rounds: usize) -> Figures {
    on_a_host(move || scenario.measure(&contenders, rounds))
}

/// On a thread of its own, which is what a host is.
fn on_a_host<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match std::thread::spawn(work).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

//! The executable: reads the command line, runs the checks, prints the table. `causeway conformance` starts it, and
//! so does `scripts/conformance`, which builds it.

#![allow(clippy::print_stderr, reason = "it says why it could not run")]

mod arguments;
mod machine;

use std::env;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use conformance::{Configuration, Level, Options, Report, Spec};

use arguments::Arguments;

/// What `--version` says behind the name.
const LONG_VERSION: &str = concat!(
    "of Causeway ",
    env!("CARGO_PKG_VERSION"),
    "\nCNI protocol versions supported: 0.4.0, 1.0.0, 1.1.0\n\
     documentation: /usr/share/doc/causeway/docs/conformance.md"
);

/// Runs the rules of the CNI specification against a folder of plugins, on throw-away hosts. Nothing it does
/// reaches the machine's network: it makes namespaces of its own, as root or as a user who may make user namespaces
#[derive(Debug, Parser)]
#[command(name = "causeway-conformance", version, long_version = LONG_VERSION, after_help = after_help())]
struct Call {
    #[command(flatten)]
    arguments: Arguments,
}

fn after_help() -> String {
    let suite = LONG_VERSION.trim_start_matches("of ");
    format!(
        "Exit status: 0 where no MUST is broken, 1 where one is, 2 where nothing could be run.\n\n{suite}"
    )
}

fn main() -> ExitCode {
    let Call { arguments } = Call::parse();
    let done = match arguments.list {
        true => print(&list()).map(|()| false),
        false => {
            // What a check could not look at is in the report.
            std::panic::set_hook(Box::new(|_| {}));
            run(&arguments).map(|report| is_broken(&report, arguments.strict))
        }
    };
    match done {
        Ok(is_broken) => ExitCode::from(u8::from(is_broken)),
        Err(error) => {
            eprintln!("causeway-conformance: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<Report, String> {
    arguments.report.iter().try_for_each(|path| Report::has_form(path))?;
    let mut options = Options::new(arguments.bin.clone().unwrap_or_else(installed));
    let read = |path: &PathBuf| Configuration::read(path);
    options.configurations = arguments.config.iter().map(read).collect::<Result<_, _>>()?;
    options.plugins.clone_from(&arguments.plugin);
    options.specs.clone_from(&arguments.spec);
    options.limit = Duration::from_secs(arguments.timeout.clamp(1, 600));
    machine::prepare()?;
    let report = conformance::run(&options)?;
    print(&if arguments.json { report.json() } else { report.table() })?;
    for path in &arguments.report {
        report.write(path)?;
    }
    if report.outcomes().all(|(_, outcome)| outcome.verdict.is_err()) {
        return Err(format!("{}: nothing passed or could be run", options.folder.display()));
    }
    Ok(report)
}

/// The folder that plugins are installed in.
fn installed() -> PathBuf {
    let path = env::var_os("CNI_PATH").unwrap_or_default();
    let first = env::split_paths(&path).find(|folder| !folder.as_os_str().is_empty());
    first.unwrap_or_else(|| "/opt/cni/bin".into())
}

fn is_broken(report: &Report, is_strict: bool) -> bool {
    let other = report.failures(Level::Should) + report.failures(Level::Habit);
    report.failures(Level::Must) > 0 || is_strict && other > 0
}

fn list() -> String {
    let mut text = format!("{:<8}{:<8}{:<8}{:<54}section\n", "0.4.0", "1.0.0", "1.1.0", "rule");
    for (name, section, levels) in conformance::rules() {
        for level in levels {
            let level = level.map(|level| level.to_string()).unwrap_or_default();
            text += &format!("{level:<8}");
        }
        text += &format!("{name:<54}{section}\n");
    }
    text
}

/// Writes to standard output. A reader that has gone away wants no more.
fn print(text: &str) -> Result<(), String> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("write to standard output: {error}"))
        }
        _done => Ok(()),
    }
}

//! Makes every system call of ADD and DEL of every plugin of the default chain fail in turn, or the
//! process die there, and looks at what is left: `scripts/faults` builds and runs it.
//!
//! A test program: it is never installed. All it does is on throw-away hosts (`testsupport::Host`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test program: it prints, and ends where it can't go on"
)]

mod calls;
mod chain;
mod churn;
mod errnos;
mod exceptions;
mod fault;
mod hanging;
mod registers;
mod scene;
mod site;
mod state;
mod summary;
mod sweep;
mod tracer;
mod trial;

use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use churn::Time;
use fault::{Command, Fault};
use hanging::Case;
use scene::Kind;
use sweep::Extent;
use trial::{Next, Trial, Verdict, shown};

const USAGE: &str = "usage: scripts/faults [--bounded]          everything, or a sample of it
       scripts/faults churn [PAIRS]            2,000 pairs of ADD and DEL, unless another number
       scripts/faults hanging                  an IPAM plugin that never ends
       scripts/faults sweep [KIND [ADD|DEL]]   every fault of bridge, fresh-bridge, host-local, portmap,
                                               fresh-portmap, iptables-portmap, firewall,
                                               fresh-firewall, iptables-firewall, bandwidth or
                                               tuning
       scripts/faults list KIND ADD|DEL        the system calls
       scripts/faults --only 'FAULT'           one fault, like 'bridge ADD delegate/0 openat#7 EIO'";

/// Hosts at a time.
const WORKERS: usize = 2;
/// Pairs of ADD and DEL in a churn, and in a bounded one.
const PAIRS: usize = 2000;
const FEW_PAIRS: usize = 320;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        [tracer::LAUNCH, program] => Err(tracer::launch(program).to_string()),
        [] => all(Extent::Full),
        ["--bounded"] => all(Extent::Bounded),
        ["churn"] => Ok(churn::churn(PAIRS, Time::Judged)),
        ["churn", pairs] => match pairs.parse() {
            Ok(pairs) if pairs < PAIRS => Ok(churn::churn(pairs, Time::Shown)),
            Ok(pairs) => Ok(churn::churn(pairs, Time::Judged)),
            Err(error) => Err(format!("{pairs}: {error}")),
        },
        ["hanging"] => {
            Ok(thread::scope(|scope| hanging::finish(hanging::start(scope, &Case::FULL))))
        }
        ["sweep", ref which @ ..] => selected(which).and_then(|all| run(&all, Extent::Full)),
        ["list", ref which @ ..] => selected(which).and_then(|all| list(&all)),
        ["--only", fault] => fault.parse().and_then(|fault| only(&fault)),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn everything(extent: Extent) -> Vec<(Kind, Command)> {
    let kinds = match extent {
        Extent::Full => &Kind::ALL[..],
        Extent::Bounded => &Kind::BOUNDED[..],
    };
    kinds.iter().flat_map(|kind| Command::ALL.map(|command| (*kind, command))).collect()
}

fn selected(which: &[&str]) -> Result<Vec<(Kind, Command)>, String> {
    let mut all = everything(Extent::Full);
    if let Some(kind) = which.first() {
        let kind: Kind = kind.parse()?;
        all.retain(|(known, _)| *known == kind);
    }
    if let Some(word) = which.get(1) {
        all.retain(|(_, command)| command.word() == *word);
    }
    if all.is_empty() || which.len() > 2 { Err(USAGE.to_owned()) } else { Ok(all) }
}

/// Sweep and churn, and beside them what takes a minute of waiting.
fn all(extent: Extent) -> Result<bool, String> {
    let (cases, pairs, time) = match extent {
        Extent::Full => (&Case::FULL[..], PAIRS, Time::Judged),
        Extent::Bounded => (&Case::BOUNDED[..], FEW_PAIRS, Time::Shown),
    };
    let start = Instant::now();
    thread::scope(|scope| {
        let hanging = hanging::start(scope, cases);
        let churned = scope.spawn(|| churn::churn(pairs, time)).join().expect("the churn");
        let summary = sweep::sweep(&everything(extent), extent, WORKERS);
        let bounded = hanging::finish(hanging);
        println!("\n{summary}{:.0} s in all", start.elapsed().as_secs_f64());
        Ok(churned && bounded && summary.is_fine())
    })
}

fn run(selection: &[(Kind, Command)], extent: Extent) -> Result<bool, String> {
    let summary = sweep::sweep(selection, extent, WORKERS);
    println!("\n{summary}");
    Ok(summary.is_fine())
}

fn list(selection: &[(Kind, Command)]) -> Result<bool, String> {
    for &(kind, command) in selection {
        println!("{kind} {}", command.word());
        for (site, stage) in Trial::new(kind).list(command) {
            println!("  {site} {stage:?}");
        }
    }
    Ok(true)
}

/// Both ways on after a kill.
fn only(fault: &Fault) -> Result<bool, String> {
    let mut fine = true;
    for next in [Next::Del, Next::Retry] {
        let (verdict, run) = Trial::new(fault.kind).run(fault, next);
        println!("{fault}, then {next:?}: {}", shown(&run));
        match verdict {
            Verdict::Broken(broken) => {
                println!("  FAILED\n  {}", broken.join("\n  "));
                fine = false;
            }
            other => println!("  {other:?}"),
        }
    }
    Ok(fine)
}

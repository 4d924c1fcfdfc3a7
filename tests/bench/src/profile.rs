//! Where the time of an ADD and of a DEL goes: shares by system call, as `strace` sees them, and by symbol,
//! as `perf` does where there is one. Of this suite alone.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::contender::{Attachment, Seat};
use crate::plugins::{Chained, NAMES, Plugins};

/// Samples of `perf` per second. A call takes a few milliseconds.
const FREQUENCY: &str = "20000";
/// Shares below this many per cent are not shown.
const SMALLEST: f64 = 0.5;
/// The commands, and what their processes are called for `perf`.
const COMMANDS: [(&str, &str); 2] = [("ADD", "bridge-add"), ("DEL", "bridge-del")];
/// What `perf` records: so many ADDs and DELs, one after the other.
const LOOP: &str = r#"for _ in $(seq "$1"); do
    CNI_COMMAND=ADD "$2" <"$4" && CNI_COMMAND=DEL "$3" <"$4" || exit
done"#;

/// Shares of `rounds` ADDs and DELs in the state that the host is in.
pub(crate) fn of(seat: &Seat, attachment: &Attachment, rounds: usize) -> String {
    by_system_call(seat, attachment, rounds) + &by_symbol(seat, attachment, rounds)
}

/// Calls and seconds of one system call.
#[derive(Default)]
struct Spent {
    calls: u64,
    seconds: f64,
}

/// Shares of `rounds` ADDs and DELs of a chain by system call, plugin by plugin. `folder` is for files.
pub(crate) fn of_chain(
    (plugins, chained): (&Plugins, &Chained),
    folder: &Path,
    rounds: usize,
) -> String {
    let mut spent = BTreeMap::<(&str, &str), BTreeMap<String, Spent>>::new();
    let report = |name: &str| folder.join(format!("strace-{name}"));
    let watched = |name: &'static str, process: Command| {
        let mut strace = strace(&report(name));
        strace.arg(process.get_program()).env_clear();
        strace.envs(process.get_envs().filter_map(|(name, value)| Some((name, value?))));
        strace
    };
    for _ in 0..rounds {
        let (added, result) = plugins.add(chained, &watched);
        let mut note = |command, name| {
            let summary = fs::read_to_string(report(name)).unwrap();
            read_calls(&summary, spent.entry((name, command)).or_default());
        };
        added.iter().for_each(|(name, _)| note("ADD", *name));
        let deleted = plugins.del(chained, &result, &watched);
        deleted.iter().for_each(|(name, _)| note("DEL", *name));
    }
    let mut text = String::new();
    for name in NAMES {
        for command in ["ADD", "DEL"] {
            if let Some(spent) = spent.remove(&(name, command)) {
                text += &calls(&format!("{command} of {name}"), spent, rounds);
            }
        }
    }
    text
}

/// `strace` that leaves sums of calls by the clock, waiting included; children are followed.
fn strace(report: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-w", "-U", "name,calls,time-total", "-o"]).arg(report);
    strace
}

fn by_system_call(seat: &Seat, attachment: &Attachment, rounds: usize) -> String {
    let report = seat.folder().join("strace");
    let mut spent = COMMANDS.map(|_| BTreeMap::<String, Spent>::new());
    for _ in 0..rounds {
        for ((command, _), spent) in COMMANDS.iter().zip(&mut spent) {
            seat.watch(strace(&report), command, attachment).unwrap();
            read_calls(&fs::read_to_string(&report).unwrap(), spent);
        }
    }
    let tables = COMMANDS.iter().zip(spent);
    tables.map(|((command, _), spent)| calls(command, spent, rounds)).collect()
}

/// Adds what a summary of `strace -c` says: lines of name, calls and seconds.
fn read_calls(summary: &str, spent: &mut BTreeMap<String, Spent>) {
    for line in summary.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, calls, seconds] = words.as_slice() else { continue };
        let (Ok(calls), Ok(seconds)) = (calls.parse::<u64>(), seconds.parse::<f64>()) else {
            continue;
        };
        // The sum at the end.
        if *name != "total" {
            let entry = spent.entry((*name).to_owned()).or_default();
            entry.calls += calls;
            entry.seconds += seconds;
        }
    }
}

fn calls(command: &str, spent: BTreeMap<String, Spent>, rounds: usize) -> String {
    let all: f64 = spent.values().map(|spent| spent.seconds).sum();
    let count: u64 = spent.values().map(|spent| spent.calls).sum();
    let each = |calls: u64| calls as f64 / rounds as f64;
    let mut text = format!(
        "{command}: {:.0} system calls, {:.2} ms under strace; shares of their time\n",
        each(count),
        all * 1e3 / rounds as f64
    );
    let mut rows: Vec<_> = spent.into_iter().collect();
    rows.sort_by(|(_, a), (_, b)| b.seconds.total_cmp(&a.seconds));
    for (name, Spent { calls, seconds }) in rows {
        let share = seconds / all * 100.0;
        if share >= SMALLEST {
            writeln!(text, "{share:>6.1} %  {:>5.1} calls  {name}", each(calls)).ok();
        }
    }
    text + "\n"
}

fn by_symbol(seat: &Seat, attachment: &Attachment, rounds: usize) -> String {
    let data = seat.folder().join("perf.data");
    // The kernel names a process after the path it was started by.
    let [add, del] = COMMANDS.map(|(_, name)| seat.linked(name));
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "--freq", FREQUENCY, "--output"]).arg(&data);
    perf.args(["--", "sh", "-c", LOOP, "sh", &rounds.to_string()]).arg(add).arg(del);
    match seat.watch_loop(perf, attachment) {
        Ok(()) => COMMANDS.map(|(command, name)| symbols(&data, command, name)).concat(),
        Err(reason) => format!("shares by symbol: not measured ({reason})\n"),
    }
}

fn symbols(data: &Path, command: &str, process: &str) -> String {
    let mut perf = Command::new("perf");
    perf.args(["report", "--stdio", "--quiet", "--sort", "symbol", "--comms", process]);
    perf.args(["--percentage", "relative", "--percent-limit", &SMALLEST.to_string()]);
    let output = perf.arg("--input").arg(data).output().unwrap();
    let rows = String::from_utf8_lossy(&output.stdout);
    let rows = rows.lines().filter(|row| row.contains('%'));
    // Behind the symbol stand columns that are empty here.
    let rows: String = rows.map(|row| format!("{}\n", row.trim_end_matches([' ', '-']))).collect();
    format!("{command}: shares of the processor's time ([k]: in the kernel)\n{rows}\n")
}

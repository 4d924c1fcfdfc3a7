//! What a call costs, by the number of leases that are held: this suite's `host-local` beside the
//! reference's, in one run on one folder each. `scripts/bench pool` builds and runs it.
//!
//! Only the ratios mean something on another machine.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement that can't be made ends the program"
)]

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Leases in a full pool.
const MANY: u32 = 60_000;
/// Addresses that 10.0.0.0/16 gives: all but network, broadcast and gateway.
const ALL: u32 = 65_533;

/// A pool of one suite.
struct Bench {
    program: PathBuf,
    folder: PathBuf,
    config: PathBuf,
}

impl Bench {
    fn new(program: &Path, work: &Path, name: &str) -> Self {
        Self::of(program, work, name, r#""subnet":"10.0.0.0/16""#)
    }

    fn of(program: &Path, work: &Path, name: &str, ranges: &str) -> Self {
        let data_dir = work.join(name);
        fs::create_dir_all(data_dir.join("net")).unwrap();
        let config = data_dir.join("config.json");
        let text = format!(
            r#"{{"cniVersion":"VERSION","name":"net","type":"x","ipam":{{"type":"host-local",{ranges},"dataDir":"{}"}},"cni.dev/valid-attachments":[]}}"#,
            data_dir.display()
        );
        fs::write(&config, text.replace("VERSION", "1.0.0")).unwrap();
        fs::write(data_dir.join("gc.json"), text.replace("VERSION", "1.1.0")).unwrap();
        Self { program: program.to_owned(), folder: data_dir.join("net"), config }
    }

    /// Makes the first `count` addresses held, but for `free`; the round robin goes on at `last`.
    fn fill(&self, count: u32, free: Option<u32>, last: u32) {
        let ip = |number: u32| Ipv4Addr::from(0x0a00_0001 + number).to_string();
        for number in (1..=count).filter(|number| Some(*number) != free) {
            let content = format!("{number:064x}\r\neth0");
            fs::write(self.folder.join(ip(number)), content).unwrap();
        }
        fs::write(self.folder.join("last_reserved_ip.0"), ip(last)).unwrap();
    }

    /// The time of one call.
    fn call(&self, command: &str, container: &str) -> Duration {
        let gc = self.config.with_file_name("gc.json");
        let config = if command == "GC" { &gc } else { &self.config };
        let mut process = Command::new(&self.program);
        process
            .env_clear()
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", container)
            .env("CNI_NETNS", "/none")
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", "/none")
            .stdin(File::open(config).unwrap())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let begin = Instant::now();
        let status = process.status().unwrap();
        let time = begin.elapsed();
        assert!(status.success(), "{command} {container}: {status}");
        time
    }

    /// The median times of `rounds` ADDs and DELs of one container, and of DELs of none.
    fn rounds(&self, rounds: usize) -> [Duration; 3] {
        // What this call finds out is kept for those that are measured.
        self.call("DEL", "warm-up");
        self.call("ADD", "warm-up");
        self.call("DEL", "warm-up");
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            times[0].push(self.call("ADD", "measured"));
            times[1].push(self.call("DEL", "measured"));
            times[2].push(self.call("DEL", "unknown"));
        }
        times.map(median)
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn ratio(one: Duration, other: Duration) -> String {
    format!("{:.2}", one.as_secs_f64() / other.as_secs_f64())
}

fn line(what: &str, ours: Duration, theirs: Option<Duration>) {
    let theirs_text = theirs.map_or_else(|| "-".to_owned(), milliseconds);
    let ratio = theirs.map_or_else(|| "-".to_owned(), |theirs| ratio(theirs, ours));
    println!("{what:<44} {:>12} {theirs_text:>12} {ratio:>8}", milliseconds(ours));
}

fn against_reference(ours: &Path, theirs: &Path, work: &Path) -> [Duration; 3] {
    println!("{:<44} {:>12} {:>12} {:>8}", "median time of a call", "ours", "reference", "ratio");
    let (our, their) = (Bench::new(ours, work, "ours"), Bench::new(theirs, work, "theirs"));
    let names = ["ADD", "DEL", "DEL of nothing held"];
    let empty = [our.rounds(101), their.rounds(31)];
    for (index, name) in names.iter().enumerate() {
        line(&format!("{name}, empty pool"), empty[0][index], Some(empty[1][index]));
    }
    our.fill(MANY, None, MANY);
    their.fill(MANY, None, MANY);
    let full = [our.rounds(101), their.rounds(5)];
    for (index, name) in names.iter().enumerate() {
        line(&format!("{name}, {MANY} held"), full[0][index], Some(full[1][index]));
    }
    println!("\ngrowth: {MANY} held against none (1.00 is none)");
    for (index, name) in names.iter().enumerate() {
        let growth = [0, 1].map(|who| ratio(full[who][index], empty[who][index]));
        println!("{name:<44} {:>12} {:>12}", growth[0], growth[1]);
    }
    empty[0]
}

/// GC of as many stale leases, beside the removal of as many files by `rm`.
fn gc(ours: &Path, work: &Path) {
    let [by_us, by_rm] = ["gc", "rm"].map(|name| Bench::new(ours, work, name));
    by_rm.fill(MANY, None, MANY);
    let begin = Instant::now();
    let status = Command::new("rm").arg("-r").arg(&by_rm.folder).status().unwrap();
    let rm = begin.elapsed();
    assert!(status.success());
    by_us.fill(MANY, None, MANY);
    let gc = by_us.call("GC", "");
    assert_eq!(fs::read_dir(&by_us.folder).unwrap().count(), 2, "GC left something");
    println!();
    line(&format!("GC of {MANY} stale leases"), gc, None);
    println!("{:<44} {:>12}", "  against `rm -r` of as many files", ratio(gc, rm));
}

fn extremes(ours: &Path, work: &Path, empty_add: Duration) {
    let last_one = Bench::new(ours, work, "last-one");
    // The free one is the last that the round robin comes to.
    last_one.fill(ALL, Some(ALL / 2), ALL / 2);
    let [add, ..] = last_one.rounds(31);
    line(&format!("ADD, one free among {}", ALL + 1), add, None);
    println!("{:<44} {:>12}", "  against an ADD on an empty pool", ratio(add, empty_add));
    let after_change = {
        fs::remove_file(last_one.folder.join("10.0.0.9")).unwrap();
        last_one.call("DEL", "unknown")
    };
    line("the call after somebody else's change", after_change, None);
    for (name, subnet) in [("fd00::/64", "fd00::/64"), ("fd00::/24", "fd00::/24")] {
        let wide = Bench::of(
            ours,
            work,
            &name.replace(['/', ':'], "-"),
            &format!(r#""subnet":"{subnet}""#),
        );
        line(&format!("first ADD of {name}"), wide.call("ADD", "first"), None);
    }
}

fn main() {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [ours, theirs] = arguments.as_slice() else {
        println!("usage: bench-pool OUR-HOST-LOCAL THEIR-HOST-LOCAL");
        std::process::exit(2);
    };
    let work = std::env::temp_dir().join(format!("causeway-bench-{}", std::process::id()));
    let empty = against_reference(ours, theirs, &work);
    gc(ours, &work);
    extremes(ours, &work, empty[0]);
    fs::remove_dir_all(work).unwrap();
}

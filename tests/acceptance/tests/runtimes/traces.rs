//! What an attachment may leave on a host, as text: the same before and after means nothing.

use std::net::IpAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use cni_runtime::Runtime;
use testsupport::Host;

use crate::node::SOON;

/// Where any of the lists keeps leases.
const LEASES: [&str; 2] = ["/var/lib/cni/networks", "/run/cni"];

/// Links, addresses, routes, both packet filters, held addresses and known results.
pub(crate) fn of_attachments(host: &Host, runtime: &Runtime) -> String {
    let mut lines = Vec::new();
    for command in [
        "ip -oneline link",
        "ip -oneline address",
        "ip -4 route show table all",
        "ip -6 route show table all",
        "iptables-save",
        "ip6tables-save",
        "nft list ruleset",
        "tc qdisc",
    ] {
        lines.push(format!("== {command}"));
        let text = host.run(command.split(' ').collect::<Vec<_>>());
        lines.extend(text.lines().map(settled).filter(|line| !line.is_empty()));
    }
    lines.push("== leases".to_owned());
    lines.extend(leases(host));
    lines.push("== results".to_owned());
    let found = runtime.cache().file("", &cni_runtime::Attachment::default());
    let known = host.finish(["find", found.parent().unwrap().to_str().unwrap(), "-type", "f"]);
    lines.extend(String::from_utf8_lossy(&known.stdout).lines().map(str::to_owned));
    lines.join("\n")
}

/// The same once the kernel has removed the pairs of namespaces that are gone, which it does in
/// its own time.
pub(crate) fn without_pairs(host: &Host, runtime: &Runtime) -> String {
    let started = Instant::now();
    let pairs = || host.run(["ip", "-oneline", "link", "show", "type", "veth"]);
    while pairs().lines().any(|line| !line.contains(" uplink0@")) && started.elapsed() < SOON {
        thread::sleep(Duration::from_millis(20));
    }
    of_attachments(host, runtime)
}

/// The files of held addresses.
pub(crate) fn leases(host: &Host) -> Vec<String> {
    let found = host.finish(["find", LEASES[0], LEASES[1], "-type", "f"]);
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    let mut held: Vec<String> =
        text.lines().filter(|line| is_lease(line)).map(str::to_owned).collect();
    held.sort();
    held
}

fn is_lease(path: &str) -> bool {
    let name = PathBuf::from(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.parse::<IpAddr>().is_ok()
}

/// A line without what changes by itself: counters, times, and a bridge's state, which is that of
/// its ports.
fn settled(line: &str) -> String {
    if line.starts_with('#') {
        return String::new();
    }
    let mut kept = Vec::new();
    let mut words = line.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "packets" | "bytes" | "state" => drop(words.next()),
            _ if word.starts_with("<") => {}
            // A counter of iptables-save: [12:345].
            _ if word.starts_with('[') && word.ends_with(']') => {}
            // Without ports it is said of the routes of a bridge.
            "linkdown" => {}
            _ => kept.push(word),
        }
    }
    kept.join(" ")
}

/// Fails the test with the lines that differ.
#[track_caller]
pub(crate) fn assert_same(before: &str, after: &str) {
    let only_in = |a: &str, b: &str| -> Vec<String> {
        a.lines().filter(|line| !b.lines().any(|other| other == *line)).map(str::to_owned).collect()
    };
    let (gone, new) = (only_in(before, after), only_in(after, before));
    assert!(before == after, "gone: {gone:#?}\nnew: {new:#?}\nnow:\n{after}");
}

/// Fails the test if anything that is left names one of these.
#[track_caller]
pub(crate) fn assert_none_of(words: &[&str], host: &Host, runtime: &Runtime) {
    let all = of_attachments(host, runtime);
    // An address is not the beginning of a longer one.
    let parts = |line: &str| -> Vec<String> {
        let between = |c: char| !(c.is_ascii_alphanumeric() || ".:-_".contains(c));
        line.split(between).map(str::to_owned).collect()
    };
    let left: Vec<&str> = all
        .lines()
        .filter(|line| parts(line).iter().any(|part| words.contains(&part.as_str())))
        .collect();
    assert!(left.is_empty(), "left of {words:?}: {left:#?}");
}

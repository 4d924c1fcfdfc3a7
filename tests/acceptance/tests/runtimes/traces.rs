//! What an attachment may leave on a host, as text: the same before and after means nothing.

use std::thread;
use std::time::{Duration, Instant};

use cni_runtime::Runtime;
use testsupport::Host;

use crate::node::SOON;

/// Links, addresses, routes, both packet filters, held addresses and known results.
pub(crate) fn of_attachments(host: &Host, runtime: &Runtime) -> String {
    let mut lines = host.traces();
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
    host.leases()
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

//! What plugins may leave on a host, line by line: the same before and after means nothing was left.

use std::net::IpAddr;
use std::path::Path;

use crate::host::Host;

/// Where plugins keep leases, and what they keep in files while a host runs.
const FOLDERS: [&str; 2] = ["/var/lib/cni", "/run/cni"];

impl Host {
    /// Links, addresses, routes, both packet filters, queues and held addresses; without what changes by
    /// itself.
    pub fn traces(&self) -> Vec<String> {
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
            let text = self.run(command.split(' ').collect::<Vec<_>>());
            lines.extend(text.lines().map(settled).filter(|line| !line.is_empty()));
        }
        lines.push("== leases".to_owned());
        lines.extend(self.leases());
        lines
    }

    /// The files of held addresses, which are named by them.
    pub fn leases(&self) -> Vec<String> {
        let found = self.finish(["find", FOLDERS[0], FOLDERS[1], "-type", "f"]);
        let text = String::from_utf8_lossy(&found.stdout).into_owned();
        let mut held: Vec<String> =
            text.lines().filter(|line| is_lease(line)).map(str::to_owned).collect();
        held.sort();
        held
    }
}

fn is_lease(path: &str) -> bool {
    let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
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
            // Of an address that was made a moment ago.
            "tentative" => {}
            _ => kept.push(word),
        }
    }
    kept.join(" ")
}

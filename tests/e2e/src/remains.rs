//! What attachments have left on a node: nothing, when all containers are gone.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::Node;

/// How long after the last DEL its process that waits for the kernel may go on, and whoever adopted it take to
/// reap it.
const REAPED_WITHIN: Duration = Duration::from_secs(2);

/// The names of the plugins' processes.
const PLUGINS: [&str; 7] =
    ["bandwidth", "bridge", "firewall", "host-local", "loopback", "portmap", "tuning"];
/// Links that belong to the node, or that stay for the next container.
const STAYING_LINKS: [&str; 2] = ["lo", "uplink0"];

/// One line for each thing that an attachment has left: links but for `bridges`, addresses in pools,
/// cached results, namespaces, rules that speak of `marks` (container IDs, subnets), and processes of plugins,
/// zombies included.
pub fn list(node: &Node, bridges: &[&str], marks: &[&str]) -> Vec<String> {
    let mut found = links(node, bridges);
    found.extend(files(Path::new("/var/lib/cni")));
    found.extend(namespaces());
    found.extend(rules(node, marks));
    found.extend(processes());
    found
}

fn processes() -> Vec<String> {
    let deadline = Instant::now() + REAPED_WITHIN;
    loop {
        let found: Vec<String> = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("stat")).ok())
            .filter(|stat| PLUGINS.iter().any(|name| stat.contains(&format!(" ({name}) "))))
            .map(|stat| format!("process {}", stat.chars().take(40).collect::<String>()))
            .collect();
        if found.is_empty() || Instant::now() > deadline {
            return found;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn links(node: &Node, bridges: &[&str]) -> Vec<String> {
    let text = node.run(["ip", "-oneline", "link"]);
    let name = |line: &str| line.split(": ").nth(1)?.split('@').next().map(str::to_owned);
    let names = text.lines().filter_map(name);
    let stays = |name: &String| STAYING_LINKS.iter().chain(bridges).any(|known| known == name);
    names.filter(|name| !stays(name)).map(|name| format!("link {name}")).collect()
}

/// Files below `/var/lib/cni` that stand for an attachment: leases are named by their address, and
/// everything outside `networks` is a result that a runtime keeps, or a plugin's notes.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            // host-local's cache beside the pools, which holds no lease.
            if name != ".causeway" {
                found.extend(files(&path));
            }
        } else if !path.starts_with("/var/lib/cni/networks") || name.parse::<IpAddr>().is_ok() {
            found.push(format!("file {}", path.display()));
        }
    }
    found
}

fn namespaces() -> Vec<String> {
    let names = fs::read_dir("/run/netns").unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name != "outside").map(|name| format!("namespace {name}")).collect()
}

fn rules(node: &Node, marks: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for program in ["iptables-save", "ip6tables-save"] {
        let text = node.run([program]);
        let per_container = |line: &&str| {
            // The reference's chains of one container: CNI-DN-<hash>, CNI-<hash>.
            let chain = line.strip_prefix(":CNI-").and_then(|rest| rest.split(' ').next());
            let hash = chain.map(|name| name.trim_start_matches("DN-"));
            hash.is_some_and(|hash| {
                hash.len() > 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            })
        };
        let marked =
            |line: &&str| per_container(line) || marks.iter().any(|mark| line.contains(mark));
        found.extend(text.lines().filter(marked).map(|line| format!("{program}: {line}")));
    }
    let text = node.run(["nft", "list", "ruleset"]);
    let marked =
        |line: &&str| marks.iter().any(|mark| line.contains(mark)) || line.contains(" causeway ");
    found.extend(text.lines().filter(marked).map(|line| format!("nft: {}", line.trim())));
    found
}

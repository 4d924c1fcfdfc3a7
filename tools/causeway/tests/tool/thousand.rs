//! A thousand attachments: everything that only looks takes less than a second.

use std::env;
use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use causeway_host_local::store::{Location, Pool};
use cni_common::names;
use cni_common::sys::nft::Nft;
use cni_common::types::Attachment;
use serde_json::{Value, json};
use testsupport::Container;

use crate::node::Node;
use crate::progress::on_a_terminal;

/// As promised of release executables.
const LIMIT: Duration = Duration::from_secs(1);
/// How many times that others may take.
const UNOPTIMIZED: u32 = if cfg!(debug_assertions) { 4 } else { 1 };

#[test]
fn a_thousand_attachments_are_looked_at_within_a_second() {
    let network = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [
        {"type": "bridge", "bridge": "cni0", "ipam": {"type": "host-local", "subnet": "10.85.0.0/16"}}]});
    let node = Node::new(&[network]);
    let _all = attach_many(&node, 1000);
    for words in ["ls", "graph", "pool", "check"] {
        let (answer, usage) = node.measured(words);
        let listing = answer.json();
        let count = match words {
            // A thousand ports are nearly all that a bridge has.
            "check" => {
                assert_eq!(listing["findings"][0]["kind"], "bridge-nearly-full", "{answer}");
                1001 - listing["findings"].as_array().unwrap().len()
            }
            "pool" => usize::try_from(listing["pools"][0]["held"].as_u64().unwrap()).unwrap(),
            "graph" => listing["bridges"][0]["attachments"].as_array().unwrap().len(),
            _ => listing["networks"][0]["attachments"].as_array().unwrap().len(),
        };
        assert_eq!(count, 1000);
        // Not by the clock: other tests have the processors meanwhile.
        assert!(usage.cpu < LIMIT * UNOPTIMIZED, "{words} took {usage:?}");
        assert!(usage.memory < 64 * 1024, "{words} took {usage:?}");
    }
    let text = node.text(&["ls"], 0);
    assert_eq!(text.matches("alive").count(), 1000);
}

#[test]
fn a_thousand_attachments_without_their_rules_are_looked_at_within_a_second() {
    let node = Node::new(&[masqueraded_and_published()]);
    let _all = attach_many(&node, 1000);
    keep_results(1000);
    let (answer, usage) = node.measured("check");
    let found = answer.json()["findings"].as_array().unwrap().clone();
    let without = found.iter().filter(|one| one["kind"] == "attachment-without-rules").count();
    assert_eq!(without, 2000, "masquerading and ports of each: {answer}");
    assert!(usage.cpu < LIMIT * UNOPTIMIZED, "{usage:?}");
}

#[test]
fn rules_of_all_attachments_are_put_back_by_one_call() {
    // Where release executables are named the thousand whose figure docs/operating.md has; others take too long.
    let count = if env::var_os("CNI_BIN_DIR").is_some() { 1000 } else { 200 };
    let node = Node::new(&[masqueraded_and_published()]);
    let _all = attach_many(&node, count);
    keep_results(count);
    let before = generation();
    let begun = Instant::now();
    let (answer, usage) = node.measured("repair");
    println!("rules of {count} attachments are put back within {:?}: {usage:?}", begun.elapsed());
    let done = answer.json();
    // Masquerading and ports of each, and two of all.
    assert_eq!(done["repaired"].as_array().unwrap().len(), usize::from(count) * 2 + 2, "{done:#}");
    assert_eq!((&done["left"], &done["errors"]), (&json!([]), &json!([])));
    // One for many, not one for each of the faults.
    let transactions = generation() - before;
    assert!(transactions <= u32::from(count) / 20, "{transactions} transactions");
    let (answer, _) = node.measured("check");
    let found = answer.json()["findings"].as_array().unwrap().clone();
    assert!(found.iter().all(|one| one["kind"] == "bridge-nearly-full"), "{found:#?}");
}

/// How many transactions the packet filter has seen.
fn generation() -> u32 {
    let found = Nft::open().unwrap().generation().unwrap().unwrap();
    let text = format!("{found:?}");
    text.trim_matches(|one: char| !one.is_ascii_digit()).parse().unwrap()
}

fn masqueraded_and_published() -> Value {
    json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "ipMasqBackend": "nftables",
         "ipam": {"type": "host-local", "subnet": "10.85.0.0/16"}},
        {"type": "portmap", "capabilities": {"portMappings": true}}]})
}

/// What a runtime keeps of each: a published port.
fn keep_results(count: u16) {
    let results = "/var/lib/cni/results";
    fs::create_dir_all(results).unwrap();
    for number in 0..count {
        let [high, low] = (number + 2).to_be_bytes();
        let ports = json!([{"hostPort": 20_000 + number, "containerPort": 80, "protocol": "tcp"}]);
        let entry = json!({"kind": "cniCacheV1", "containerId": format!("c{number}"), "config": "e30=",
            "ifName": format!("eth{number}"), "networkName": "pods", "netns": "/run/netns/all",
            "capabilityArgs": {"portMappings": ports},
            "result": {"cniVersion": "1.0.0", "interfaces": [{"name": "cni0"},
                {"name": format!("eth{number}"), "sandbox": "/run/netns/all"}],
                "ips": [{"interface": 1, "address": format!("10.85.{high}.{low}/16"), "gateway": "10.85.0.1"}]}});
        fs::write(format!("{results}/pods-c{number}-eth{number}"), entry.to_string()).unwrap();
    }
}

#[test]
fn what_takes_long_with_a_thousand_attachments_says_how_far_it_is() {
    let network = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [
        {"type": "bridge", "bridge": "cni0", "ipMasq": true, "ipMasqBackend": "nftables",
         "ipam": {"type": "host-local", "subnet": "10.85.0.0/16"}}]});
    let node = Node::new(&[network]);
    let _all = attach_many(&node, 1000);
    // None of them has its rules, and the table is there, so that each is looked for by itself.
    node.host.run(["nft", "add", "table", "inet", "causeway"]);
    let seen = on_a_terminal(&node, "check --json > /dev/null; true");
    let counts = seen.split("\r\u{1b}[K").filter_map(|line| {
        let (done, of) = line.strip_prefix("checked ")?.split_once(" of ")?;
        (of == "1000 attachments").then(|| done.parse::<u32>().unwrap())
    });
    let counts: Vec<u32> = counts.collect();
    assert!(counts.iter().any(|done| (1..1000).contains(done)), "{seen:?}");
}

/// What so many ADDs would have made, by two commands.
fn attach_many(node: &Node, count: u16) -> Container {
    node.host.run(["ip", "link", "add", "cni0", "type", "bridge"]);
    node.host.run(["ip", "link", "set", "cni0", "up"]);
    let container = node.host.container("all");
    // The kernel would look after IPv6 addresses of them all in the one queue that other tests wait for, too.
    node.host.run(["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
    container.run(["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
    let location = Location {
        data_dir: "/var/lib/cni/networks".into(),
        network: "pods".into(),
        keeps_history: false,
    };
    let mut pool = Pool::create(&location).unwrap();
    let (mut links, mut addresses) = (String::new(), String::new());
    for number in 0..count {
        let attachment = Attachment {
            network: "pods".parse().unwrap(),
            container: format!("c{number}").parse().unwrap(),
            ifname: format!("eth{number}").parse().unwrap(),
        };
        let [high, low] = (number + 2).to_be_bytes();
        let ip = format!("10.85.{high}.{low}").parse().unwrap();
        assert!(pool.reserve(ip, &attachment.container, &attachment.ifname).unwrap());
        let (name, peer) = (names::host_interface(&attachment), &attachment.ifname);
        writeln!(links, "link add {name} type veth peer name {peer} netns all").unwrap();
        writeln!(links, "link set {name} alias {attachment} master cni0 up").unwrap();
        writeln!(addresses, "address add {ip}/16 dev {peer}").unwrap();
        writeln!(addresses, "link set {peer} up").unwrap();
    }
    pool.save();
    let batch = node.host.temp_dir().join("batch");
    let batch = batch.to_str().unwrap();
    fs::write(batch, links).unwrap();
    node.host.run(["ip", "-batch", batch]);
    fs::write(batch, addresses).unwrap();
    container.run(["ip", "-batch", batch]);
    container
}

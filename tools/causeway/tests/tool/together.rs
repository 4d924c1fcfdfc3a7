//! What many attachments lack is put back at once, and none of them is in the others' way.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cni_common::names;
use cni_common::nft::Value;
use cni_common::packet_filter::table::INET;
use cni_common::sys::attacher::LOCK_FILE;
use cni_common::sys::byte_lock::ByteLock;
use cni_common::sys::nft::Nft;
use cni_common::types::Attachment;
use serde_json::json;
use testsupport::Container;

use crate::node::{Node, attachment, pods, pods_with};

/// Three containers, each with a published port: 8080, 8081, 8082.
fn three() -> (Node, [Container; 3]) {
    let node = Node::new(&[pods()]);
    let containers = ["a", "b", "c"].map(|name| node.host.container(name));
    for (port, container) in (8080..).zip(&containers) {
        let ports = json!([{"hostPort": port, "containerPort": 80, "protocol": "tcp"}]);
        node.add("pods", &attachment(container).capabilities([("portMappings", ports)]));
    }
    (node, containers)
}

/// The containers that a list of what was done is about.
fn containers(done: &serde_json::Value) -> Vec<&str> {
    done.as_array().unwrap().iter().map(|one| one["container"].as_str().unwrap()).collect()
}

#[test]
fn one_that_can_not_be_mended_keeps_nobody_else_from_it() {
    let (node, _containers) = three();
    for map in ["portmap/attachments", "portmap/ports/ip"] {
        node.host.run(["nft", "flush", "map", "inet", "causeway", map]);
    }
    let taken = "{ tcp . 8081 comment \"pods/c/eth0\" : 10.85.0.4 . 80 }";
    node.host.run(["nft", "add", "element", "inet", "causeway", "portmap/ports/ip", taken]);
    let done = node.json(&["repair"], 5);
    assert_eq!(containers(&done["repaired"]), ["a", "c"], "{done:#}");
    assert_eq!(containers(&done["left"]), ["b"], "{done:#}");
    let errors = done["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{done:#}");
    let error = errors[0].as_str().unwrap();
    assert!(error.contains(": host port tcp 8081 is held by pods/c/eth0 ("), "{error}");
    node.host.run(["nft", "delete", "element", "inet", "causeway", "portmap/ports/ip", taken]);
    let done = node.json(&["repair"], 1);
    assert_eq!(containers(&done["repaired"]), ["b"], "{done:#}");
    assert_eq!(node.text(&["check"], 0), "nothing is wrong\n");
}

#[test]
fn one_that_a_call_is_at_is_waited_for_when_the_others_are_mended() {
    let (node, _containers) = three();
    node.host.run(["nft", "delete", "table", "inet", "causeway"]);
    let first = Attachment {
        network: "pods".parse().unwrap(),
        container: "a".parse().unwrap(),
        ifname: "eth0".parse().unwrap(),
    };
    let (path, offset) = (Path::new(LOCK_FILE), names::lock_offset(&first));
    let lock = ByteLock::acquire(path, offset, Duration::from_secs(1)).unwrap().unwrap();
    let done = thread::scope(|scope| {
        scope.spawn(move || {
            let mut nft = Nft::open().unwrap();
            let ports = causeway_portmap::plan::maps().next().unwrap();
            let mut has = |port| {
                let key = [Value::Protocol(6), Value::Port(port)];
                nft.find_element(INET, &ports, &key).unwrap().is_some()
            };
            let begun = Instant::now();
            while !(has(8081) && has(8082)) {
                assert!(begun.elapsed() < Duration::from_secs(20), "the others wait, too");
                thread::sleep(Duration::from_millis(10));
            }
            assert!(!has(8080), "mended while a call is at it");
            drop(lock);
        });
        node.json(&["repair"], 1)
    });
    assert_eq!((&done["left"], &done["errors"]), (&json!([]), &json!([])), "{done:#}");
    assert_eq!(node.text(&["check"], 0), "nothing is wrong\n");
}

#[test]
fn one_that_firewall_lets_through_no_more_is_found_among_many() {
    let network = pods_with(json!({"type": "firewall"}));
    let node = Node::new(&[network]);
    let _containers = ["a", "b", "c"].map(|name| node.attach("pods", name));
    for (part, element) in [
        ("set inet causeway firewall/ipv4", "10.85.0.3"),
        ("map inet causeway firewall/attachments", "\"veth"),
    ] {
        let set: Vec<&str> = part.split(' ').collect();
        let listed = node.host.run([&["nft", "list"][..], &set].concat());
        let lines = listed.split(['\n', ',', '{']).map(str::trim);
        let own = lines.clone().find(|one| one.starts_with(element) && one.contains("pods/b/"));
        let key = own.unwrap().split(' ').next().unwrap();
        let words = ["nft", "delete", "element", set[1], set[2], set[3], "{", key, "}"];
        node.host.run(words);
        let found = node.json(&["check"], 4)["findings"].as_array().unwrap().clone();
        let subjects: Vec<&str> =
            found.iter().map(|one| one["subject"].as_str().unwrap()).collect();
        assert_eq!(subjects, ["pods/b/eth0"], "{part}: {found:#?}");
        let done = node.json(&["repair"], 1);
        assert_eq!(containers(&done["repaired"]), ["b"], "{done:#}");
        assert_eq!(node.text(&["check"], 0), "nothing is wrong\n");
    }
}

#[test]
fn what_firewall_made_of_many_is_put_back_with_its_policy() {
    let firewall =
        json!({"type": "firewall", "backend": "nftables", "ingressPolicy": "same-bridge"});
    let network = pods_with(firewall);
    let node = Node::new(&[network]);
    let _containers = ["a", "b", "c"].map(|name| node.attach("pods", name));
    let rules = || node.host.run(["nft", "--stateless", "list", "table", "inet", "causeway"]);
    let before = rules();
    node.host.run(["nft", "flush", "ruleset"]);
    let done = node.json(&["repair"], 1);
    assert_eq!((&done["left"], &done["errors"]), (&json!([]), &json!([])), "{done:#}");
    let sorted = |text: &str| {
        let mut lines: Vec<&str> = text.split(['\n', ',']).map(str::trim).collect();
        lines.sort_unstable();
        lines.join("\n")
    };
    assert_eq!(sorted(&rules()), sorted(&before));
    // What all of them share is put back with the first, and the others are left alone.
    node.host.run(["nft", "flush", "chain", "ip", "filter", "CNI-FORWARD"]);
    let done = node.json(&["repair"], 1);
    assert_eq!((&done["left"], &done["errors"]), (&json!([]), &json!([])), "{done:#}");
    assert_eq!(node.text(&["check"], 0), "nothing is wrong\n");
}

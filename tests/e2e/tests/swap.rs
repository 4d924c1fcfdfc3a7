//! The reference plugins are replaced by this suite, and the other way round, while containers run.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use e2e::containerd::{Containerd, pod};
use e2e::peer::{PORT, Place};
use e2e::plugins::Suite;
use e2e::{Node, Pod, pages, plugins, podman, remains};
use serde_json::Value;
use testsupport::Outside;

fn remains(node: &Node, pods: &[&Pod]) -> Vec<String> {
    let mut marks = vec!["10.85.", "fd85::", "10.99.", "fd99::"];
    marks.extend(pods.iter().map(|pod| pod.id.as_str()));
    remains::list(node, &["cni0"], &marks)
}

/// `left` reaches `right` and is masqueraded, whichever suite attached the two.
fn assert_connected(node: &Node, left: &Pod, right: &Pod) {
    let _right = Place::Pod(right).answer(node);
    let _outside = Place::Beside(node.outside()).answer(node);
    for (from, to) in left.addresses(node).iter().zip(right.addresses(node)) {
        assert_eq!(&Place::Pod(left).ask(node, &to, PORT), from);
    }
    let (outside, outside_6) = (Outside::ADDRESS.to_string(), Outside::ADDRESS_6.to_string());
    assert_eq!(Place::Pod(left).ask(node, &outside, PORT), Outside::HOST.to_string());
    assert_eq!(Place::Pod(left).ask(node, &outside_6, PORT), Outside::HOST_6.to_string());
}

/// How the second suite gets rid of what the first one attached.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// By itself.
    AtOnce,
    /// By itself, but for this suite's records of its own attachments, which filter nothing: an operator
    /// deletes their table.
    Tidied,
    /// The reference misses the chain that it would have made, and fails: the runtime asks again, and
    /// then an operator deletes the table that the reference does not know.
    RepeatedAndTidied,
    /// By itself, but for the guard of 127.0.0.0/8 on a bridge whose setting the other suite made, and which
    /// stays therefore (docs/decisions/0040).
    Guarded,
}

/// Pods of one suite go on beside one of the other, which then stops them all. Nothing is left.
fn swap_under_containerd(from: Suite, to: Suite, conflist: &str, end: End) {
    let node = Node::new();
    plugins::install(from);
    node.configure("10-pods.conflist", conflist);
    let containerd = Containerd::start(&node);
    let left = containerd.run(pod("left", &[(8080, PORT.parse().unwrap())]));
    let right = containerd.run(pod("right", &[]));
    plugins::install(to);
    let third = containerd.run(pod("third", &[]));
    assert_connected(&node, &left, &right);
    assert_connected(&node, &third, &right);
    assert_connected(&node, &right, &third);
    if end == End::RepeatedAndTidied {
        for pod in [&left, &right] {
            let error = containerd.try_stop(pod).unwrap_err();
            assert!(error.contains("does not exist"), "{error}");
        }
    }
    for pod in [&left, &right, &third] {
        containerd.stop_and_remove(pod);
    }
    match end {
        End::AtOnce => assert_eq!(plugins::failed(), Vec::<String>::new()),
        End::Tidied => {
            assert_eq!(plugins::failed(), Vec::<String>::new());
            delete_records(&node);
        }
        End::RepeatedAndTidied | End::Guarded => drop(node.must("nft delete table inet causeway")),
    }
    assert_eq!(remains(&node, &[&left, &right, &third]), Vec::<String>::new());
}

/// Deletes the suite's table, in which nothing is for packets.
fn delete_records(node: &Node) {
    let table = node.must("nft list table inet causeway");
    assert!(!table.contains("chain "), "{table}");
    node.must("nft delete table inet causeway");
}

fn network() -> String {
    pages::block("docs/runtimes/containerd.md", "json", 0)
}

/// The same for containers on a network that podman made, and that `change` may change.
fn swap_under_podman((from, to): (Suite, Suite), end: End, change: fn(String) -> String) {
    let node = Node::new();
    plugins::install(from);
    podman::prepare(&node);
    let commands = pages::block("docs/runtimes/podman.md", "sh", 0);
    let mut commands =
        commands.lines().filter(|line| !line.contains("exec") && !line.starts_with("curl"));
    node.must(commands.next().unwrap());
    let file = "/etc/cni/net.d/backend.conflist";
    fs::write(file, change(fs::read_to_string(file).unwrap())).unwrap();
    commands.for_each(|line| drop(node.must(line)));
    let (web, db) = (podman::container(&node, "web"), podman::container(&node, "db"));
    plugins::install(to);
    assert_connected(&node, &web, &db);
    node.run_lines(&pages::block("docs/runtimes/podman.md", "sh", 1));
    assert_connected(&node, &web, &db);
    node.run_lines(&pages::block("docs/runtimes/podman.md", "sh", 2));
    assert_eq!(plugins::failed(), Vec::<String>::new());
    match end {
        End::Tidied => delete_records(&node),
        End::Guarded => {
            let table = node.must("nft list table inet causeway");
            assert!(table.contains("route_localnet was set already"), "{table}");
            assert_eq!(table.matches("chain ").count(), 1, "{table}");
            node.must("nft delete table inet causeway");
        }
        End::AtOnce | End::RepeatedAndTidied => {}
    }
    assert_eq!(remains(&node, &[&web, &db]), Vec::<String>::new());
}

/// The network, its rules made as the reference makes them.
fn by_iptables(conflist: String) -> String {
    let mut list: Value = serde_json::from_str(&conflist).unwrap();
    for plugin in list["plugins"].as_array_mut().unwrap() {
        let key = match plugin["type"].as_str().unwrap() {
            "bridge" => "ipMasqBackend",
            "portmap" | "firewall" => "backend",
            _ => continue,
        };
        plugin[key] = "iptables".into();
    }
    list.to_string()
}

#[test]
fn pods_of_the_reference_are_stopped_by_this_suite() {
    swap_under_containerd(Suite::Reference, Suite::Ours, &network(), End::AtOnce);
}

#[test]
fn pods_of_this_suite_are_stopped_by_the_reference_at_the_second_attempt() {
    swap_under_containerd(Suite::Ours, Suite::Reference, &network(), End::RepeatedAndTidied);
}

#[test]
fn pods_on_iptables_are_stopped_by_the_reference_at_once() {
    swap_under_containerd(Suite::Ours, Suite::Reference, &by_iptables(network()), End::Tidied);
}

#[test]
fn podmans_containers_of_the_reference_are_removed_by_this_suite() {
    swap_under_podman((Suite::Reference, Suite::Ours), End::Guarded, |conflist| conflist);
}

#[test]
fn podmans_containers_on_iptables_are_removed_by_the_reference() {
    swap_under_podman((Suite::Ours, Suite::Reference), End::Tidied, by_iptables);
}

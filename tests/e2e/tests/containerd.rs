//! containerd starts and stops pods over the CRI, as kubelet has it do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

use e2e::containerd::{Containerd, pod};
use e2e::peer::{PORT, Place};
use e2e::{Node, Pod, pages, plugins, remains};
use testsupport::{Outside, not_run};

const BRIDGE: &[&str] = &["cni0"];

/// The page's network, in another version of the specification.
fn network(version: &str) -> String {
    let text = pages::block("docs/runtimes/containerd.md", "json", 0);
    let own = "\"cniVersion\": \"1.0.0\"";
    assert!(text.contains(own), "{text}");
    text.replace(own, &format!("\"cniVersion\": \"{version}\""))
}

/// What is left of containers of that network.
fn remains(node: &Node, pods: &[&Pod]) -> Vec<String> {
    let mut marks = vec!["10.85.", "fd85::"];
    marks.extend(pods.iter().map(|pod| pod.id.as_str()));
    remains::list(node, BRIDGE, &marks)
}

/// Both pods and everyone else reach each other as they should, over IPv4 and IPv6.
fn assert_connected(node: &Node, left: &Pod, right: &Pod) {
    let (from, to) = (left.addresses(node), right.addresses(node));
    assert_eq!((from.len(), to.len()), (2, 2), "{from:?} {to:?}");
    let _right = Place::Pod(right).answer(node);
    let _outside = Place::Beside(node.outside()).answer(node);
    for (from, to) in from.iter().zip(&to) {
        let gateway = if to.contains(':') { "fd85::1" } else { "10.85.0.1" };
        assert_eq!(Place::Node.ask(node, to, PORT), gateway, "node to pod");
        assert_eq!(&Place::Pod(left).ask(node, to, PORT), from, "pod to pod");
    }
    // The neighbour knows no way to the pods: an answer was masqueraded.
    let (outside, outside_6) = (Outside::ADDRESS.to_string(), Outside::ADDRESS_6.to_string());
    assert_eq!(Place::Pod(left).ask(node, &outside, PORT), Outside::HOST.to_string());
    assert_eq!(Place::Pod(left).ask(node, &outside_6, PORT), Outside::HOST_6.to_string());
}

/// The neighbour gets to the pod by the node's port, on both of the node's addresses.
fn assert_published(node: &Node, port: &str) {
    let outside = Place::Beside(node.outside());
    for (host, neighbour) in [
        (Outside::HOST.to_string(), Outside::ADDRESS.to_string()),
        (Outside::HOST_6.to_string(), Outside::ADDRESS_6.to_string()),
    ] {
        assert_eq!(outside.ask(node, &host, port), neighbour, "host port");
    }
}

fn pods_live_and_leave_nothing(version: &str) {
    let node = Node::new();
    node.configure("10-pods.conflist", &network(version));
    let mut containerd = Containerd::start(&node);
    let left = containerd.run(pod("left", &[]));
    let mut limited = pod("right", &[(8080, PORT.parse().unwrap())]);
    limited.annotations.insert("kubernetes.io/ingress-bandwidth".to_owned(), "10M".to_owned());
    limited.annotations.insert("kubernetes.io/egress-bandwidth".to_owned(), "10M".to_owned());
    let right = containerd.run(limited);
    for pod in [&left, &right] {
        let mut told = containerd.cri().addresses(&pod.id).unwrap();
        told.sort_by_key(|address| address.contains(':'));
        assert_eq!(told, pod.addresses(&node), "what kubelet is told");
    }
    assert_connected(&node, &left, &right);
    {
        let _right = Place::Pod(&right).answer(&node);
        assert_published(&node, "8080");
    }

    containerd.stop_and_remove(&left);
    containerd.kill_and_restart();
    let third = containerd.run(pod("third", &[]));
    assert_connected(&node, &third, &right);
    containerd.try_stop(&right).unwrap();
    containerd.kill_and_restart();
    containerd.stop_and_remove(&right);
    containerd.stop_and_remove(&third);
    assert_eq!(remains(&node, &[&left, &right, &third]), Vec::<String>::new());

    // As it comes from the CRI: once with the namespace, and once more without it and without a result.
    let dels = plugins::calls_for(&right.id, "bridge", "DEL");
    assert!(dels.iter().any(|call| !call.variable("NETNS").is_empty()), "{dels:#?}");
    assert!(dels.iter().any(|call| call.variable("NETNS").is_empty()), "{dels:#?}");
    let bandwidth = &plugins::calls_for(&right.id, "bandwidth", "ADD")[0];
    assert_eq!(bandwidth.config["runtimeConfig"]["bandwidth"]["IngressRate"], 10_000_000);
    let asked = plugins::calls().iter().any(|call| call.is("bridge", "STATUS"));
    assert_eq!(asked, version == "1.1.0", "STATUS is for 1.1.0");
    // It brings `lo` up beside the network's own plugins.
    assert_eq!(plugins::calls_for(&right.id, "loopback", "ADD").len(), 1);
    assert_eq!(plugins::failed(), Vec::<String>::new());
}

#[test]
fn pods_of_version_0_4_0_live_and_leave_nothing() {
    pods_live_and_leave_nothing("0.4.0");
}

#[test]
fn pods_of_version_1_0_0_live_and_leave_nothing() {
    pods_live_and_leave_nothing("1.0.0");
}

#[test]
fn pods_of_version_1_1_0_live_and_leave_nothing() {
    let version = Command::new("containerd").arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    if version.split(' ').nth(2).is_some_and(|version| version.starts_with("1.")) {
        return not_run("containerd before version 2 refuses results of 1.1.0");
    }
    pods_live_and_leave_nothing("1.1.0");
}

#[test]
fn the_runtimes_error_holds_the_plugins_message() {
    let node = Node::new();
    // Three addresses, of which one is the gateway's.
    let small = network("1.0.0").replace("10.85.0.0/16", "10.85.0.0/30");
    node.configure("10-pods.conflist", &small);
    let containerd = Containerd::start(&node);
    let first = containerd.run(pod("first", &[]));
    let error = containerd.try_run(pod("second", &[])).unwrap_err();
    let expected = "no IP addresses available in range set: 10.85.0.1-10.85.0.2";
    assert!(error.contains(expected), "{error}\n{}", plugins::failures());
    assert!(plugins::failures().contains("\"code\": 104"), "{}", plugins::failures());
    // Nothing of the second, who got no address: neither before nor after the first has gone.
    let pool = std::fs::read_dir("/var/lib/cni/networks/pods").unwrap();
    let leases = pool.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut leases: Vec<String> =
        leases.filter(|name| name.parse::<std::net::IpAddr>().is_ok()).collect();
    leases.sort();
    assert_eq!(leases, ["10.85.0.2", "fd85::2"]);
    containerd.stop_and_remove(&first);
    assert_eq!(remains(&node, &[&first]), Vec::<String>::new());
}

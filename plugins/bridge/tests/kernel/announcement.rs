//! Whether an ADD announces its addresses: not those that nobody can remember as another container's, and
//! all others. Seen in the caches of a neighbour that makes an entry of whatever is announced.

use std::fs;

use serde_json::{Value, json};
use testsupport::Container;
use testsupport::feature::ipv6;

use crate::node::{Node, config, with};

const POOL: &str = "/var/lib/cni/networks/net";
const ALIAS: &str = "causeway: every address is announced";

fn keys() -> Value {
    let mut ranges = vec![json!([{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.9"}])];
    if ipv6() {
        ranges.push(json!([{"subnet": "fd00:1::/120", "rangeEnd": "fd00:1::9"}]));
    }
    config(json!({"isGateway": true, "ipam": {"type": "host-local", "ranges": ranges}}))
}

/// A node with a container that has an entry for whatever is announced.
struct Segment {
    node: Node,
    listener: Container,
}

impl Segment {
    /// The bridge is made by the first ADD, unless `prepare` has made it.
    fn new(prepare: impl FnOnce(&Node)) -> Self {
        let node = Node::giving(&[]);
        prepare(&node);
        let listener = node.host.container("listener");
        node.add(&listener, &keys());
        for family in if ipv6() { &["ipv4", "ipv6"][..] } else { &["ipv4"] } {
            let key = if *family == "ipv4" { "arp_accept" } else { "accept_untracked_na" };
            // Kernels before 6.0 have no such key for IPv6.
            listener.finish(["sysctl", "-qw", &format!("net.{family}.conf.eth0.{key}=1")]);
        }
        Self { node, listener }
    }

    /// Attaches `name` and detaches it again; whether its addresses were announced.
    fn announces(&self, name: &str, keys: &Value) -> bool {
        let container = self.node.host.container(name);
        let result = self.node.add(&container, keys);
        let ip = result["ips"][0]["address"].as_str().unwrap().split('/').next().unwrap();
        let entry = self.listener.run(["ip", "neighbour", "show", ip]);
        let mac = result["interfaces"][2]["mac"].as_str().unwrap();
        assert!(entry.is_empty() || entry.contains(mac), "{entry:?} is not of {mac}");
        // Announced or not, the first packet must get through, both ways.
        for address in result["ips"].as_array().unwrap() {
            let ip = address["address"].as_str().unwrap().split('/').next().unwrap();
            let once = self.listener.finish(["ping", "-n", "-c", "1", "-W", "1", ip]);
            assert_eq!(once.status, Some(0), "{once}");
        }
        self.node.del(&container, keys);
        !entry.is_empty()
    }

    fn bridge(&self) -> String {
        self.node.host.run(["ip", "link", "show", "br0"])
    }
}

#[test]
fn an_address_given_for_the_first_time_is_not_announced_and_one_given_again_is() {
    let segment = Segment::new(|_| {});
    // The listener has the first of eight addresses.
    let announced =
        ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|name| segment.announces(name, &keys()));
    assert_eq!(announced, [false, false, false, false, false, false, false, true, true]);
    assert!(segment.bridge().contains("link/ether ca:5e:"), "{}", segment.bridge());
}

#[test]
fn garbage_collection_forgets_no_address() {
    let segment = Segment::new(|_| {});
    assert!(!segment.announces("a", &keys()));
    let valid = json!([{"containerID": "listener", "ifname": "eth0"}]);
    // Of a container that is dead, two leases; the listener's are left.
    let dead = segment.node.host.container("dead");
    segment.node.add(&dead, &keys());
    let gc = with(&keys(), &json!({"cniVersion": "1.1.0", "cni.dev/valid-attachments": valid}));
    segment.node.call("GC", &dead).config(gc).run().expect_silent_success();
    let announced = ["b", "c", "d", "e", "f", "g"].map(|name| segment.announces(name, &keys()));
    assert_eq!(announced, [false, false, false, false, false, true]);
}

#[test]
fn where_the_record_was_lost_all_are_announced() {
    let segment = Segment::new(|_| {});
    assert!(!segment.announces("a", &keys()));
    // As another suite's ADD and DEL would.
    fs::write(format!("{POOL}/10.1.0.200"), "x\r\neth0").unwrap();
    fs::remove_file(format!("{POOL}/10.1.0.200")).unwrap();
    assert!(segment.announces("b", &keys()));
    assert!(segment.announces("c", &keys()));
    // The next bridge is made while the new record runs.
    segment.node.del(&segment.listener, &keys());
    segment.node.host.run(["ip", "link", "del", "br0"]);
    segment.node.add(&segment.listener, &keys());
    segment.listener.run(["sysctl", "-qw", "net.ipv4.conf.eth0.arp_accept=1"]);
    assert!(!segment.announces("d", &keys()));
}

#[test]
fn a_removed_index_is_a_lost_record() {
    let segment = Segment::new(|_| {});
    fs::remove_file("/var/lib/cni/networks/.causeway/net.index").unwrap();
    assert!(segment.announces("a", &keys()));
}

#[test]
fn on_a_bridge_that_was_there_before_the_record_all_are_announced() {
    let segment = Segment::new(|node| {
        node.host.run(["ip", "link", "add", "br0", "type", "bridge"]);
        node.host.run(["ip", "link", "set", "br0", "up"]);
    });
    assert!(segment.announces("a", &keys()));
    assert!(!segment.bridge().contains("alias"), "a bridge of others is left alone");
}

#[test]
fn a_port_that_is_not_of_this_suite_makes_all_be_announced() {
    let segment = Segment::new(|_| {});
    assert!(!segment.announces("a", &keys()));
    let host = &segment.node.host;
    host.run(["ip", "link", "add", "uplink", "type", "veth", "peer", "name", "far"]);
    host.run(["ip", "link", "set", "uplink", "master", "br0"]);
    assert!(segment.announces("b", &keys()));
    host.run(["ip", "link", "del", "uplink"]);
    assert!(!segment.announces("c", &keys()));
}

#[test]
fn a_second_pool_on_the_bridge_makes_all_be_announced_from_then_on() {
    let segment = Segment::new(|_| {});
    assert!(!segment.announces("a", &keys()));
    let other = with(
        &keys(),
        &json!({
            "name": "other",
            "ipam": {"type": "host-local", "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.100"},
        }),
    );
    assert!(segment.announces("b", &other));
    assert!(segment.bridge().contains(ALIAS), "{}", segment.bridge());
    assert!(segment.announces("c", &keys()));
}

#[test]
fn an_ipam_plugin_that_is_a_program_makes_all_be_announced_from_then_on() {
    let segment = Segment::new(|_| {});
    let other = config(json!({
        "isGateway": true,
        "ipam": {"type": "static", "addresses": [{"address": "10.1.0.77/24"}]},
    }));
    assert!(segment.announces("a", &other), "static keeps no record");
    assert!(segment.bridge().contains(ALIAS), "{}", segment.bridge());
    assert!(segment.announces("b", &keys()));
}

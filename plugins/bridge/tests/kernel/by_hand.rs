//! A bridge that somebody else made, without an Ethernet address of its own: the kernel gives it the
//! lowest of its ports', or none, until one is set.

use serde_json::{Value, json};
use testsupport::Container;

use crate::node::{Node, config, ips, with};

/// A host with such a bridge, up.
fn node() -> Node {
    let node = Node::giving(&["10.1.0.2/16"]);
    node.host.run(["ip", "link", "add", "br0", "up", "type", "bridge"]);
    node
}

/// What the kernel says of `br0`: its Ethernet address and its MTU.
fn bridge(node: &Node) -> (String, i64) {
    let shown: Value =
        serde_json::from_str(&node.host.run(["ip", "-j", "link", "show", "br0"])).unwrap();
    let mac = shown[0]["address"].as_str().unwrap().to_owned();
    (mac, shown[0]["mtu"].as_i64().unwrap())
}

/// Makes a port whose address is lower than any that is chosen at random.
fn add_lowest_port(node: &Node) {
    let line = "ip link add port0 address 00:00:00:00:00:01 up master br0 type veth peer port1";
    node.host.run(line.split(' ').collect::<Vec<_>>());
}

/// ADD, whose result must say what the kernel has, and CHECK with that result.
fn add_and_check(node: &Node, container: &Container, keys: &Value) -> Value {
    let result = node.add(container, keys);
    let said = &result["interfaces"][0];
    assert_eq!(said["mac"], bridge(node).0.as_str(), "{result}");
    if keys["cniVersion"] == "1.1.0" {
        assert_eq!(said["mtu"], bridge(node).1, "{result}");
    }
    node.check(container, keys, &result).expect_silent_success();
    result
}

#[test]
fn check_right_after_add_finds_the_bridge_that_add_told_of() {
    for keys in [json!({}), json!({"ipam": null}), json!({"isGateway": true})] {
        let node = node();
        let blue = node.host.container("blue");
        add_and_check(&node, &blue, &config(keys));
    }
}

#[test]
fn the_result_has_the_mtu_that_the_bridge_has_with_the_new_port() {
    let node = node();
    let blue = node.host.container("blue");
    let keys = config(json!({"cniVersion": "1.1.0", "mtu": 9000}));
    add_and_check(&node, &blue, &keys);
    assert_eq!(bridge(&node).1, 9000);
}

#[test]
fn without_gateway_the_bridge_may_change_its_mac_with_its_ports() {
    let node = node();
    let blue = node.host.container("blue");
    let result = add_and_check(&node, &blue, &config(json!({})));
    add_lowest_port(&node);
    assert_eq!(bridge(&node).0, "00:00:00:00:00:01");
    node.check(&blue, &config(json!({})), &result).expect_silent_success();
}

/// With `isGateway` the bridge has one MAC from the first ADD on, whatever ports come and go.
fn keeps_its_mac(node: &Node) {
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    let keys = config(json!({"isGateway": true}));
    let result = add_and_check(node, &blue, &keys);
    let mac = bridge(node).0;
    add_lowest_port(node);
    assert_eq!(bridge(node).0, mac);
    node.answer(&ips(&["10.1.0.3/16"]));
    add_and_check(node, &red, &keys);
    assert_eq!(bridge(node).0, mac);
    node.check(&blue, &keys, &result).expect_silent_success();
    node.host.run(["ip", "link", "delete", "port0"]);
    node.del(&red, &keys);
    assert_eq!(bridge(node).0, mac);
    node.check(&blue, &keys, &result).expect_silent_success();
}

#[test]
fn a_gateway_keeps_the_mac_that_it_was_found_with() {
    let node = node();
    let mac = bridge(&node).0;
    keeps_its_mac(&node);
    assert_eq!(bridge(&node).0, mac);
}

#[test]
fn a_gateway_keeps_its_mac_where_the_address_is_there_already() {
    let node = node();
    node.host.run(["ip", "address", "add", "10.1.0.1/16", "dev", "br0"]);
    keeps_its_mac(&node);
}

#[test]
fn a_gateway_keeps_its_mac_after_its_last_port_left() {
    let node = node();
    let keys = config(json!({}));
    let blue = node.host.container("blue");
    node.add(&blue, &keys);
    node.del(&blue, &keys);
    assert_eq!(bridge(&node).0, "00:00:00:00:00:00");
    drop(blue);
    keeps_its_mac(&node);
}

#[test]
fn a_gateway_keeps_the_mac_of_the_port_that_it_has() {
    let node = node();
    let line = "ip link add port9 address 02:00:00:00:00:09 up master br0 type veth peer port8";
    node.host.run(line.split(' ').collect::<Vec<_>>());
    keeps_its_mac(&node);
    assert_eq!(bridge(&node).0, "02:00:00:00:00:09");
}

#[test]
fn a_gateway_keeps_its_mac_where_sysfs_says_nothing_of_it() {
    let node = node();
    node.host.run(["mount", "-t", "tmpfs", "none", "/sys"]);
    keeps_its_mac(&node);
}

#[test]
fn a_mac_that_was_set_is_not_set_again() {
    // Setting it makes the kernel forget all neighbours that it knows on the bridge.
    let node = node();
    node.host.run(["ip", "link", "set", "br0", "address", "02:00:00:00:00:07"]);
    node.host.run(["ip", "address", "add", "10.1.0.1/16", "dev", "br0"]);
    // Any but a permanent one it also forgets when something of a bridge changes that has no carrier yet.
    let neighbour = "ip neighbour add 10.1.0.9 lladdr 02:00:00:00:00:99 dev br0 nud permanent";
    node.host.run(neighbour.split(' ').collect::<Vec<_>>());
    let blue = node.host.container("blue");
    add_and_check(&node, &blue, &with(&config(json!({})), &json!({"isGateway": true})));
    let known = node.host.run(["ip", "neighbour", "show", "dev", "br0"]);
    assert!(known.contains("02:00:00:00:00:99"), "{known:?}");
}

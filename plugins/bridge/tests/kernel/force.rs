//! `forceAddress`: what happens to an address of the bridge that is in the gateway address's way.

use serde_json::{Value, json};
use testsupport::Container;

use crate::node::{Node, assert_same, config, ips};

fn gateway(force: bool) -> Value {
    config(json!({"isGateway": true, "forceAddress": force}))
}

/// A bridge with these addresses and a neighbour's port, so that it is not ours to remove; returns
/// the neighbour.
fn bridge_with(node: &Node, addresses: &[&str]) -> Container {
    let red = node.host.container("red");
    node.add(&red, &config(json!({"ipam": null})));
    for address in addresses {
        node.host.run(["ip", "address", "add", address, "dev", "br0"]);
    }
    red
}

fn addresses(node: &Node) -> Vec<String> {
    let text = node.host.run(["ip", "-o", "address", "show", "dev", "br0", "scope", "global"]);
    let words = text.lines().filter_map(|line| line.split_whitespace().nth(3));
    words.map(str::to_owned).collect()
}

#[test]
fn another_address_is_an_error_without_it() {
    for (there, given, message) in [
        ("10.9.0.1/24", "10.1.0.2/16", "10.1.0.1/16"),
        ("10.1.0.1/24", "10.1.0.2/16", "10.1.0.1/16"),
        ("fd00:1::99/64", "fd00:1::2/64", "fd00:1::1/64"),
    ] {
        let node = Node::giving(&[given]);
        let _red = bridge_with(&node, &[there]);
        let blue = node.host.container("blue");
        let said = node.add_leaves_nothing(&blue, &gateway(false), 101);
        assert_eq!(said, format!("\"br0\" already has an IP address different from {message}"));
    }
}

#[test]
fn another_address_is_replaced_with_it() {
    let node = Node::giving(&["10.1.0.2/16", "fd00:1::2/64"]);
    let _red = bridge_with(&node, &["10.9.0.1/24", "fd00:1::99/64", "fd00:7::1/64"]);
    let blue = node.host.container("blue");
    let result = node.add(&blue, &gateway(true));
    assert_eq!(addresses(&node), ["10.1.0.1/16", "fd00:1::1/64", "fd00:7::1/64"]);
    assert!(blue.pings("10.1.0.1") && blue.pings("fd00:1::1"));
    node.check(&blue, &gateway(true), &result).expect_silent_success();
}

#[test]
fn the_gateways_of_several_subnets_stand_side_by_side() {
    let node = Node::giving(&["10.1.0.2/16", "10.2.0.2/16"]);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    node.add(&blue, &gateway(false));
    node.answer(&ips(&["10.1.0.3/16", "10.2.0.3/16"]));
    node.add(&red, &gateway(false));
    assert_eq!(addresses(&node), ["10.1.0.1/16", "10.2.0.1/16"]);
}

#[test]
fn a_replaced_address_comes_back_when_the_add_fails() {
    let node = Node::giving(&[]);
    let mut answer = ips(&["10.1.0.2/16", "fd00:1::2/64"]);
    answer["routes"] = json!([{"dst": "10.9.0.0/16", "gw": "192.0.2.1"}]);
    node.answer(&answer);
    // Without a neighbour on the bridge: beside one, what is shared stays as it has become.
    node.host.run(["ip", "link", "add", "br0", "up", "type", "bridge"]);
    node.host.run(["ip", "address", "add", "10.9.0.1/24", "dev", "br0"]);
    node.host.run(["ip", "address", "add", "fd00:1::99/64", "dev", "br0", "nodad"]);
    let blue = node.host.container("blue");
    let before = addresses(&node);
    node.add_fails(&blue, &gateway(true), 100);
    assert_eq!(addresses(&node), before);
}

#[test]
fn the_same_address_is_left_alone() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let _red = bridge_with(&node, &["10.1.0.1/16", "10.9.0.1/24"]);
    let blue = node.host.container("blue");
    let before = addresses(&node);
    node.add(&blue, &gateway(false));
    assert_same(&before.join("\n"), &addresses(&node).join("\n"));
}

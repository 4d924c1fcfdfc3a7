//! GC removes what belongs to this network and to no living attachment; STATUS asks the IPAM.

use serde_json::{Value, json};
use testsupport::{Call, Container};

use crate::node::{Node, assert_says, config, host_end, with};

fn keys() -> Value {
    config(json!({"cniVersion": "1.1.0", "isGateway": true}))
}

/// GC or STATUS, which come without container, namespace and interface.
fn call(node: &Node, command: &str) -> Call {
    Call::new("bridge").command(command).env("CNI_PATH", node.ipam_dir())
}

/// The list of living attachments under `key`.
fn valid(key: &str, living: &[&Container]) -> Value {
    let list: Vec<Value> = living
        .iter()
        .map(|container| json!({"containerID": container.name(), "ifname": "eth0"}))
        .collect();
    with(&keys(), &json!({key: list}))
}

/// blue and red on this network, green on another one of the same bridge.
fn three(node: &Node) -> [(Container, String); 3] {
    ["blue", "red", "green"].map(|name| {
        let container = node.host.container(name);
        let network = if name == "green" { "net2" } else { "net" };
        let result = node.add(&container, &with(&keys(), &json!({"name": network})));
        (container, host_end(&result))
    })
}

#[test]
fn links_of_dead_attachments_go_and_no_others() {
    for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        let node = Node::giving(&["10.1.0.2/16"]);
        let [blue, red, green] = three(&node);
        node.host.run(["ip", "link", "add", "veth0", "type", "veth", "peer", "veth1"]);
        node.host.run(["ip", "link", "set", "veth0", "alias", "net/x/eth0"]);
        node.calls();
        let answer = call(&node, "GC").config(valid(key, &[&blue.0])).run();
        answer.expect_silent_success();
        assert!(node.has_link(&blue.1) && node.has_link(&green.1) && node.has_link("veth0"));
        assert!(!node.has_link(&red.1));
        assert_eq!(node.calls(), ["GC  "]);
        assert!(blue.0.pings("10.1.0.1"));
        call(&node, "GC").config(valid(key, &[])).run().expect_silent_success();
        assert!(!node.has_link(&blue.1) && node.has_link(&green.1));
    }
}

#[test]
fn an_attachment_lives_by_container_and_interface() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let [blue, ..] = three(&node);
    let list = json!([{"containerID": "blue", "ifname": "eth1"}]);
    let keys = with(&keys(), &json!({"cni.dev/valid-attachments": list}));
    call(&node, "GC").config(keys).run().expect_silent_success();
    assert!(!node.has_link(&blue.1));
}

#[test]
fn an_error_of_the_ipam_plugin_is_handed_on() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let [_, red, _] = three(&node);
    node.write_ipam("#!/bin/sh\necho '{\"code\":50,\"msg\":\"pool broken\"}'\nexit 1\n");
    let answer = call(&node, "GC").config(valid("cni.dev/valid-attachments", &[])).run();
    assert_eq!(answer.expect_error(50), "pool broken");
    assert!(!node.has_link(&red.1));
    let status = call(&node, "STATUS").config(keys()).run();
    assert_eq!(status.expect_error(50), "pool broken");
}

#[test]
fn status_fails_where_every_add_would() {
    let node = Node::giving(&[]);
    node.host.run(["ip", "link", "add", "br0", "type", "veth", "peer", "br1"]);
    let message = call(&node, "STATUS").config(keys()).run().expect_error(50);
    assert_eq!(message, "\"br0\" already exists but is not a bridge");
    node.host.run(["ip", "link", "del", "br0"]);
    let faulty = with(&keys(), &json!({"hairpinMode": true, "promiscMode": true}));
    let message = call(&node, "STATUS").config(faulty).run().expect_error(7);
    assert_says(&message, &["hairpin mode and promiscuous mode"]);
    let long = with(&keys(), &json!({"bridge": "a-long-bridge", "vlan": 100}));
    assert_says(&call(&node, "STATUS").config(long).run().expect_error(7), &["a-long-bridge.100"]);
    assert!(node.calls().is_empty());
    call(&node, "STATUS").config(keys()).run().expect_silent_success();
}

#[test]
fn status_asks_the_ipam_plugin_if_there_is_one() {
    let node = Node::giving(&[]);
    call(&node, "STATUS").config(keys()).run().expect_silent_success();
    assert_eq!(node.calls(), ["STATUS  "]);
    let layer_2 = with(&keys(), &json!({"ipam": null}));
    call(&node, "STATUS").config(layer_2).run().expect_silent_success();
    assert!(node.calls().is_empty());
    let absent = with(&keys(), &json!({"ipam": {"type": "absent"}}));
    let message = call(&node, "STATUS").config(absent).run().expect_error(103);
    assert_says(&message, &["\"absent\"", "/run/test/ipam"]);
}

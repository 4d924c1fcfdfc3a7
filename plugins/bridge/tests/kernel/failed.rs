//! An ADD that fails leaves bridge, container and pool as they were, at whatever point it fails.

use std::fs::File;
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use testsupport::{Call, Container};

use crate::node::{Node, assert_same, assert_says, config, forwarding, ips};

/// A gateway: everything an ADD can change on the host.
fn gateway() -> Value {
    config(json!({"isDefaultGateway": true, "cniVersion": "1.1.0"}))
}

/// The node with a neighbour attached, whose bridge and address must survive.
fn with_neighbour() -> (Node, Container) {
    let node = Node::giving(&["10.1.0.2/16", "fd00:1::2/64"]);
    let red = node.host.container("red");
    node.answer_to("red", &ips(&["10.1.0.3/16", "fd00:1::3/64"]));
    node.add(&red, &gateway());
    assert!(red.pings("10.1.0.1"));
    node.calls();
    (node, red)
}

/// `answer` for blue fails with `code`, on a fresh host and beside a neighbour.
fn fails_without_trace(answer: &Value, keys: &Value, code: u64) -> Vec<String> {
    let fresh = Node::giving(&[]);
    let blue = fresh.host.container("blue");
    fresh.answer(answer);
    let message = fresh.add_leaves_nothing(&blue, keys, code);
    assert!(!fresh.has_link("br0"));
    assert_eq!(forwarding(&fresh.host), "0\n0\n");
    let calls = fresh.calls();
    drop(blue);

    let (node, red) = with_neighbour();
    let blue = node.host.container("blue");
    node.answer(answer);
    assert_eq!(node.add_leaves_nothing(&blue, keys, code), message);
    assert_eq!(node.calls(), calls);
    assert!(red.pings("10.1.0.1") && red.pings("fd00:1::1"));
    let mut found = vec![message];
    found.extend(calls);
    found
}

const ADD_AND_DEL: [&str; 2] = ["ADD blue eth0", "DEL blue eth0"];

#[test]
fn a_route_that_the_kernel_refuses() {
    let mut answer = ips(&["10.1.0.2/16", "fd00:1::2/64"]);
    answer["routes"] = json!([{"dst": "10.9.0.0/16", "gw": "192.0.2.1"}]);
    let found = fails_without_trace(&answer, &gateway(), 100);
    assert_says(&found[0], &["10.9.0.0/16", "192.0.2.1", "ENETUNREACH"]);
    assert_eq!(found[1..], ADD_AND_DEL);
}

#[test]
fn a_route_with_a_number_out_of_range() {
    let mut answer = ips(&["10.1.0.2/16"]);
    answer["cniVersion"] = json!("1.1.0");
    answer["routes"] = json!([{"dst": "10.9.0.0/16", "mtu": -5}]);
    let found = fails_without_trace(&answer, &gateway(), 7);
    assert_says(&found[0], &["10.9.0.0/16", "mtu", "-5"]);
    assert_eq!(found[1..], ADD_AND_DEL);
}

#[test]
fn the_same_address_twice() {
    let found = fails_without_trace(&ips(&["10.1.0.2/16", "10.1.0.2/16"]), &gateway(), 100);
    assert_says(&found[0], &["10.1.0.2/16", "eth0", "EEXIST"]);
    assert_eq!(found[1..], ADD_AND_DEL);
}

#[test]
fn an_ipam_result_without_addresses() {
    let found = fails_without_trace(&ips(&[]), &gateway(), 103);
    assert_eq!(found[0], "IPAM plugin returned missing IP config");
    assert_eq!(found[1..], ADD_AND_DEL);
}

#[test]
fn an_error_of_the_ipam_plugin_keeps_its_code() {
    let answer = json!({"cniVersion": "1.0.0", "code": 123, "msg": "no lease", "details": "x"});
    let found = fails_without_trace(&answer, &gateway(), 123);
    assert_eq!(found[0], "no lease");
    assert_eq!(found[1..], ADD_AND_DEL);
}

#[test]
fn a_busy_ipam_plugin_of_others_is_asked_to_release() {
    let answer = json!({"cniVersion": "1.0.0", "code": 11, "msg": "pool busy", "details": "x"});
    let found = fails_without_trace(&answer, &gateway(), 11);
    assert_eq!(found[0], "pool busy");
    assert_eq!(found[1..], ADD_AND_DEL);
}

#[test]
fn an_ipam_plugin_that_is_not_there() {
    let keys = config(json!({"ipam": {"type": "absent"}, "isGateway": true}));
    let found = fails_without_trace(&ips(&["10.1.0.2/16"]), &keys, 103);
    assert_says(&found[0], &["\"absent\"", "/run/test/ipam"]);
    assert!(found[1..].is_empty());
}

#[test]
fn a_gateway_address_in_the_way() {
    let (node, red) = with_neighbour();
    let blue = node.host.container("blue");
    node.answer(&ips(&["fd00:7::2/64", "10.7.0.2/16"]));
    let message = node.add_leaves_nothing(&blue, &gateway(), 101);
    assert_eq!(message, "\"br0\" already has an IP address different from 10.7.0.1/16");
    assert_eq!(node.calls(), ADD_AND_DEL);
    assert!(red.pings("10.1.0.1"));
}

/// Runs an ADD with its stdout on `stdout`; it must exit with status 1.
fn add_into(call: &Call, keys: &Value, stdout: Stdio) {
    let mut process = call.process().stdin(Stdio::piped()).stdout(stdout).spawn().unwrap();
    let text = keys.to_string();
    process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(1));
}

#[test]
fn a_stdout_that_takes_nothing() {
    for has_neighbour in [false, true] {
        let (node, red) = with_neighbour();
        if !has_neighbour {
            node.del(&red, &gateway());
            node.host.run(["ip", "link", "delete", "br0"]);
            node.host.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"]);
        }
        node.calls();
        let blue = node.host.container("blue");
        let before = node.snapshot(&blue);
        let full = File::options().write(true).open("/dev/full").unwrap();
        add_into(&node.call("ADD", &blue), &gateway(), full.into());
        assert_same(&before, &node.snapshot(&blue));
        assert_eq!(node.calls(), ADD_AND_DEL);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        add_into(&node.call("ADD", &blue), &gateway(), writer.into());
        assert_same(&before, &node.snapshot(&blue));
        assert_eq!(node.calls(), ADD_AND_DEL);
    }
}

#[test]
fn ipv6_of_the_containers_lo_is_as_before() {
    let node = Node::giving(&["fd00:1::2/64"]);
    let blue = node.host.container("blue");
    let lo = ["sysctl", "-n", "net.ipv6.conf.lo.disable_ipv6"];
    blue.run(["sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=1"]);
    let mut answer = ips(&["fd00:1::2/64"]);
    answer["routes"] = json!([{"dst": "fd00:9::/64", "gw": "2001:db8::1"}]);
    node.answer(&answer);
    node.add_leaves_nothing(&blue, &gateway(), 100);
    assert_eq!(blue.run(lo), "1\n");
}

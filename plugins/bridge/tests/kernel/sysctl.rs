//! `/proc/sys` read-only, as where the runtime itself is in a container; IPv6 switched off.

use std::process::Command;

use serde_json::{Value, json};

use crate::node::{Node, assert_says, config, ips};

/// A host whose `/proc/sys` can't be written; its forwarding is as in `forwarding`.
fn read_only(forwarding: &str) -> Node {
    let node = Node::giving(&["10.1.0.2/16", "fd00:1::2/64"]);
    for key in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
        node.host.run(["sysctl", "-qw", &format!("{key}={forwarding}")]);
    }
    node.host.run(["mount", "--bind", "/proc/sys", "/proc/sys"]);
    node.host.run(["mount", "-o", "remount,bind,ro", "/proc/sys"]);
    assert_ne!(node.host.finish(["sysctl", "-qw", "net.ipv4.ip_forward=1"]).status, Some(0));
    node
}

#[test]
fn what_can_not_be_set_and_is_not_asked_for_is_passed_over() {
    for keys in [json!({}), json!({"ipam": null}), json!({"enabledad": true})] {
        let node = read_only("0");
        let blue = node.host.container("blue");
        let keys = config(keys);
        let result = node.add(&blue, &keys);
        node.check(&blue, &keys, &result).expect_silent_success();
        node.del(&blue, &keys);
        node.host.run(["umount", "/proc/sys"]);
    }
}

#[test]
fn what_is_as_wanted_needs_no_write() {
    let node = read_only("1");
    let blue = node.host.container("blue");
    let keys = config(json!({"isDefaultGateway": true}));
    let call = node.call("ADD", &blue).env("CNI_DEBUG", "1").config(&keys);
    let answer = call.run();
    let result = answer.expect_success().json();
    assert_says(&answer.stderr(), &["passed over", "ipv6/conf/br0/accept_ra", "EROFS"]);
    assert!(blue.pings("10.1.0.1") && blue.pings("fd00:1::1"), "{}", blue.state());
    node.check(&blue, &keys, &result).expect_silent_success();
}

#[test]
fn forwarding_that_can_not_be_switched_on_is_an_error_that_names_key_and_cure() {
    let node = read_only("0");
    let blue = node.host.container("blue");
    let keys = config(json!({"isGateway": true}));
    let before = node.snapshot(&blue);
    let answer = node.run("ADD", &blue, &keys);
    let message = answer.expect_error(5);
    assert_says(&message, &["enable forwarding", "/proc/sys/net/ipv4/ip_forward", "EROFS"]);
    assert_eq!(answer.details(), "set net.ipv4.ip_forward to 1 on the host beforehand");
    crate::node::assert_same(&before, &node.snapshot(&blue));
}

#[test]
fn an_ipv6_address_that_a_read_only_key_forbids_names_key_and_cure() {
    let node = read_only("1");
    let blue = node.host.container("blue");
    // Through the `/proc` of `nsenter`'s own mount namespace, which can be written.
    let path = format!("--net={}", blue.path().display());
    let line = "umount /proc/sys; exec sysctl -qw net.ipv6.conf.default.disable_ipv6=1";
    let mut inside = Command::new("unshare");
    inside.args(["--mount", "nsenter", &path, "sh", "-c", line]);
    assert!(inside.status().unwrap().success());
    let answer = node.run("ADD", &blue, &config(json!({})));
    assert_says(&answer.expect_error(100), &["fd00:1::2/64", "eth0", "EACCES"]);
    let parts = ["in the container's namespace net.ipv6.conf.eth0.disable_ipv6 is 1", "set it"];
    assert_says(&answer.details(), &parts);
}

#[test]
fn ipv6_that_is_switched_off_on_the_host_is_named() {
    let node = Node::giving(&["fd00:1::2/64"]);
    for which in ["all", "default"] {
        node.host.run(["sysctl", "-qw", &format!("net.ipv6.conf.{which}.disable_ipv6=1")]);
    }
    let blue = node.host.container("blue");
    let answer = node.run("ADD", &blue, &config(json!({"isGateway": true})));
    assert_says(&answer.expect_error(100), &["fd00:1::1/64", "br0", "EACCES"]);
    let parts = ["net.ipv6.conf.br0.disable_ipv6 is 1", "net.ipv6.conf.default.disable_ipv6 to 0"];
    assert_says(&answer.details(), &parts);
}

#[test]
fn an_mtu_that_ipv6_does_not_have_is_named() {
    let node = Node::giving(&["10.1.0.2/16", "fd00:1::2/64"]);
    let blue = node.host.container("blue");
    let keys = config(json!({"mtu": 1279}));
    let message = node.add_leaves_nothing(&blue, &keys, 7);
    assert_says(&message, &["mtu", "1279", "fd00:1::2/64", "1280"]);
    node.answer(&ips(&["10.1.0.2/16"]));
    node.add(&blue, &keys);
}

#[test]
fn an_mtu_of_the_bridge_that_ipv6_does_not_have_is_named() {
    let node = Node::giving(&["fd00:1::2/64"]);
    let blue = node.host.container("blue");
    node.host.run(["ip", "link", "add", "br0", "up", "type", "bridge"]);
    node.host.run(["ip", "link", "set", "br0", "mtu", "1000"]);
    let answer = node.run("ADD", &blue, &config(json!({"isGateway": true})));
    assert_says(&answer.expect_error(100), &["fd00:1::1/64", "br0"]);
    assert_says(&answer.details(), &["\"br0\" has MTU 1000", "1280"]);
}

#[test]
fn a_missing_capability_is_named_and_nothing_else() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    for keys in [json!({}), json!({"ipMasq": true, "macspoofchk": true})] {
        let plugin = node.call("ADD", &blue).process();
        let mut without = Command::new("setpriv");
        without.args(["--bounding-set=-net_admin", "--inh-caps=-net_admin"]);
        without.arg(plugin.get_program()).env_clear();
        without.envs(plugin.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let stdin = node.ipam_dir().join("config");
        std::fs::write(&stdin, config(keys).to_string()).unwrap();
        for command in ["ADD", "DEL"] {
            without.env("CNI_COMMAND", command).stdin(std::fs::File::open(&stdin).unwrap());
            let answer = without.output().unwrap();
            let error: Value = serde_json::from_slice(&answer.stdout).unwrap();
            assert_eq!(error["code"], 100, "{error}");
            assert_says(error["msg"].as_str().unwrap(), &["EPERM"]);
            assert_eq!(error["details"], "the plugin needs the capability CAP_NET_ADMIN");
        }
    }
}

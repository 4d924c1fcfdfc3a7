//! What ADD refuses, before or without any effect.

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::node::{Node, assert_same, assert_says, config, host_end, with};

#[test]
fn an_interface_of_that_name_in_the_container() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    blue.run(["ip", "link", "add", "eth0", "type", "bridge"]);
    let message = node.add_leaves_nothing(&blue, &config(json!({})), 101);
    assert_says(&message, &["\"eth0\"", "already exists"]);
    assert!(node.calls().is_empty(), "the IPAM plugin was asked");
}

#[test]
fn a_link_of_the_bridges_name_that_is_no_bridge() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    node.host.run(["ip", "link", "add", "br0", "type", "veth", "peer", "other"]);
    let message = node.add_leaves_nothing(&blue, &config(json!({})), 101);
    assert_eq!(message, "\"br0\" already exists but is not a bridge");
}

#[test]
fn its_own_namespace_before_any_effect() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let before = node.snapshot(&blue);
    let own = |command| {
        let call = node.call(command, &blue).config(config(json!({})));
        call.netns_path("/proc/thread-self/ns/net").run()
    };
    for command in ["ADD", "DEL"] {
        let message = own(command).expect_error(8);
        assert_says(&message, &["plugin's netns", "should not be the same"]);
    }
    assert!(node.calls().is_empty(), "the IPAM plugin was asked");
    assert_same(&before, &node.snapshot(&blue));
}

#[test]
fn its_own_namespace_is_taken_when_overridden() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let own = |command| {
        let call = node.call(command, &blue).config(config(json!({})));
        call.netns_path("/proc/thread-self/ns/net").env("CNI_NETNS_OVERRIDE", "True").run()
    };
    own("ADD").expect_success();
    assert!(node.has_link("eth0"));
    own("DEL").expect_silent_success();
    assert!(!node.has_link("eth0"));
}

#[test]
fn what_is_no_namespace() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let file = node.host.temp_dir().join("file");
    fs::write(&file, "").unwrap();
    node.host.run(["mkfifo", node.host.temp_dir().join("fifo").to_str().unwrap()]);
    let before = node.snapshot(&blue);
    for path in ["file", "fifo", "", "nothing"].map(|name| node.host.temp_dir().join(name)) {
        let call = node.call("ADD", &blue).netns_path(&path).config(config(json!({})));
        let message = call.run().expect_error(8);
        assert_says(&message, &[path.to_str().unwrap().trim_end_matches('/')]);
    }
    assert!(node.calls().is_empty());
    assert_same(&before, &node.snapshot(&blue));
}

#[test]
fn a_full_bridge() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    node.host.run(["ip", "link", "add", "br0", "up", "type", "bridge"]);
    // Both ends of a pair are ports; 1023 is odd.
    let mut batch = String::new();
    for number in 0..512 {
        writeln!(batch, "link add a{number} master br0 type veth peer b{number}").unwrap();
        if number > 0 {
            writeln!(batch, "link set b{number} master br0").unwrap();
        }
    }
    let file = node.host.temp_dir().join("batch");
    fs::write(&file, batch).unwrap();
    node.host.run(["ip", "-batch", file.to_str().unwrap()]);
    // None of its ports is up, which the kernel notices up to a second later.
    let is_settled = |_| {
        std::thread::sleep(Duration::from_millis(100));
        node.host.run(["ip", "link", "show", "br0"]).contains("state DOWN")
    };
    assert!((0..50).any(is_settled));
    let message = node.add_leaves_nothing(&blue, &config(json!({"isGateway": true})), 100);
    assert_says(&message, &["bridge \"br0\" is full", "1023 ports"]);
    node.host.run(["ip", "link", "delete", "b0"]);
    node.add(&blue, &config(json!({"isGateway": true})));
}

#[test]
fn a_second_add_of_a_living_attachment() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    let config = config(json!({"isGateway": true}));
    let result = node.add(&blue, &config);
    node.calls();
    let before = node.snapshot(&blue);
    let message = node.add_fails(&blue, &config, 101);
    assert_says(&message, &["\"eth0\"", "already exists"]);
    // The same attachment, its namespace another one.
    let elsewhere = node.call("ADD", &blue).netns(&red).config(&config).run();
    assert_says(&elsewhere.expect_error(101), &["attached already", &host_end(&result)]);
    assert!(node.calls().is_empty(), "the IPAM plugin was asked");
    assert_same(&before, &node.snapshot(&blue));
    assert!(blue.pings("10.1.0.1"));
    node.check(&blue, &config, &result).expect_silent_success();
}

/// The kernel takes 254 bytes of an alias; a longer one would leave the attachment marked unfinished.
#[test]
fn a_second_add_of_an_attachment_with_long_names() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let config = config(json!({"isGateway": true}));
    let (id, pod) = ("c".repeat(64), "p".repeat(253));
    let args = format!("K8S_POD_NAMESPACE={};K8S_POD_NAME={pod}", "n".repeat(63));
    for id in [id, "c".repeat(2000)] {
        let call =
            |command| node.call(command, &blue).container_id(&id).args(&args).config(&config).run();
        let result = call("ADD").expect_success().json();
        let alias = node.host.run(["ip", "link", "show", &host_end(&result)]);
        assert!(alias.contains("alias net/ccc") && !alias.contains("being attached"), "{alias}");
        call("ADD").expect_error(101);
        assert!(blue.pings("10.1.0.1"));
        call("DEL").expect_silent_success();
        assert!(!node.has_link(&host_end(&result)));
    }
}

#[test]
fn the_del_of_a_refused_add_leaves_the_living_attachment_alone() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let config = config(json!({"isGateway": true}));
    node.add(&blue, &config);
    node.calls();
    let before = node.snapshot(&blue);
    let other = |command| node.call(command, &blue).container_id("other").config(&config).run();
    assert_says(&other("ADD").expect_error(101), &["\"eth0\"", "already exists"]);
    other("DEL").expect_silent_success();
    assert_same(&before, &node.snapshot(&blue));
    assert_eq!(node.calls(), ["DEL other eth0"]);
    assert!(blue.pings("10.1.0.1"));
}

#[test]
fn a_result_that_the_asked_version_cannot_hold() {
    let node = Node::giving(&["10.1.0.2/16", "10.2.0.2/16"]);
    let blue = node.host.container("blue");
    let keys = config(json!({"cniVersion": "0.2.0", "isGateway": true}));
    let message = node.add_leaves_nothing(&blue, &keys, 7);
    let text = "CNI version 0.2.0 does not support more than 1 address per family";
    assert_says(&message, &[text]);
    assert_eq!(node.calls(), ["ADD blue eth0", "DEL blue eth0"]);
    let layer_2 = with(&keys, &json!({"ipam": Value::Null}));
    let message = node.add_leaves_nothing(&blue, &layer_2, 7);
    assert_says(&message, &["cannot convert: no valid IP addresses"]);
}

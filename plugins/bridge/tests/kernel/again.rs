//! ADD after one that was killed, and DEL in every state.

use std::fs;

use serde_json::{Value, json};
use testsupport::Container;

use crate::node::{Node, assert_same, config, host_end, with};

fn gateway() -> Value {
    config(json!({"isGateway": true}))
}

/// An IPAM plugin as strict as `host-local`: one lease for each attachment. While `kill` is there,
/// it kills the plugin that called it, once that has made its links.
const STRICT: &str = r#"#!/bin/sh
dir=${0%/*}
echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME" >> "$dir/calls"
lease="$dir/lease.$CNI_CONTAINERID"
case $CNI_COMMAND in
ADD)
    if [ -e "$lease" ]; then
        echo '{"cniVersion":"1.0.0","code":101,"msg":"failed to allocate for range 0: 10.1.0.2 has been allocated to blue, duplicate allocation is not allowed"}'
        exit 1
    fi
    : > "$lease"
    if [ -e "$dir/kill" ]; then
        tries=0
        until ip -o link show type veth | grep -q 'being attached\|alias'; do
            tries=$((tries + 1)); [ $tries -lt 500 ] || break
        done
        kill -9 $PPID
    fi
    cat "$dir/result";;
DEL) rm -f "$lease";;
esac
"#;

/// A node where an ADD for blue was killed, its pair and its lease left.
fn after_a_killed_add() -> (Node, Container) {
    let node = Node::giving(&["10.1.0.2/16"]);
    node.write_ipam(STRICT);
    let blue = node.host.container("blue");
    fs::write(node.ipam_dir().join("kill"), "").unwrap();
    let answer = node.run("ADD", &blue, &gateway());
    assert_eq!(answer.status(), None, "{answer}");
    fs::remove_file(node.ipam_dir().join("kill")).unwrap();
    assert!(node.ipam_dir().join("lease.blue").exists());
    assert_eq!(blue.finish(["ip", "link", "show", "eth0"]).status, Some(0), "no pair was left");
    node.calls();
    (node, blue)
}

#[test]
fn an_add_after_a_killed_one_succeeds() {
    let (node, blue) = after_a_killed_add();
    let result = node.add(&blue, &gateway());
    assert_eq!(node.calls(), ["ADD blue eth0", "DEL blue eth0", "ADD blue eth0"]);
    assert!(blue.pings("10.1.0.1"));
    node.check(&blue, &gateway(), &result).expect_silent_success();
    let ports = node.host.run(["ip", "-o", "link", "show", "master", "br0"]);
    assert_eq!(ports.lines().count(), 1, "{ports}");
    node.add_fails(&blue, &gateway(), 101);
}

#[test]
fn an_add_after_one_killed_before_it_marked_its_pair() {
    let (node, blue) = after_a_killed_add();
    let ports = node.host.run(["ip", "-o", "link", "show", "master", "br0"]);
    let port = ports.split([':', '@']).nth(1).unwrap().trim();
    node.host.run(["ip", "link", "set", port, "alias", ""]);
    node.add(&blue, &gateway());
    assert!(blue.pings("10.1.0.1"));
}

#[test]
fn an_add_into_another_namespace_after_a_killed_one() {
    let (node, blue) = after_a_killed_add();
    let red = node.host.container("red");
    node.call("ADD", &blue).netns(&red).config(gateway()).run().expect_success();
    assert!(red.pings("10.1.0.1"));
    assert_ne!(blue.finish(["ip", "link", "show", "eth0"]).status, Some(0));
}

#[test]
fn a_del_after_a_killed_add_leaves_nothing() {
    let (node, blue) = after_a_killed_add();
    node.del(&blue, &gateway());
    assert_ne!(blue.finish(["ip", "link", "show", "eth0"]).status, Some(0));
    assert_eq!(node.host.run(["ip", "-o", "link", "show", "master", "br0"]), "");
    assert!(!node.ipam_dir().join("lease.blue").exists());
}

/// Attaches, brings about a state, and DELs three times as `del` does: nothing may be left.
fn del_leaves_nothing(disturb: impl Fn(&Node, &mut Container), netns: Option<&str>) {
    let node = Node::giving(&["10.1.0.2/16", "fd00:1::2/64"]);
    let mut blue = node.host.container("blue");
    let result = node.add(&blue, &gateway());
    assert!(node.has_link(&host_end(&result)));
    node.calls();
    disturb(&node, &mut blue);
    for _ in 0..3 {
        let call = node.call("DEL", &blue).config(gateway());
        let call = match netns {
            Some(path) => call.netns_path(path),
            None => call,
        };
        call.run().expect_silent_success();
        assert!(!node.has_link(&host_end(&result)));
        assert_eq!(node.calls(), ["DEL blue eth0"]);
    }
    if blue.finish(["true"]).status == Some(0) {
        let links = blue.run(["ip", "-o", "link"]);
        assert_eq!(links.lines().count(), 1, "{links}");
    }
}

#[test]
fn del_with_everything_there() {
    del_leaves_nothing(|_, _| {}, None);
}

#[test]
fn del_with_the_namespace_gone() {
    del_leaves_nothing(|_, blue| blue.vanish(), None);
}

#[test]
fn del_with_a_plain_file_for_a_namespace() {
    del_leaves_nothing(
        |_, blue| {
            blue.vanish();
            fs::write(blue.path(), "").unwrap();
        },
        Some("/run/netns/blue"),
    );
}

#[test]
fn del_with_the_interface_gone() {
    del_leaves_nothing(|_, blue| drop(blue.run(["ip", "link", "delete", "eth0"])), None);
}

#[test]
fn del_with_the_interface_renamed() {
    let rename = |_: &Node, blue: &mut Container| {
        blue.run(["ip", "link", "set", "eth0", "down"]);
        blue.run(["ip", "link", "set", "eth0", "name", "eth7"]);
    };
    del_leaves_nothing(rename, None);
}

#[test]
fn del_with_the_bridge_gone() {
    del_leaves_nothing(|node, _| drop(node.host.run(["ip", "link", "delete", "br0"])), None);
}

#[test]
fn del_with_an_empty_or_wrong_namespace() {
    del_leaves_nothing(|_, _| {}, Some(""));
    del_leaves_nothing(|_, _| {}, Some("/run/netns/nobody"));
    del_leaves_nothing(|_, _| {}, Some("/proc/4000000/ns/net"));
}

#[test]
fn del_without_the_variable_for_the_namespace() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let result = node.add(&blue, &gateway());
    let call = testsupport::Call::new("bridge").command("DEL").container_id("blue").ifname("eth0");
    let path = node.ipam_dir().to_owned();
    call.env("CNI_PATH", path).config(gateway()).run().expect_silent_success();
    assert!(!node.has_link(&host_end(&result)));
}

#[test]
fn del_of_what_never_was() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let before = node.snapshot(&blue);
    node.del(&blue, &gateway());
    assert_eq!(node.calls(), ["DEL blue eth0"]);
    assert_same(&before, &node.snapshot(&blue));
}

#[test]
fn del_takes_a_configuration_that_was_read_and_written_again() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let result = node.add(&blue, &gateway());
    let again = json!({
        "prevResult": result, "type": "bridge", "routes": null, "ipMasqBackend": "", "vlan": 0,
        "runtimeConfig": {"mac": "", "dns": {}}, "args": null, "dns": {},
    });
    let keys = with(&with(&gateway(), &again), &json!({"isGateway": null}));
    node.del(&blue, &keys);
    assert!(!node.has_link(&host_end(&result)));
}

#[test]
fn del_of_an_attachment_that_another_suite_made() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let words = "ip link add vethabc type veth peer name eth0 netns blue";
    node.host.run(words.split(' ').collect::<Vec<_>>());
    node.del(&blue, &gateway());
    assert!(!node.has_link("vethabc"));
    assert_eq!(node.calls(), ["DEL blue eth0"]);
}

#[test]
fn an_address_is_released_only_after_its_interface_is_gone() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    node.add(&blue, &gateway());
    node.write_ipam("#!/bin/sh\nip -o link show type veth > ${0%/*}/seen\n");
    node.del(&blue, &gateway());
    assert_eq!(fs::read_to_string(node.ipam_dir().join("seen")).unwrap(), "");
}

#[test]
fn an_error_of_the_ipam_plugin_is_reported_after_the_interface_is_gone() {
    let node = Node::giving(&["10.1.0.2/16"]);
    let blue = node.host.container("blue");
    let result = node.add(&blue, &gateway());
    node.write_ipam("#!/bin/sh\necho '{\"code\":5,\"msg\":\"pool broken\"}'\nexit 1\n");
    assert_eq!(node.run("DEL", &blue, &gateway()).expect_error(5), "pool broken");
    assert!(!node.has_link(&host_end(&result)));
}

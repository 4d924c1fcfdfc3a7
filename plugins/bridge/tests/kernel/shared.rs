//! A failed ADD on a bridge that is not its own alone: what others use stays, what only this ADD
//! changed goes.

use serde_json::json;

use crate::node::{Node, assert_same, config, ips};

/// Addresses, and a route that the kernel refuses.
fn doomed() -> serde_json::Value {
    let mut answer = ips(&["10.1.0.2/16"]);
    answer["routes"] = json!([{"dst": "10.9.0.0/16", "gw": "192.0.2.1"}]);
    answer
}

#[test]
fn a_bridge_that_got_another_port_meanwhile_stays_with_its_address() {
    let node = Node::giving(&[]);
    let blue = node.host.container("blue");
    node.answer(&doomed());
    // Another port comes while blue's ADD waits for its address.
    node.write_ipam(
        r#"#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
tries=0
until ip link add port0 up master br0 type veth peer p0 2>/dev/null; do
    tries=$((tries + 1)); [ $tries -lt 500 ] || exit 9
done
cat "${0%/*}/result"
"#,
    );
    node.add_fails(&blue, &config(json!({"isGateway": true})), 100);
    let ports = node.host.run(["ip", "-o", "link", "show", "master", "br0"]);
    assert_eq!(ports.lines().count(), 1, "{ports}");
    assert!(ports.contains("port0"), "{ports}");
    assert_ne!(blue.finish(["ip", "link", "show", "eth0"]).status, Some(0));
}

#[test]
fn a_bridge_that_was_there_is_down_and_quiet_again() {
    let node = Node::giving(&[]);
    let blue = node.host.container("blue");
    node.host.run(["ip", "link", "add", "br0", "address", "02:00:00:00:00:07", "type", "bridge"]);
    node.host.run(["sysctl", "-qw", "net.ipv6.conf.br0.disable_ipv6=1"]);
    // One that has been up has another queue than one that never was.
    node.host.run(["ip", "link", "set", "br0", "up"]);
    node.host.run(["ip", "link", "set", "br0", "down"]);
    node.answer(&doomed());
    // Not in every detail: what a port can do widens what the kernel lets the bridge do for good.
    let shown = || {
        ["link", "address"].map(|what| node.host.run(["ip", "-o", what, "show", "br0"])).concat()
    };
    let before = shown();
    let keys = json!({"promiscMode": true, "isGateway": true});
    node.add_fails(&blue, &config(keys), 100);
    assert_same(&before, &shown());
}

#[test]
fn the_neighbours_of_a_failed_add_keep_all_they_have() {
    let node = Node::giving(&["10.1.0.3/16", "fd00:1::3/64"]);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    let keys = config(json!({"isDefaultGateway": true}));
    node.add(&red, &keys);
    node.answer(&doomed());
    let before = node.snapshot(&red);
    node.add_fails(&blue, &keys, 100);
    assert_same(&before, &node.snapshot(&red));
    assert!(red.pings("10.1.0.1") && red.pings("fd00:1::1"));
}

#[test]
fn a_failed_add_takes_from_a_bridge_with_other_ports_what_it_gave_it() {
    let node = Node::giving(&["10.1.0.2/16", "fd00:1::2/64"]);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    // Of layer 2: it needs nothing of the bridge but that it is up.
    node.add(&red, &config(json!({"ipam": null})));
    let before = node.snapshot(&red);
    // The container's IPv6 address can't be: its MTU is too small.
    let keys = json!({"isGateway": true, "promiscMode": true, "mtu": 576});
    let answer = node.run("ADD", &blue, &config(keys));
    assert_eq!(answer.status(), Some(1), "{answer}");
    assert_same(&before, &node.snapshot(&red));
    node.answer(&ips(&["10.7.0.2/16"]));
    node.add(&blue, &config(json!({"isGateway": true, "name": "other"})));
    assert!(blue.pings("10.7.0.1"));
}

#[test]
fn what_a_failed_add_gave_a_bridge_stays_where_another_port_came_meanwhile() {
    let node = Node::giving(&[]);
    let (blue, red) = (node.host.container("blue"), node.host.container("red"));
    node.add(&red, &config(json!({"ipam": null})));
    node.answer(&doomed());
    // It came when the bridge was promiscuous already.
    node.write_ipam(
        "#!/bin/sh\n[ $CNI_COMMAND = ADD ] || exit 0\n\
         ip link add port0 up master br0 type veth peer p0\ncat ${0%/*}/result\n",
    );
    node.add_fails(&blue, &config(json!({"isGateway": true, "promiscMode": true})), 100);
    let shown = node.host.run(["ip", "-o", "-d", "address", "show", "br0"]);
    assert!(shown.contains("10.1.0.1/16"), "{shown}");
    assert!(node.host.run(["ip", "link", "show", "br0"]).contains("PROMISC"));
}

#[test]
fn an_add_whose_bridge_others_remove_begins_again() {
    let node = Node::giving(&["10.1.0.2/16", "fd00:1::2/64"]);
    let blue = node.host.container("blue");
    // As an ADD does that made the bridge and fails, at the wrong moment; twice.
    node.write_ipam(
        r#"#!/bin/sh
echo "$CNI_COMMAND" >>"${0%/*}/calls"
[ "$CNI_COMMAND" = ADD ] || exit 0
if [ "$(grep -c ADD "${0%/*}/calls")" -lt 3 ]; then
    tries=0
    until ip link del br0 2>/dev/null; do
        tries=$((tries + 1)); [ $tries -lt 500 ] || exit 9
    done
fi
cat "${0%/*}/result"
"#,
    );
    node.add(&blue, &config(json!({"isDefaultGateway": true})));
    assert!(blue.pings("10.1.0.1") && blue.pings("fd00:1::1"));
    let ports = node.host.run(["ip", "-o", "link", "show", "master", "br0"]);
    assert_eq!(ports.lines().count(), 1, "{ports}");
    let calls = node.host.run(["sort", &format!("{}/calls", node.ipam_dir().display())]);
    assert_eq!(calls, "ADD\nADD\nADD\nDEL\nDEL\n");
}

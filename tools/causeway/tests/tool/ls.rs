//! `causeway ls`: what it tells of attachments in every state.

use std::fs;
use std::path::Path;

use serde_json::json;
use testsupport::{REFERENCE_DIR, feature, not_run};

use crate::node::{Node, attachment, call_of, lease, pods, pods_with, succeeded};

#[test]
fn a_living_attachment_is_shown_with_all_that_is_known_of_it() {
    let node = Node::new(&[pods()]);
    let container = node.host.container("blue");
    let ports = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 53, "containerPort": 5353, "protocol": "udp", "hostIP": "10.85.0.1"}]);
    let attachment = attachment(&container)
        .args("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0")
        .capabilities([("portMappings", ports)]);
    let result = node.add("pods", &attachment);
    let (host, inside) = (&result["interfaces"][1], &result["interfaces"][2]);

    let listing = node.json(&["ls"], 0);
    let network = &listing["networks"][0];
    assert_eq!((&network["name"], &network["bridge"]), (&json!("pods"), &json!("cni0")));
    let docker = json!({"blue": {"Name": "shop/web-0", "EndpointID": host["name"],
        "MacAddress": inside["mac"], "IPv4Address": "10.85.0.2/16", "IPv6Address": ""}});
    assert_eq!(network["Containers"], docker);
    let shown = node.shown("pods", "blue");
    for (key, value) in [
        ("state", json!("alive")),
        ("reason", json!(null)),
        ("interface", json!("eth0")),
        ("pod", json!("shop/web-0")),
        ("netns", json!("/run/netns/blue")),
        ("addresses", json!(["10.85.0.2/16"])),
        ("mac", inside["mac"].clone()),
        ("hostInterface", host["name"].clone()),
        ("bridge", json!("cni0")),
        ("rules", json!(["ipMasq", "macspoofchk", "portmap"])),
        ("causeway", json!(true)),
    ] {
        assert_eq!(shown[key], value, "{key}: {shown:#}");
    }
    assert_eq!(shown["ports"][0]["hostPort"], 8080, "{shown:#}");
    assert_eq!(shown["ports"][1]["hostIP"], "10.85.0.1", "{shown:#}");
    assert!(shown["since"].as_u64().is_some_and(|since| since > 1_700_000_000), "{shown:#}");

    let text = node.text(&["ls"], 0);
    let line = text.lines().nth(1).unwrap();
    for part in
        ["blue (shop/web-0)", "10.85.0.2/16", "8080→80/tcp", "10.85.0.1:53→5353/udp", "alive"]
    {
        assert!(line.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "no colours without a terminal: {text}");
    node.del("pods", &attachment);
    assert!(node.listed("pods").is_empty());
}

#[test]
fn limits_are_those_that_the_kernel_has() {
    let limits = json!({"type": "bandwidth", "capabilities": {"bandwidth": true}});
    let network = pods_with(limits);
    let node = Node::new(&[network]);
    let attach = |name: &str, ifname: &str, rates: serde_json::Value| {
        let container = node.host.container(name);
        let attachment = attachment(&container).ifname(ifname).capabilities([("bandwidth", rates)]);
        node.add("pods", &attachment);
        (container, attachment)
    };
    let both = json!({"ingressRate": 8_000_000, "ingressBurst": 800_000,
        "egressRate": 1_500_000, "egressBurst": 800_000});
    let some = json!({"ingressRate": 2_000_000, "ingressBurst": 800_000,
        "unshapedSubnets": ["10.0.0.0/8"]});
    let (_both, attachment) = attach("both", "eth0", both.clone());
    let (_some, _) = attach("some", "eth0", some);
    let (_none, _) = node.attach("pods", "none");
    let of = |name: &str| node.shown("pods", name)["limits"].clone();
    assert_eq!(of("both"), json!({"ingressRate": 8_000_000, "egressRate": 1_500_000}));
    assert_eq!(of("some"), json!({"ingressRate": 2_000_000, "egressRate": null}));
    assert_eq!(of("none"), json!({"ingressRate": null, "egressRate": null}));
    assert_eq!(node.shown("pods", "both")["rates"], both, "what was asked for");
    let text = node.text(&["ls"], 0);
    assert!(text.lines().next().unwrap().contains("  RATES  "), "{text}");
    let line = text.lines().find(|line| line.contains(" both ")).unwrap();
    assert!(line.contains("  in 8Mbit,out 1500kbit  "), "{line}");

    // Not what was asked for counts.
    let host = node.shown("pods", "both")["hostInterface"].as_str().unwrap().to_owned();
    node.host.run(["tc", "qdisc", "del", "dev", &host, "root"]);
    assert_eq!(of("both"), json!({"ingressRate": null, "egressRate": 1_500_000}));
    node.del("pods", &attachment);
}

#[test]
fn each_state_is_told_from_the_others() {
    let node = Node::new(&[pods()]);
    let (mut gone, _) = node.attach("pods", "gone");
    let (_alive, _) = node.attach("pods", "alive");
    let (_unfinished, result) = node.attach("pods", "unfinished");
    let (_link, _) = node.attach("pods", "link");
    let unfinished = result["interfaces"][1]["name"].as_str().unwrap();
    let alias = "pods/unfinished/eth0 (being attached)";
    node.host.run(["ip", "link", "set", unfinished, "alias", alias]);
    fs::remove_file(lease("pods", "10.85.0.5")).unwrap();
    // What another plugin left: nothing proves whose it is.
    fs::write(lease("pods", "10.85.0.9"), "lease\r\neth0").unwrap();
    fs::write(lease("pods", "10.85.0.10"), "").unwrap();
    gone.vanish();
    let waited = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        node.shown("pods", "gone")["hostInterface"].is_null()
    });
    assert!(waited, "the pair goes with its namespace");

    let state = |container: &str| node.shown("pods", container)["state"].clone();
    assert_eq!(state("alive"), "alive");
    assert_eq!(state("gone"), "gone");
    assert_eq!(state("unfinished"), "unfinished");
    assert_eq!(state("link"), "only-link");
    assert_eq!(state("lease"), "only-lease");
    let reason = node.shown("pods", "gone")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("host interface is gone"), "{reason}");
    let empty = node.shown("pods", "");
    assert_eq!((&empty["state"], &empty["addresses"]), (&json!("gone"), &json!(["10.85.0.10/16"])));
    assert!(empty["reason"].as_str().unwrap().contains("unfinished"), "{empty:#}");
}

#[test]
fn a_call_at_work_is_no_fault() {
    let node = Node::new(&[pods()]);
    let (_container, result) = node.attach("pods", "blue");
    let name = result["interfaces"][1]["name"].as_str().unwrap();
    let alias = "pods/blue/eth0 (being attached)";
    node.host.run(["ip", "link", "set", name, "alias", alias]);
    assert_eq!(node.shown("pods", "blue")["state"], "unfinished");
    let offset = i64::from_str_radix(name.strip_prefix("veth").unwrap(), 16).unwrap();
    let path = Path::new("/run/cni/causeway.lock");
    let timeout = std::time::Duration::from_secs(5);
    let lock = cni_common::sys::byte_lock::ByteLock::acquire(path, offset, timeout).unwrap();
    assert!(lock.is_some());
    assert_eq!(node.shown("pods", "blue")["state"], "busy");
}

#[test]
fn two_networks_on_one_bridge_and_two_interfaces_of_one_container_are_told_apart() {
    let mut second = pods();
    second["name"] = json!("more");
    second["plugins"][0]["ipam"]["subnet"] = json!("10.86.0.0/24");
    second["plugins"][0]["isGateway"] = json!(false);
    let node = Node::new(&[pods(), second]);
    let (container, _) = node.attach("pods", "blue");
    node.add("pods", &attachment(&container).ifname("eth1"));
    node.add("more", &attachment(&container).ifname("net0"));
    let pods = node.listed("pods");
    let names: Vec<_> = pods.iter().map(|one| one["interface"].as_str().unwrap()).collect();
    assert_eq!(names, ["eth0", "eth1"]);
    assert_eq!(node.shown("more", "blue")["addresses"], json!(["10.86.0.2/24"]));
    let failed = node.tool(&["ls", "nowhere"]);
    assert_eq!(failed.status, Some(8), "{failed}");
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains("there is: more, pods"), "{said}");
    assert!(failed.stdout.is_empty());
}

#[test]
fn layer_two_and_a_vlan_gateway_are_seen_for_what_they_are() {
    let list = json!({"cniVersion": "1.0.0", "name": "vlan", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": true, "vlan": 100,
         "ipam": {"type": "host-local", "subnet": "10.87.0.0/24"}}]});
    let plain = json!({"cniVersion": "1.0.0", "name": "plain", "plugins": [
        {"type": "bridge", "bridge": "cni1"}]});
    let node = Node::new(&[list, plain]);
    if !feature::vlan_filtering() {
        return not_run("bridges of this kernel filter no VLANs");
    }
    let (_one, _) = node.attach("vlan", "one");
    let (_two, _) = node.attach("plain", "two");
    assert_eq!(node.shown("plain", "two")["state"], "alive");
    assert_eq!(node.listed("vlan").len(), 1, "the gateway's pair is none of a container");
}

#[test]
fn attachments_of_the_reference_are_told_by_their_addresses() {
    if !Path::new(REFERENCE_DIR).join("bridge").is_file() {
        return not_run("the reference plugins are not installed");
    }
    let config = json!({"cniVersion": "1.0.0", "name": "pods", "type": "bridge", "bridge": "cni0",
        "isGateway": true, "ipam": {"type": "host-local", "subnet": "10.85.0.0/16"}});
    let mut list = pods();
    list["cniVersion"] = json!("1.0.0");
    let node = Node::new(&[list]);
    let (theirs, other) = (node.host.container("theirs"), node.host.container("other"));
    let add = |container| {
        succeeded(&call_of(REFERENCE_DIR, "bridge", "ADD", container).config(&config).run())
    };
    let result = add(&theirs);
    let second = add(&other);
    let (_ours, _) = node.attach("pods", "ours");
    let shown = node.shown("pods", "theirs");
    for (key, value) in [
        ("state", json!("alive")),
        ("addresses", json!(["10.85.0.2/16"])),
        ("mac", result["interfaces"][2]["mac"].clone()),
        ("hostInterface", result["interfaces"][1]["name"].clone()),
        ("bridge", json!("cni0")),
        ("causeway", json!(false)),
    ] {
        assert_eq!(shown[key], value, "{key}: {shown:#}");
    }
    assert_eq!(node.shown("pods", "ours")["causeway"], true);

    // Its link is gone; that proves nothing without a word of its runtime.
    let link = second["interfaces"][1]["name"].as_str().unwrap();
    node.host.run(["ip", "link", "delete", link]);
    assert_eq!(node.shown("pods", "other")["state"], "only-lease");
}

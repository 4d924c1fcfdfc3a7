//! `causeway gc`: what is dead goes, with its reason; what lives, or may live, stays.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use testsupport::{Container, REFERENCE_DIR, not_run};

use crate::node::{Node, attachment, lease, pods};

/// The containers of a list of attachments.
fn containers(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["container"].as_str().unwrap()).collect()
}

/// Takes a container's namespace away, and waits until its pair is gone with it.
fn vanish(node: &Node, container: &mut Container, link: &Value) {
    container.vanish();
    let link = link.as_str().unwrap();
    let is_gone = |_| {
        thread::sleep(Duration::from_millis(10));
        node.host.finish(["ip", "link", "show", link]).status != Some(0)
    };
    assert!((0..500).any(is_gone), "{link} goes with its namespace");
}

#[test]
fn what_is_dead_is_released_and_what_may_live_is_not() {
    let node = Node::new(&[pods()]);
    let ports = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
    let mut dead = node.host.container("dead");
    let with_ports = attachment(&dead).capabilities([("portMappings", ports)]);
    let result = node.add("pods", &with_ports);
    let (alive, _) = node.attach("pods", "alive");
    let (_killed, killed) = node.attach("pods", "killed");
    let killed = killed["interfaces"][1]["name"].as_str().unwrap();
    let alias = "pods/killed/eth0 (being attached)";
    node.host.run(["ip", "link", "set", killed, "alias", alias]);
    fs::write(lease("pods", "10.85.0.8"), "").unwrap();
    fs::write(lease("pods", "10.85.0.9"), "theirs\r\neth0").unwrap();
    fs::write(lease("pods", "10.85.0.10"), "kept for the printer, ask Ann").unwrap();
    vanish(&node, &mut dead, &result["interfaces"][1]["name"]);

    let before = node.text(&["ls"], 0);
    let dry = node.json(&["gc", "--dry-run"], 4);
    assert_eq!(containers(&dry["left"]), ["", "dead", "killed"]);
    assert_eq!(node.text(&["ls"], 0), before, "nothing was released");
    let done = node.json(&["gc"], 1);
    assert_eq!(containers(&done["released"]), ["", "dead", "killed"], "{done:#}");
    assert_eq!((&done["left"], &done["errors"]), (&json!([]), &json!([])));
    let of = |name: &str| {
        let list = done["released"].as_array().unwrap();
        list.iter().find(|one| one["container"] == name).unwrap()
    };
    assert_eq!(of("dead")["addresses"], json!(["10.85.0.2"]));
    assert_eq!(of("dead")["rules"], json!(["ipMasq", "macspoofchk", "portmap"]));
    assert!(of("dead")["reason"].as_str().unwrap().contains("host interface is gone"));
    assert!(of("killed")["reason"].as_str().unwrap().contains("ADD was killed"));
    assert!(of("")["reason"].as_str().unwrap().contains("left unfinished"));

    for gone in ["10.85.0.2", "10.85.0.4", "10.85.0.8"] {
        assert!(!lease("pods", gone).exists(), "{gone}");
    }
    for kept in ["10.85.0.3", "10.85.0.9", "10.85.0.10"] {
        assert!(lease("pods", kept).exists(), "{kept}");
    }
    let rules = node.host.run(["nft", "list", "ruleset"]);
    assert!(!rules.contains("dead") && !rules.contains("8080"), "{rules}");
    assert!(rules.contains("pods/alive/eth0"), "{rules}");
    assert!(alive.pings("10.85.0.1"));
    assert_eq!(node.text(&["gc"], 0), "nothing is dead\n");
    // The address is free for the next one.
    let pool = node.json(&["pool"], 0)["pools"][0].clone();
    assert_eq!((&pool["held"], &pool["reclaimable"]), (&json!(3), &json!(0)), "{pool:#}");
}

#[test]
fn what_an_add_is_making_is_not_dead() {
    let node = Node::new(&[pods()]);
    let (_container, result) = node.attach("pods", "blue");
    let name = result["interfaces"][1]["name"].as_str().unwrap();
    let alias = "pods/blue/eth0 (being attached)";
    node.host.run(["ip", "link", "set", name, "alias", alias]);
    let offset = i64::from_str_radix(name.strip_prefix("veth").unwrap(), 16).unwrap();
    let path = Path::new("/run/cni/causeway.lock");
    let timeout = Duration::from_secs(5);
    let lock = cni_common::sys::byte_lock::ByteLock::acquire(path, offset, timeout).unwrap();
    assert_eq!(node.text(&["gc"], 0), "nothing is dead\n");
    node.host.run(["ip", "link", "show", name]);
    drop(lock);
    node.json(&["gc"], 1);
    assert_ne!(node.host.finish(["ip", "link", "show", name]).status, Some(0));
}

#[test]
fn a_pair_that_could_not_even_be_named_is_removed() {
    let node = Node::new(&[pods()]);
    let (alive, _) = node.attach("pods", "alive");
    let container = node.host.container("killed");
    let link = "vethaaaaaaaaaaa";
    let words = ["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", "killed"];
    node.host.run([&["ip"][..], &words].concat());
    let done = node.json(&["gc"], 1);
    assert_eq!(done["released"][0]["hostInterface"], link, "{done:#}");
    assert_ne!(node.host.finish(["ip", "link", "show", link]).status, Some(0));
    assert!(alive.pings("10.85.0.1"));
    drop(container);
}

#[test]
fn a_thousand_leases_of_an_earlier_boot_are_released_at_once() {
    let node = Node::new(&[pods()]);
    let (alive, _) = node.attach("pods", "alive");
    for number in 0..1000_u16 {
        let [high, low] = (number + 256).to_be_bytes();
        let path = lease("pods", &format!("10.85.{high}.{low}"));
        fs::write(&path, format!("c{number}\r\neth0")).unwrap();
        let boot = b"00000000-0000-0000-0000-000000000000";
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&path, "user.causeway.boot", boot, flags).unwrap();
    }
    let done = node.json(&["gc"], 1);
    let released = done["released"].as_array().unwrap();
    assert_eq!(released.len(), 1000);
    assert!(released[0]["reason"].as_str().unwrap().contains("earlier boot"));
    assert_eq!(node.listed("pods").len(), 1);
    assert!(alive.pings("10.85.0.1"));
}

#[test]
fn an_attachment_of_the_reference_is_detached_when_its_runtime_says_where_it_was() {
    if !Path::new(REFERENCE_DIR).join("bridge").is_file() {
        return not_run("the reference plugins are not installed");
    }
    let list = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": true,
         "ipam": {"type": "host-local", "subnet": "10.85.0.0/16"}}]});
    let mut node = Node::new(&[list]);
    node.runtime = cni_runtime::Runtime::new([REFERENCE_DIR], "/var/lib/cni");
    let (mut dead, result) = node.attach("pods", "dead");
    let (_alive, _) = node.attach("pods", "alive");
    vanish(&node, &mut dead, &result["interfaces"][1]["name"]);
    assert_eq!(node.shown("pods", "dead")["state"], "gone");
    let done = node.json(&["gc"], 1);
    assert_eq!(containers(&done["released"]), ["dead"], "{done:#}");
    assert!(done["released"][0]["reason"].as_str().unwrap().contains("/run/netns/dead"));
    assert!(!lease("pods", "10.85.0.2").exists());
    assert!(lease("pods", "10.85.0.3").exists());
}

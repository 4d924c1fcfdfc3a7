//! An address that was given to another container is reachable at the first packet, although the
//! neighbours still have its former holder's MAC.

use serde_json::{Value, json};
use testsupport::Finished;

use crate::node::{Node, config, ips};

fn gateway() -> Value {
    config(json!({"isGateway": true}))
}

/// Three times: a neighbour and the host talk to an address, another container gets it, and one
/// packet from each must get through.
fn reachable_at_once(neighbour: &str, address: &str) {
    let node = Node::giving(&[]);
    let red = node.host.container("red");
    node.answer_to("red", &ips(&[neighbour]));
    node.add(&red, &gateway());
    node.answer(&ips(&[address]));
    let ip = address.split('/').next().unwrap();
    let once = ["ping", "-n", "-c", "1", "-W", "1", ip];
    let answered = |finished: Finished, who: &str| {
        if finished.status != Some(0) {
            let known = red.run(["ip", "neighbour"]);
            panic!("the first packet from {who} got lost: {finished}\nit knows {known}");
        }
    };
    let mut macs: Vec<(String, String)> = Vec::new();
    for name in ["blue", "green", "white"] {
        let container = node.host.container(name);
        let result = node.add(&container, &gateway());
        let mac = result["interfaces"][2]["mac"].as_str().unwrap().to_owned();
        if let Some((_, former)) = macs.last() {
            let cached = |text: String| assert!(!text.contains("FAILED"), "{text}");
            assert_ne!(&mac, former);
            cached(red.run(["ip", "neighbour", "show", ip]));
        }
        answered(red.finish(once), &format!("the neighbour to {name}, {mac}"));
        answered(node.host.finish(once), "the host");
        let seen = red.run(["ip", "neighbour", "show", ip]);
        assert!(seen.contains(&mac), "{mac} is not in {seen}");
        macs.push((name.to_owned(), mac));
        node.del(&container, &gateway());
        // The former holder's MAC is still there, and believed.
        let former = &macs.last().unwrap().1;
        for cache in [
            red.run(["ip", "neighbour", "show", ip]),
            node.host.run(["ip", "neighbour", "show", ip]),
        ] {
            assert!(cache.contains(former), "{former} is not in {cache:?}");
        }
    }
}

#[test]
fn ipv4() {
    reachable_at_once("10.1.0.9/16", "10.1.0.2/16");
}

#[test]
fn ipv6() {
    reachable_at_once("fd00:1::9/64", "fd00:1::2/64");
}

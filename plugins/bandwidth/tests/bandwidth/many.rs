//! Many calls at once.

use std::thread;

use serde_json::json;
use testsupport::{Answer, Call};

use crate::world::{IFB, IFB_OF_ETH1, World, limits, with};

/// Runs all calls at once.
fn at_once(calls: &[Call]) -> Vec<Answer> {
    thread::scope(|scope| {
        let threads: Vec<_> = calls.iter().map(|call| scope.spawn(|| call.run())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn fifty_containers_come_and_go_at_once() {
    let world = World::new();
    let before = world.run("tc qdisc show");
    // Fifty interfaces of one namespace are as good as fifty namespaces, with an ID for each.
    let calls = |command: &str| -> Vec<Call> {
        let keys = with(limits(8, 8), json!({"unshapedSubnets": ["10.0.0.0/8", "fd00::/8"]}));
        let call = |n: u32| {
            let mut config = world.config(&keys);
            config["prevResult"] = world.previous(&format!("eth{n}"));
            let call = world.call(command, &json!({})).ifname(&format!("eth{n}"));
            call.container_id(&format!("c{n}")).config(config)
        };
        (1..=50).map(call).collect()
    };
    (1..=50).for_each(|n: u32| world.add_pair(&format!("eth{n}"), &format!("veth{n}")));
    for answer in at_once(&calls("ADD")) {
        answer.expect_success();
    }
    assert_eq!(world.run("tc qdisc show").matches("tbf 1:").count(), 100);
    for answer in at_once(&calls("CHECK")) {
        answer.expect_silent_success();
    }
    for answer in at_once(&calls("DEL")) {
        answer.expect_silent_success();
    }
    let left = world.run("tc qdisc show");
    assert!(!left.contains("tbf") && left.contains(before.trim()), "{left}");
    assert_eq!(world.links().iter().filter(|name| name.starts_with("bw")).count(), 0);
}

#[test]
fn calls_of_one_attachment_and_of_its_neighbour_leave_one_whole() {
    let world = World::new();
    world.add_pair("eth1", "veth1");
    let keys = limits(8, 8);
    for _ in 0..5 {
        let mut calls = vec![world.call("ADD", &keys); 3];
        calls.extend(vec![world.call_of_eth1("ADD", &keys); 3]);
        for answer in at_once(&calls) {
            answer.expect_success();
        }
        world.check(&keys);
        world.call_of_eth1("CHECK", &keys).run().expect_silent_success();
        let mut calls = vec![world.call("DEL", &keys), world.call("ADD", &keys)];
        calls.push(world.call_of_eth1("DEL", &keys));
        for answer in at_once(&calls) {
            answer.expect_success();
        }
        // Whichever of the two came last, there is all of it or nothing.
        match world.root("veth0").contains("tbf") {
            true => world.check(&keys),
            false => assert_eq!(world.filters("veth0"), ""),
        }
        assert!(world.run("tc filter show dev veth1 ingress").is_empty());
        world.del(&keys);
        assert!(!world.has(IFB) && !world.has(IFB_OF_ETH1));
    }
}

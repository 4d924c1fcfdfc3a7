//! Beside the reference's executable: the same devices, and a swap in both directions.

use std::path::Path;

use serde_json::{Value, json};
use testsupport::executable;

use crate::world::{IFB, World, limits, reference, with, within};

/// Limits whose numbers fit the reference's 32 bits, one of them with a burst that is no whole number
/// of microseconds.
fn common() -> [Value; 3] {
    let odd = json!({
        "ingressRate": 1_000_000_007, "ingressBurst": 7_654_321,
        "egressRate": 3_333_333, "egressBurst": 1_000_003,
    });
    let runtime = json!({"runtimeConfig": {"bandwidth": {
        "IngressRate": 50_000_000, "IngressBurst": 5_000_000, "EgressRate": 0, "EgressBurst": 0,
    }}});
    [limits(8, 4), odd, runtime]
}

#[test]
fn what_one_suite_made_the_other_checks_and_removes() {
    let ours = executable("bandwidth");
    for (adds, deletes) in [(&ours, &reference()), (&reference(), &ours)] {
        for keys in common() {
            let world = World::new();
            world.call_of(adds, "ADD", &keys).run().expect_success();
            world.call_of(deletes, "CHECK", &keys).run().expect_silent_success();
            world.call_of(deletes, "DEL", &keys).run().expect_silent_success();
            assert!(!world.has(IFB));
            // What the reference leaves on the host interface, ours removes.
            world.del(&keys);
            assert!(!world.run("tc qdisc show").contains("tbf"));
            assert_eq!(world.filters("veth0"), "");
        }
    }
}

#[test]
fn an_add_replaces_what_the_reference_made() {
    let world = World::new();
    let by_reference = |keys: &Value| {
        world.call_of(&reference(), "ADD", keys).run().expect_success();
    };
    by_reference(&limits(8, 4));
    let left = world.filters("veth0");
    world.add(&limits(8, 4));
    assert_eq!(world.filters("veth0"), left, "the filter does what it should");
    for keys in [limits(4, 8), with(limits(8, 4), json!({"shapedSubnets": ["10.0.0.0/8"]}))] {
        world.add(&keys);
        world.check(&keys);
    }
    world.del(&json!({}));
    assert!(!world.run("tc qdisc show").contains("tbf"));
    // A device whose host interface's filter was made, and one without: a failed ADD of the reference.
    world.run("tc qdisc del dev veth0 clsact");
    world.run(&format!("ip link add {IFB} type ifb"));
    world.add(&limits(8, 4));
    world.check(&limits(8, 4));
    assert!(world.run("ip -br link").contains(IFB));
}

#[test]
fn del_removes_a_device_that_a_failed_add_of_the_reference_left() {
    let world = World::new();
    world.run("tc qdisc add dev veth0 clsact");
    let message = world.call_of(&reference(), "ADD", &limits(8, 4)).run();
    assert_eq!(message.json()["msg"], "create ingress qdisc: file exists");
    assert!(world.has(IFB));
    world.del(&limits(8, 4));
    assert!(!world.has(IFB));
}

#[test]
fn del_leaves_the_references_device_of_another_interface() {
    let world = World::new();
    world.add_pair("eth1", "veth1");
    world.call_of(&reference(), "ADD", &limits(8, 4)).run().expect_success();
    let before = world.state();
    world.call_of_eth1("DEL", &limits(8, 4)).run().expect_silent_success();
    assert_eq!(world.state(), before);
    world.call_of_eth1("ADD", &limits(8, 4)).run().expect_success();
    world.check(&limits(8, 4));
    world.call_of_eth1("DEL", &limits(8, 4)).run().expect_silent_success();
    world.run("tc qdisc del dev veth1 clsact");
    assert_eq!(world.state(), before);
}

#[test]
fn gc_removes_the_references_device_once_its_host_interface_is_gone() {
    let mut world = World::new();
    world.call_of(&reference(), "ADD", &limits(8, 4)).run().expect_success();
    for keys in [json!({}), json!({"cni.dev/valid-attachments": []})] {
        world.gc(&keys).expect_silent_success();
        assert!(world.has(IFB), "a filter needs it: of another network, perhaps");
    }
    world.vanish();
    let living = json!([{"containerID": "c1", "ifname": "eth0"}]);
    world.gc(&json!({"cni.dev/valid-attachments": living})).expect_silent_success();
    assert!(world.has(IFB), "it is named as one that lives");
    within("the filter goes", || {
        world.gc(&json!({})).expect_silent_success();
        !world.has(IFB)
    });
}

#[test]
fn both_answer_the_same_faults_with_the_same_words() {
    let world = World::new();
    for keys in [
        json!({"ingressRate": 8000}),
        json!({"egressBurst": 8000}),
        json!({"egressRate": 8000, "egressBurst": 34_359_738_360_u64}),
        with(limits(8, 8), json!({"prevResult": {"cniVersion": "1.0.0"}})),
        with(limits(8, 8), json!({"prevResult": null})),
    ] {
        for command in ["ADD", "CHECK"] {
            let message = |program: &Path| {
                let answer = world.call_of(program, command, &keys).run();
                assert_eq!(answer.status(), Some(1));
                answer.json()["msg"].as_str().unwrap().to_owned()
            };
            let (own, theirs) = (message(&executable("bandwidth")), message(&reference()));
            assert!(own.contains(&theirs), "{command} {keys}: {own:?}, not {theirs:?}");
        }
    }
}

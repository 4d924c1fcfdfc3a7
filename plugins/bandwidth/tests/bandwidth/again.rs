//! A second ADD replaces what the first one made.

use serde_json::json;

use crate::world::{IFB, RECEIVED, World, limits, with};

#[test]
fn a_second_add_replaces_rates_bursts_and_filters() {
    let world = World::new();
    let untouched = world.state();
    let subnets = json!({"unshapedSubnets": ["10.0.0.0/8"]});
    let first = limits(8, 4);
    world.add(&first);
    let state_of_first = world.state();
    for second in [
        limits(16, 2),
        with(limits(8, 4), json!({"latency": 60})),
        with(limits(8, 4), subnets),
        with(limits(8, 4), json!({"shapedSubnets": ["10.0.0.0/8", "fd00::/8", "192.0.2.0/24"]})),
        with(limits(8, 4), json!({"shapedSubnets": ["0.0.0.0/0"]})),
        with(limits(8, 4), json!({"unshapedSubnets": ["0.0.0.0/0"]})),
        with(limits(8, 4), json!({"shapedSubnets": ["0.0.0.0/0", "::/0"]})),
        json!({"ingressRate": 8_000_000, "ingressBurst": 4_294_967_295_u64}),
        json!({"egressRate": 8_000_000, "egressBurst": 34_359_738_359_u64}),
    ] {
        world.add(&second);
        world.check(&second);
        // Once more changes nothing.
        let state = world.state();
        world.add(&second);
        assert_eq!(world.state(), state);
        let message = world.call("CHECK", &first).run().expect_error(102);
        assert!(!message.is_empty());
        world.add(&first);
        world.check(&first);
        assert_eq!(without_macs(&world.state()), without_macs(&state_of_first), "after {second}");
    }
    world.del(&first);
    world.run("tc qdisc del dev veth0 clsact");
    assert_eq!(world.state(), untouched);
}

/// Devices that were made anew have other addresses, indices and handles.
fn without_macs(state: &str) -> String {
    let lines = state.lines().filter(|line| line.starts_with("qdisc") || line.contains("mirred"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_direction_that_is_configured_no_more_is_free_again() {
    let world = World::new();
    world.add(&with(limits(8, 8), json!({"shapedSubnets": ["10.0.0.0/8"]})));
    assert!(world.has(IFB) && world.has(RECEIVED));
    world.add(&json!({"ingressRate": 8_000_000, "ingressBurst": 800_000}));
    assert!(!world.has(IFB) && !world.has(RECEIVED));
    assert_eq!(world.filters("veth0"), "");
    assert!(world.root("veth0").contains("tbf 1:"));
    world.add(&json!({"egressRate": 8_000_000, "egressBurst": 800_000}));
    assert!(world.has(IFB) && !world.root("veth0").contains("tbf"));
}

#[test]
fn a_second_add_without_limits_takes_those_of_the_first_away() {
    let world = World::new();
    world.run("tc qdisc add dev veth0 clsact");
    let before = world.state();
    let subnets = json!({"shapedSubnets": ["10.0.0.0/8", "fd00::/8"]});
    let in_only = json!({"ingressRate": 8_000_000, "ingressBurst": 800_000});
    for first in [limits(8, 4), with(limits(8, 4), subnets), in_only] {
        world.add(&first);
        assert_ne!(world.state(), before);
        let none = json!({"ingressRate": 0, "ingressBurst": 0});
        assert_eq!(world.add(&none), world.previous("eth0"));
        assert_eq!(world.state(), before);
        world.add(&first);
        world.add(&json!({}));
        assert_eq!(world.state(), before);
    }
}

#[test]
fn an_add_without_limits_leaves_what_is_not_of_this_attachment() {
    let world = World::new();
    world.add_pair("eth1", "veth1");
    world.call_of_eth1("ADD", &limits(8, 8)).run().expect_success();
    world.run("tc qdisc add dev veth0 root handle 1: pfifo");
    world.run("tc qdisc add dev veth0 clsact");
    world.run(
        "tc filter add dev veth0 ingress protocol ip u32 match ip dst 192.0.2.7/32 flowid 1:7",
    );
    let before = world.state();
    world.add(&json!({}));
    assert_eq!(world.state(), before);
    world.call_of_eth1("CHECK", &limits(8, 8)).run().expect_silent_success();
    // There is nothing to limit, and nobody asked for it.
    world.run("ip link delete veth0");
    world.add(&json!({}));
}

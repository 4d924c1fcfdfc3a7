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

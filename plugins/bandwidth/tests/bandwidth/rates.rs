//! Measured rates.

use serde_json::json;
use testsupport::Container;

use crate::world::{LONG, SHORT, Way, World, limits, transfer, with};

/// How often a transfer is tried: a busy machine makes it slower for a while, and faster after that by
/// what the burst makes up for.
const TRIES: u32 = 8;

/// Within 10 %; headers are 4 % of it.
#[track_caller]
fn assert_rate(container: &Container, at: (&str, Way), mbits: f64) {
    let mut tries = (0..TRIES).map(|_| transfer(container, at, LONG) / mbits);
    let found = tries.find(|found| (0.9..1.1).contains(found));
    assert!(found.is_some(), "{at:?}: never {mbits} Mbit/s");
}

#[track_caller]
fn assert_unlimited(container: &Container, at: (&str, Way), mbits: f64) {
    let mut tries = (0..TRIES).map(|_| transfer(container, at, SHORT));
    assert!(tries.any(|found| found > 5.0 * mbits), "{at:?}: as if limited to {mbits} Mbit/s");
}

#[test]
fn both_directions_have_their_rates_with_both_ip_versions_until_del() {
    let world = World::new();
    world.address(1);
    let keys = limits(16, 8);
    world.add(&keys);
    for peer in ["10.1.0.1", "fd00:1::1"] {
        assert_rate(&world.container, (peer, Way::Received), 16.0);
        assert_rate(&world.container, (peer, Way::Sent), 8.0);
    }
    world.check(&keys);
    world.del(&keys);
    assert_unlimited(&world.container, ("10.1.0.1", Way::Received), 16.0);
    assert_unlimited(&world.container, ("10.1.0.1", Way::Sent), 8.0);
}

#[test]
fn one_direction_alone_is_limited() {
    let world = World::new();
    world.address(1);
    world.add(&json!({"egressRate": 10_000_000, "egressBurst": 2_000_000}));
    assert_rate(&world.container, ("10.1.0.1", Way::Sent), 10.0);
    assert_unlimited(&world.container, ("10.1.0.1", Way::Received), 10.0);
    world.add(&json!({"ingressRate": 10_000_000, "ingressBurst": 2_000_000}));
    assert_rate(&world.container, ("10.1.0.1", Way::Received), 10.0);
    assert_unlimited(&world.container, ("10.1.0.1", Way::Sent), 10.0);
}

/// The reference lets nothing through that is larger than the burst.
#[test]
fn a_burst_smaller_than_a_packet_stalls_nothing() {
    let world = World::new();
    world.address(1);
    world.add(&json!({
        "ingressRate": 4_000_000, "ingressBurst": 8, "egressRate": 4_000_000, "egressBurst": 800,
        "latency": 500,
    }));
    // Without a burst what a busy machine misses is lost, so that no rate is asked for.
    for way in [Way::Received, Way::Sent] {
        let found = transfer(&world.container, ("10.1.0.1", way), LONG);
        assert!((0.4..4.4).contains(&found), "{way:?}: {found:.2} Mbit/s");
    }
}

/// 512 MiB at once, of which nothing waits.
#[test]
fn the_bursts_of_runtimes_are_had_in_full() {
    let world = World::new();
    world.address(1);
    let burst = 4_294_967_295_u64;
    world.add(&json!({"runtimeConfig": {"bandwidth": {
        "IngressRate": 1_000_000, "IngressBurst": burst, "EgressRate": 1_000_000, "EgressBurst": burst,
    }}}));
    for way in [Way::Received, Way::Sent] {
        assert_unlimited(&world.container, ("fd00:1::1", way), 1.0);
    }
}

/// Both directions and IP versions: limited with the first network's peer, free with the other's.
#[track_caller]
fn assert_limited_in(world: &World, (limited, free): (u8, u8)) {
    for way in [Way::Received, Way::Sent] {
        for start in ["10.", "fd00:"] {
            let end = if start == "10." { ".0.1" } else { "::1" };
            let peer = |n: u8| format!("{start}{n}{end}");
            assert_rate(&world.container, (&peer(limited), way), 10.0);
            assert_unlimited(&world.container, (&peer(free), way), 10.0);
        }
    }
}

#[test]
fn peers_in_unshaped_subnets_are_not_limited_and_others_are() {
    let world = World::new();
    world.address(1);
    world.address(2);
    let keys = with(limits(10, 10), json!({"unshapedSubnets": ["10.2.0.0/16", "fd00:2::/64"]}));
    world.add(&keys);
    world.check(&keys);
    assert_limited_in(&world, (1, 2));
}

#[test]
fn peers_in_shaped_subnets_alone_are_limited() {
    let world = World::new();
    world.address(1);
    world.address(2);
    let keys = with(limits(10, 10), json!({"shapedSubnets": ["10.2.0.0/16", "fd00:2::/64"]}));
    world.add(&keys);
    world.check(&keys);
    assert_limited_in(&world, (2, 1));
}

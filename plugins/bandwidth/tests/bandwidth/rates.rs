//! Measured rates.

use serde_json::json;
use testsupport::Container;

use crate::world::{Way, World, limits, transfer, with};

/// Within 10 %; headers are 4 % of it.
#[track_caller]
fn assert_rate(found: f64, mbits: f64, what: &str) {
    assert!((0.9..1.1).contains(&(found / mbits)), "{what}: {found:.2} Mbit/s, not {mbits}");
}

#[track_caller]
fn assert_unlimited(found: f64, mbits: f64, what: &str) {
    assert!(found > 5.0 * mbits, "{what}: {found:.2} Mbit/s, as if limited to {mbits}");
}

/// One after the other, as acknowledgements wait in the other one's queue: received, sent.
fn both_ways(container: &Container, peer: &str) -> (f64, f64) {
    (transfer(container, peer, Way::Received), transfer(container, peer, Way::Sent))
}

#[test]
fn both_directions_have_their_rates_with_both_ip_versions_until_del() {
    let world = World::new();
    world.address(1);
    let keys = limits(20, 10);
    world.add(&keys);
    for peer in ["10.1.0.1", "fd00:1::1"] {
        let (received, sent) = both_ways(&world.container, peer);
        assert_rate(received, 20.0, &format!("received from {peer}"));
        assert_rate(sent, 10.0, &format!("sent to {peer}"));
    }
    world.check(&keys);
    world.del(&keys);
    let (received, sent) = both_ways(&world.container, "10.1.0.1");
    assert_unlimited(received, 20.0, "received after DEL");
    assert_unlimited(sent, 10.0, "sent after DEL");
}

#[test]
fn one_direction_alone_is_limited() {
    let world = World::new();
    world.address(1);
    world.add(&json!({"egressRate": 10_000_000, "egressBurst": 1_000_000}));
    let (received, sent) = both_ways(&world.container, "10.1.0.1");
    assert_rate(sent, 10.0, "sent");
    assert_unlimited(received, 10.0, "received");
    world.add(&json!({"ingressRate": 10_000_000, "ingressBurst": 1_000_000}));
    let (received, sent) = both_ways(&world.container, "10.1.0.1");
    assert_rate(received, 10.0, "received");
    assert_unlimited(sent, 10.0, "sent");
}

/// The reference lets nothing through that is larger than the burst.
#[test]
fn a_burst_smaller_than_a_packet_stalls_nothing() {
    let world = World::new();
    world.address(1);
    world.add(&json!({
        "ingressRate": 10_000_000, "ingressBurst": 8, "egressRate": 10_000_000, "egressBurst": 800,
        "latency": 100,
    }));
    let (received, sent) = both_ways(&world.container, "10.1.0.1");
    assert_rate(received, 10.0, "received");
    assert_rate(sent, 10.0, "sent");
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
    let (received, sent) = both_ways(&world.container, "fd00:1::1");
    assert_unlimited(received, 1.0, "received");
    assert_unlimited(sent, 1.0, "sent");
}

#[test]
fn peers_in_unshaped_subnets_are_not_limited_and_others_are() {
    let world = World::new();
    world.address(1);
    world.address(2);
    let keys = with(limits(10, 10), json!({"unshapedSubnets": ["10.2.0.0/16", "fd00:2::/64"]}));
    world.add(&keys);
    world.check(&keys);
    for (limited, free) in [("10.1.0.1", "10.2.0.1"), ("fd00:1::1", "fd00:2::1")] {
        let (received, sent) = both_ways(&world.container, limited);
        assert_rate(received, 10.0, &format!("received from {limited}"));
        assert_rate(sent, 10.0, &format!("sent to {limited}"));
        let (received, sent) = both_ways(&world.container, free);
        assert_unlimited(received, 10.0, &format!("received from {free}"));
        assert_unlimited(sent, 10.0, &format!("sent to {free}"));
    }
}

#[test]
fn peers_in_shaped_subnets_alone_are_limited() {
    let world = World::new();
    world.address(1);
    world.address(2);
    let keys = with(limits(10, 10), json!({"shapedSubnets": ["10.2.0.0/16", "fd00:2::/64"]}));
    world.add(&keys);
    world.check(&keys);
    for (limited, free) in [("10.2.0.1", "10.1.0.1"), ("fd00:2::1", "fd00:1::1")] {
        let (received, sent) = both_ways(&world.container, limited);
        assert_rate(received, 10.0, &format!("received from {limited}"));
        assert_rate(sent, 10.0, &format!("sent to {limited}"));
        let (received, sent) = both_ways(&world.container, free);
        assert_unlimited(received, 10.0, &format!("received from {free}"));
        assert_unlimited(sent, 10.0, &format!("sent to {free}"));
    }
}

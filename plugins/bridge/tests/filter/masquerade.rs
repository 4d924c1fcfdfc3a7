//! What packets of a masqueraded container look like elsewhere, on nf_tables.

use causeway_bridge::filter::masquerade::{self, Backend};

use crate::world::{Owner, Probe, World, address, address6, networks, run, seen, soon};

const OUTSIDE: &str = "203.0.113.2";
const HOST: &str = "203.0.113.1";
const OUTSIDE_6: &str = "2001:db8:ffff::2";
const HOST_6: &str = "2001:db8:ffff::1";

fn masquerade(number: u8) {
    let owner = Owner::of(number);
    let addresses = networks(&[&address(number), &address6(number)]);
    masquerade::ensure(Backend::Nftables, &owner.subject(), &addresses).unwrap();
}

#[test]
fn outside_sees_the_hosts_address_until_del() {
    let world = World::new();
    let container = world.container(5);
    assert_eq!(seen(&container, &world.outside, OUTSIDE), "10.88.0.5");

    masquerade(5);
    assert_eq!(seen(&container, &world.outside, OUTSIDE), HOST);
    assert_eq!(seen(&container, &world.outside, OUTSIDE_6), HOST_6);

    masquerade::remove(&Owner::of(5).subject(), &[]).unwrap();
    assert_eq!(seen(&container, &world.outside, OUTSIDE), "10.88.0.5");
    assert_eq!(seen(&container, &world.outside, OUTSIDE_6), "fd88::5");
}

#[test]
fn only_the_containers_own_addresses_are_masqueraded() {
    let world = World::new();
    let (_masqueraded, other) = (world.container(5), world.container(6));
    masquerade(5);
    assert_eq!(seen(&other, &world.outside, OUTSIDE), "10.88.0.6");
    assert_eq!(seen(&other, &world.outside, OUTSIDE_6), "fd88::6");
}

#[test]
fn the_own_subnet_sees_the_containers_address() {
    let world = World::new();
    let (one, two) = (world.container(5), world.container(6));
    masquerade(5);
    masquerade(6);
    assert_eq!(seen(&one, &two, "10.88.0.6"), "10.88.0.5");
    assert_eq!(seen(&one, &two, "fd88::6"), "fd88::5");

    // A part of the subnet that is reached by routing passes the rule, unlike a bridged neighbour.
    for line in ["10.88.7.9/32", "fd88::7:9/128"] {
        world.outside.run(["ip", "address", "add", line, "dev", "lo"]);
    }
    run(&world.host, "ip route add 10.88.7.9 via 203.0.113.2");
    run(&world.host, "ip route add fd88::7:9 via 2001:db8:ffff::2");
    one.run(["ip", "route", "add", "10.88.7.9", "via", "10.88.0.1"]);
    one.run(["ip", "route", "add", "fd88::7:9", "via", "fd88::1"]);
    assert_eq!(seen(&one, &world.outside, "10.88.7.9"), "10.88.0.5");
    assert_eq!(seen(&one, &world.outside, "fd88::7:9"), "fd88::5");
}

#[test]
fn the_host_sees_the_containers_address() {
    let world = World::new();
    let container = world.container(5);
    masquerade(5);
    for (destination, source) in
        [("10.88.0.1", "10.88.0.5"), (HOST, "10.88.0.5"), (HOST_6, "fd88::5")]
    {
        let destination = destination.parse().unwrap();
        let probe = Probe { from: Some(&container), source: None, to: None, destination };
        assert_eq!(soon(&probe), source, "towards {destination}");
    }
}

/// The host itself holds the address: multicast is not forwarded without a routing daemon.
#[test]
fn multicast_keeps_the_containers_address() {
    let world = World::new();
    run(&world.host, "ip address add 10.88.0.5/32 dev uplink0");
    run(&world.host, "ip address add fd88::5/128 dev uplink0 nodad");
    run(&world.host, "ip route add 239.0.0.0/8 dev uplink0");
    run(&world.host, "ip -6 route add multicast ff0e::/16 dev uplink0 table local metric 1");
    masquerade(5);
    let from = |source: &str, destination: &str| {
        soon(&Probe {
            from: None,
            source: Some(source.parse().unwrap()),
            to: Some(&world.outside),
            destination: destination.parse().unwrap(),
        })
    };
    assert_eq!(from("10.88.0.5", OUTSIDE), HOST, "control");
    assert_eq!(from("10.88.0.5", "239.1.2.3"), "10.88.0.5");
    assert_eq!(from("fd88::5", OUTSIDE_6), HOST_6, "control");
    assert_eq!(from("fd88::5", "ff0e::1234"), "fd88::5");
}

#[test]
fn of_two_networks_on_one_subnet_only_one_masquerades() {
    let world = World::new();
    let (one, two) = (world.container(5), world.container(6));
    let owner = Owner::new("with", "c5", "veth5");
    masquerade::ensure(Backend::Automatic, &owner.subject(), &networks(&["10.88.0.5/16"])).unwrap();
    assert_eq!(seen(&one, &world.outside, OUTSIDE), HOST);
    assert_eq!(seen(&two, &world.outside, OUTSIDE), "10.88.0.6");
}

#[test]
fn several_addresses_are_all_masqueraded() {
    let world = World::new();
    let container = world.container(5);
    container.run(["ip", "address", "add", "10.89.0.5/24", "dev", "eth0"]);
    run(&world.host, "ip address add 10.89.0.1/24 dev cni0");
    world.outside.learn_route("10.89.0.0/24");
    let source = |source: &str| {
        soon(&Probe {
            from: Some(&container),
            source: Some(source.parse().unwrap()),
            to: Some(&world.outside),
            destination: OUTSIDE.parse().unwrap(),
        })
    };
    assert_eq!(source("10.89.0.5"), "10.89.0.5", "control");
    let addresses = networks(&["10.88.0.5/16", "10.89.0.5/24"]);
    masquerade::ensure(Backend::Nftables, &Owner::of(5).subject(), &addresses).unwrap();
    assert_eq!(source("10.88.0.5"), HOST);
    assert_eq!(source("10.89.0.5"), HOST);
    masquerade::remove(&Owner::of(5).subject(), &addresses).unwrap();
    assert_eq!(source("10.89.0.5"), "10.89.0.5");
}

#[test]
fn masquerading_works_again_after_a_flush_of_the_rule_set() {
    let world = World::new();
    let (one, two) = (world.container(5), world.container(6));
    masquerade(5);
    run(&world.host, "nft flush ruleset");
    masquerade(6);
    assert_eq!(seen(&two, &world.outside, OUTSIDE), HOST);
    assert_eq!(seen(&one, &world.outside, OUTSIDE), "10.88.0.5");
    masquerade(5);
    assert_eq!(seen(&one, &world.outside, OUTSIDE), HOST);
}

//! Beside filters of others, and beside other interfaces of the same container.

use std::fs;

use serde_json::json;
use testsupport::not_run;

use crate::ebpf::{Counter, Packets};
use crate::world::{IFB, IFB_OF_ETH1, World, limits, with};

/// A program that lets every packet pass to the next filter.
const PROGRAM: &str =
    "tc filter add dev veth0 ingress prio 1 handle 1 bpf bytecode 1,6\u{a0}0\u{a0}0\u{a0}0";

fn add_program(world: &World) {
    world.run("tc qdisc add dev veth0 clsact");
    let words: Vec<String> = PROGRAM.split(' ').map(|word| word.replace('\u{a0}', " ")).collect();
    world.host.run(words);
}

#[test]
fn a_clsact_with_a_program_is_shared_and_left_as_it_was() {
    let world = World::new();
    add_program(&world);
    world.run("tc filter add dev veth0 egress prio 7 protocol ip u32 match ip dst 192.0.2.1/32 flowid 1:9");
    let before = world.state();
    for keys in [limits(8, 8), with(limits(8, 8), json!({"unshapedSubnets": ["10.0.0.0/8"]}))] {
        world.add(&keys);
        world.check(&keys);
        let filters = world.filters("veth0");
        let (program, own) = (filters.find("bpf").unwrap(), filters.find("u32").unwrap());
        assert!(program < own, "{filters}");
        // Those that are added later without a place come before ours, too.
        world.run(
            "tc filter add dev veth0 ingress protocol ip u32 match ip dst 192.0.2.7/32 flowid 1:7",
        );
        let filters = world.filters("veth0");
        assert!(filters.find("c0000207").unwrap() < filters.find("mirred").unwrap(), "{filters}");
        let place = filters.lines().find(|line| line.contains("u32")).unwrap();
        let place = place.split("pref ").nth(1).unwrap().split(' ').next().unwrap();
        world.run(&format!("tc filter del dev veth0 ingress protocol ip pref {place}"));
        world.del(&keys);
        assert_eq!(world.state(), before);
    }
}

#[test]
fn packets_pass_the_program_and_are_limited() {
    let world = World::new();
    add_program(&world);
    world.address(1);
    world.add(&limits(8, 8));
    assert!(world.container.pings("10.1.0.1") && world.container.pings("fd00:1::1"));
    assert!(world.packets_sent_by(IFB) > 0);
}

#[test]
fn two_interfaces_of_a_container_in_one_network_have_devices_of_their_own() {
    let world = World::new();
    world.add_pair("eth1", "veth1");
    let keys = limits(8, 8);
    let before = world.state();
    world.add(&keys);
    let only_first = world.state();
    world.call_of_eth1("ADD", &keys).run().expect_success();
    assert!(world.has(IFB) && world.has(IFB_OF_ETH1), "{:?}", world.links());
    world.check(&keys);
    world.call_of_eth1("CHECK", &keys).run().expect_silent_success();
    world.call_of_eth1("ADD", &keys).run().expect_success();
    world.call_of_eth1("DEL", &keys).run().expect_silent_success();
    world.call_of_eth1("DEL", &keys).run().expect_silent_success();
    world.run("tc qdisc del dev veth1 clsact");
    assert_eq!(world.state(), only_first);
    // The one that came first goes first; the other one keeps its name.
    world.call_of_eth1("ADD", &keys).run().expect_success();
    world.del(&keys);
    assert!(!world.has(IFB) && world.has(IFB_OF_ETH1));
    world.call_of_eth1("ADD", &keys).run().expect_success();
    assert!(!world.has(IFB));
    world.call_of_eth1("CHECK", &keys).run().expect_silent_success();
    world.call_of_eth1("DEL", &keys).run().expect_silent_success();
    world.run("tc qdisc del dev veth0 clsact");
    world.run("tc qdisc del dev veth1 clsact");
    assert_eq!(world.state(), before);
}

/// A program, unless this kernel allows none here.
fn counter() -> Option<Counter> {
    Counter::load().inspect_err(|error| not_run(&format!("eBPF programs: {error}"))).ok()
}

/// Pings by both IP versions are seen by the programs of both directions, go by the device of what
/// is limited, and CHECK passes.
#[track_caller]
fn expect_both_at_work(world: &World, keys: &serde_json::Value, programs: [&Counter; 2]) {
    let seen = || programs.map(Counter::packets);
    let limited = || world.packets_sent_by(IFB);
    let (seen_before, limited_before) = (seen(), limited());
    assert!(world.container.pings("10.1.0.1") && world.container.pings("fd00:1::1"));
    let grew = seen().iter().zip(seen_before).all(|(now, before)| *now >= before + 2);
    assert!(grew, "{seen_before:?} {:?}", seen());
    assert!(limited() >= limited_before + 2);
    world.check(keys);
}

#[test]
fn ebpf_programs_of_both_directions_see_the_packets_that_are_limited() {
    let world = World::new();
    let (Some(received), Some(sent)) = (counter(), counter()) else { return };
    world.address(1);
    world.run("tc qdisc add dev veth0 clsact");
    let attach = |program: &Counter, hook: &str| {
        let pin = program.pin(&world.host.temp_dir().join(hook));
        let pin = pin.to_str().unwrap();
        world.run(&format!(
            "tc filter add dev veth0 {hook} prio 1 bpf direct-action object-pinned {pin}"
        ));
    };
    attach(&received, "ingress");
    attach(&sent, "egress");
    let before = world.state();
    for keys in [limits(8, 8), with(limits(8, 8), json!({"unshapedSubnets": ["192.0.2.0/24"]}))] {
        world.add(&keys);
        expect_both_at_work(&world, &keys, [&received, &sent]);
        world.del(&keys);
        assert_eq!(world.state(), before);
    }
}

/// The kernel's version.
fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn programs_of_tcx_that_come_before_and_after_an_add_see_the_packets_that_are_limited() {
    let world = World::new();
    let (Some(received), Some(sent)) = (counter(), counter()) else { return };
    world.address(1);
    let keys = limits(8, 8);
    let index = world.index("veth0");
    let attached = match received.attach_by_tcx(index, Packets::Received) {
        Ok(attached) => attached,
        // What came with Linux 6.6 is not missed before.
        Err(_) if kernel() < (6, 6) => return,
        Err(error) => return not_run(&format!("tcx: {error}")),
    };
    world.add(&keys);
    let attached_later = sent.attach_by_tcx(index, Packets::Sent).unwrap();
    expect_both_at_work(&world, &keys, [&received, &sent]);
    // Without the first one the limit stays; the other one is not disturbed by DEL.
    drop(attached);
    let seen = received.packets();
    assert!(world.container.pings("10.1.0.1"));
    assert_eq!(received.packets(), seen);
    world.check(&keys);
    world.del(&keys);
    let seen = sent.packets();
    assert!(world.container.pings("10.1.0.1"));
    assert!(sent.packets() > seen);
    drop(attached_later);
}

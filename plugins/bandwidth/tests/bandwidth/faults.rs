//! An ADD that fails, or of which nobody hears, leaves nothing.

use std::fs;

use serde_json::{Value, json};

use crate::world::{IFB, RECEIVED, World, limits, with};

/// A program at the place of the last filter, of whose priority there can be one kind alone.
fn be_in_the_way(world: &World) {
    let line = "tc filter add dev veth0 ingress prio 49406 protocol all bpf bytecode";
    let words = line.split(' ').chain(["1,6 0 0 0"]);
    world.host.run(words.collect::<Vec<_>>());
}

#[test]
fn a_failure_at_the_last_filter_undoes_all() {
    let world = World::new();
    world.run("tc qdisc add dev veth0 clsact");
    be_in_the_way(&world);
    let before = world.state();
    for keys in [limits(8, 8), with(limits(8, 8), json!({"unshapedSubnets": ["10.0.0.0/8"]}))] {
        let message = world.call("ADD", &keys).run().expect_error(100);
        assert!(message.starts_with("tc filter add dev veth0 ingress prio 49406"), "{message}");
        assert_eq!(world.state(), before);
    }
}

#[test]
fn a_failed_second_add_leaves_what_the_first_made() {
    let world = World::new();
    world.run("tc qdisc add dev veth0 clsact");
    let keys = with(limits(8, 8), json!({"shapedSubnets": ["10.0.0.0/8", "fd00::/8"]}));
    world.add(&keys);
    be_in_the_way(&world);
    let before = world.state();
    let message = world.call("ADD", &limits(4, 4)).run().expect_error(100);
    assert!(message.starts_with("tc filter add dev veth0 ingress prio 49406"), "{message}");
    world.check(&keys);
    assert_eq!(world.state().lines().count(), before.lines().count());
    assert!(world.has(IFB) && world.has(RECEIVED));
}

#[test]
fn an_add_that_nobody_hears_leaves_nothing() {
    let world = World::new();
    let input = world.host.temp_dir().join("in");
    let unheard = |keys: &Value| {
        fs::write(&input, world.config(keys).to_string()).unwrap();
        let mut process = world.call("ADD", &json!({})).process();
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        process.stdin(fs::File::open(&input).unwrap()).stdout(full);
        assert_eq!(process.status().unwrap().code(), Some(1));
    };
    let before = world.state();
    unheard(&limits(8, 8));
    assert_eq!(world.state(), before);
    let subnets = with(limits(8, 8), json!({"unshapedSubnets": ["10.0.0.0/8"]}));
    unheard(&subnets);
    assert_eq!(world.state(), before);
    let first = limits(4, 4);
    world.add(&first);
    unheard(&limits(8, 8));
    world.check(&first);
}

#[test]
fn a_name_that_another_link_has_is_an_error_or_left_to_it() {
    let world = World::new();
    world.run(&format!("ip link add {IFB} type bridge"));
    world.add(&limits(8, 8));
    world.check(&limits(8, 8));
    world.del(&limits(8, 8));
    assert!(world.run(&format!("ip -details link show {IFB}")).contains("bridge"));
    world.run(&format!("ip link add {RECEIVED} type bridge"));
    let before = world.run("ip -br link");
    let keys = with(limits(8, 8), json!({"shapedSubnets": ["10.0.0.0/8"]}));
    let message = world.call("ADD", &keys).run().expect_error(101);
    assert_eq!(message, format!("{RECEIVED:?} is there already"));
    assert_eq!(world.run("ip -br link"), before);
}

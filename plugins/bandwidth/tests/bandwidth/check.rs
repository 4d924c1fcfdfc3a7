//! CHECK names what is not as ADD made it.

use serde_json::json;

use crate::world::{IFB, RECEIVED, World, limits, with};

#[test]
fn check_names_what_was_changed_and_add_puts_it_back() {
    let world = World::new();
    let keys = limits(8, 8);
    world.add(&keys);
    world.check(&keys);
    for (broken, told) in [
        (format!("ip link del {IFB}"), "get ifb device: \"bwp623e1c388032\": Link not found"),
        (
            format!("ip link set {IFB} down"),
            "ifb device \"bwp623e1c388032\" is not up with MTU 1500",
        ),
        ("tc qdisc del dev veth0 root".to_owned(), "Failed to find qdisc of \"veth0\""),
        (format!("tc qdisc del dev {IFB} root"), "Failed to find qdisc of \"bwp623e1c388032\""),
        (
            "tc qdisc change dev veth0 root handle 1: tbf rate 9mbit burst 100000 latency 25ms"
                .to_owned(),
            "Rate doesn't match",
        ),
        (
            format!(
                "tc qdisc change dev {IFB} root handle 1: tbf rate 8mbit burst 100000 latency 50ms"
            ),
            "Limit doesn't match",
        ),
        (
            format!(
                "tc qdisc change dev {IFB} root handle 1: tbf rate 8mbit burst 110000 limit 125000"
            ),
            "Buffer doesn't match",
        ),
        ("tc qdisc del dev veth0 clsact".to_owned(), "Failed to find qdisc clsact of \"veth0\""),
        (
            "tc filter del dev veth0 ingress".to_owned(),
            "ingress filter of \"veth0\" is missing: prio 49406 u32 match all action mirred egress redirect dev bwp623e1c388032",
        ),
    ] {
        world.run(&broken);
        let before = world.state();
        assert_eq!(world.call("CHECK", &keys).run().expect_error(102), told, "{broken}");
        assert_eq!(world.state(), before, "CHECK changes nothing");
        world.add(&keys);
        world.check(&keys);
    }
    world.run("tc qdisc del dev veth0 root");
    world.run("tc qdisc add dev veth0 root handle 7: htb");
    let message = world.call("CHECK", &keys).run().expect_error(102);
    assert_eq!(message, "\"veth0\" has a queueing discipline already: htb 7:");
}

#[test]
fn a_filter_that_leads_elsewhere_is_seen() {
    let world = World::new();
    let keys = limits(8, 8);
    world.add(&keys);
    world.run("ip link add other type ifb");
    world.run("tc filter del dev veth0 ingress");
    world.run("tc filter add dev veth0 ingress prio 49406 protocol all u32 match u32 0 0 action mirred egress redirect dev other");
    let message = world.call("CHECK", &keys).run().expect_error(102);
    assert!(
        message.starts_with("ingress filters of \"veth0\" are not those that ADD makes"),
        "{message}"
    );
    world.add(&keys);
    world.check(&keys);
}

#[test]
fn subnets_are_compared() {
    let world = World::new();
    let of = |subnets: &[&str]| with(limits(8, 8), json!({"unshapedSubnets": subnets}));
    world.add(&of(&["10.0.0.0/8", "fd00::/8"]));
    // The same in other words.
    world.check(&of(&["fd00::1/8", "10.1.0.0/16", "10.0.0.0/8"]));
    for other in
        [&["10.0.0.0/8"][..], &["10.0.0.0/9", "fd00::/8"], &["10.0.0.0/8", "fd00::/7"], &[]]
    {
        world.call("CHECK", &of(other)).run().expect_error(102);
    }
    let shaped = with(limits(8, 8), json!({"shapedSubnets": ["10.0.0.0/8", "fd00::/8"]}));
    world.call("CHECK", &shaped).run().expect_error(102);
    world.run(&format!("ip link del {RECEIVED}"));
    let message = world.call("CHECK", &of(&["10.0.0.0/8", "fd00::/8"])).run().expect_error(102);
    assert_eq!(message, format!("get ifb device: {RECEIVED:?}: Link not found"));
}

//! What DEL and GC remove, whatever is missing.

use serde_json::{Value, json};
use testsupport::Call;

use crate::world::{IFB, IFB_OF_ETH1, RECEIVED, World, limits, with, within};

fn subnets() -> Value {
    with(limits(8, 8), json!({"shapedSubnets": ["10.0.0.0/8", "fd00::/8"]}))
}

/// A DEL with this configuration beside the network's name, and without a namespace.
fn bare(keys: Value) -> Call {
    let config = json!({"cniVersion": "1.0.0", "name": "net", "type": "bandwidth"});
    let call = Call::new("bandwidth").command("DEL").container_id("c1").ifname("eth0");
    call.config(with(config, keys))
}

#[test]
fn del_removes_devices_by_the_attachment_alone() {
    let world = World::new();
    for del in [
        bare(json!({})),
        bare(limits(8, 8)),
        bare(json!({"ingressRate": "x", "prevResult": 7, "runtimeConfig": []})),
        bare(json!({"ingressRate": 8})).netns_path(""),
        bare(json!({})).netns_path("/run/netns/none"),
        world.call("DEL", &limits(8, 8)),
        world.call("DEL", &json!({"unshapedSubnets": 7})),
    ] {
        for keys in [limits(8, 8), subnets()] {
            world.add(&keys);
            del.run().expect_silent_success();
            assert!(!world.has(IFB) && !world.has(RECEIVED));
            del.run().expect_silent_success();
        }
    }
}

#[test]
fn del_before_the_pair_goes_leaves_it_as_it_was() {
    let world = World::new();
    world.address(1);
    world.run("tc qdisc add dev veth0 clsact");
    let before = world.state();
    for keys in [limits(8, 8), subnets()] {
        world.add(&keys);
        world.del(&keys);
        assert_eq!(world.state(), before);
        assert!(world.container.pings("10.1.0.1"));
    }
}

#[test]
fn del_when_the_namespace_is_gone_removes_the_devices() {
    let mut world = World::new();
    world.add(&subnets());
    world.vanish();
    world.del(&subnets());
    assert_eq!(world.links(), ["lo"]);
}

#[test]
fn del_behind_a_refused_add_of_another_network_touches_nothing_of_this() {
    let world = World::new();
    world.add(&limits(8, 8));
    let before = world.state();
    let other = world.config(&with(limits(8, 8), json!({"name": "net2", "prevResult": null})));
    world.call("DEL", &json!({})).config(&other).run().expect_silent_success();
    let another = world.call("DEL", &with(limits(8, 8), json!({"prevResult": null})));
    another.container_id("c2").run().expect_silent_success();
    assert_eq!(world.state(), before);
}

/// Behind `bridge`, whose host interface is found by its name.
#[test]
fn a_chain_behind_bridge_comes_and_goes() {
    let world = World::new();
    let pod = world.host.container("pod");
    let call = |plugin: &str, command: &str, config: &Value| {
        let call = Call::new(plugin).command(command).container_id("c2").ifname("eth0");
        call.netns(&pod).config(config).run()
    };
    let mut bridge = json!({
        "cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "br0", "isGateway": true,
        "ipam": {"type": "static", "addresses": [{"address": "10.1.0.5/24"}]},
    });
    let mut config = json!({"cniVersion": "1.1.0", "name": "net", "type": "bandwidth"});
    config["runtimeConfig"] = json!({"bandwidth": limits(8, 8)});
    config["prevResult"] = call("bridge", "ADD", &bridge).expect_success().json();
    let before = world.run("tc qdisc show");
    let result = call("bandwidth", "ADD", &config).expect_success().json();
    assert!(pod.pings("10.1.0.1"));
    bridge["prevResult"] = result.clone();
    config["prevResult"] = result;
    for (plugin, config) in [("bridge", &bridge), ("bandwidth", &config)] {
        call(plugin, "CHECK", config).expect_silent_success();
    }
    // Without all that would tell the host interface, but for the attachment.
    let bare = json!({"cniVersion": "1.1.0", "name": "net", "type": "bandwidth"});
    let del = Call::new("bandwidth").command("DEL").container_id("c2").ifname("eth0");
    del.config(&bare).run().expect_silent_success();
    assert!(pod.pings("10.1.0.1"));
    let left = world.run("tc qdisc show");
    assert!(!left.contains("tbf"), "{left}");
    assert_eq!(
        left.lines().filter(|line| !line.contains("clsact")).count(),
        before.lines().count()
    );
    call("bandwidth", "DEL", &config).expect_silent_success();
    call("bridge", "DEL", &bridge).expect_silent_success();
    assert!(!pod.run(["ip", "-o", "link"]).contains("eth0"));
}

#[test]
fn gc_removes_what_is_of_no_living_attachment_of_the_network() {
    let world = World::new();
    world.add_pair("eth1", "veth1");
    world.add(&subnets());
    world.call_of_eth1("ADD", &limits(8, 8)).run().expect_success();
    let gc = |living: &[&str]| {
        let entry = |ifname: &&str| json!({"containerID": "c1", "ifname": ifname});
        let list: Vec<Value> = living.iter().map(entry).collect();
        world.gc(&json!({"cni.dev/valid-attachments": list})).expect_silent_success();
        [IFB, RECEIVED, IFB_OF_ETH1].map(|name| world.has(name))
    };
    assert_eq!(gc(&["eth0", "eth1"]), [true; 3]);
    world.gc(&json!({"name": "net2", "cni.dev/valid-attachments": []})).expect_silent_success();
    assert_eq!(gc(&["eth0"]), [true, true, false]);
    // The host interface lives, and what it receives is not lost.
    assert_eq!(world.filters("veth1"), "");
    assert_eq!(gc(&["eth1"]), [false; 3], "the plain name may be eth1's, but the alias names eth0");
    assert_eq!(world.filters("veth0"), "");
}

#[test]
fn gc_tells_attachments_with_long_ids_by_their_names() {
    let world = World::new();
    let id = "c".repeat(300);
    world.call("ADD", &limits(8, 8)).container_id(&id).run().expect_success();
    let devices = || world.links().iter().filter(|name| name.starts_with("bwp")).count();
    let list = json!([{"containerID": id, "ifname": "eth0"}]);
    world.gc(&json!({"cni.dev/valid-attachments": list})).expect_silent_success();
    assert_eq!(devices(), 1);
    world.call("CHECK", &limits(8, 8)).container_id(&id).run().expect_silent_success();
    world.gc(&json!({"cni.dev/valid-attachments": []})).expect_silent_success();
    assert_eq!(devices(), 0);
    world.call("ADD", &limits(8, 8)).container_id(&id).run().expect_success();
    bare(json!({})).container_id(&id).run().expect_silent_success();
    assert_eq!(devices(), 0);
}

#[test]
fn gc_without_a_list_removes_what_no_filter_needs() {
    let mut world = World::new();
    world.add(&subnets());
    let gc = |world: &World, keys: Value| world.gc(&keys).expect_silent_success();
    gc(&world, json!({}));
    assert!(world.has(IFB) && world.has(RECEIVED));
    world.vanish();
    let other = json!({"name": "net2", "cni.dev/valid-attachments": null});
    gc(&world, other);
    assert!(world.has(IFB) && world.has(RECEIVED));
    within("the filters go", || {
        gc(&world, json!({"cni.dev/valid-attachments": null}));
        world.links() == ["lo"]
    });
}

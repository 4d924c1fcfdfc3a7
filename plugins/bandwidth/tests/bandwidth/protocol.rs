//! What is answered, and what is refused before anything is touched.

use serde_json::{Value, json};
use testsupport::Call;

use crate::world::{IFB, RECEIVED, World, limits, with};

#[test]
fn the_result_is_the_previous_one_with_the_device_at_its_end() {
    let world = World::new();
    for version in ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        let mut config = world.config(&limits(8, 8));
        config["cniVersion"] = version.into();
        config["prevResult"]["cniVersion"] = version.into();
        if version < "1" {
            config["prevResult"]["ips"][0]["version"] = "4".into();
        }
        let answer = world.call("ADD", &json!({})).config(&config).run();
        let mut result = answer.expect_success().json();
        let device = result["interfaces"].as_array_mut().unwrap().pop().unwrap();
        assert_eq!(device["name"], IFB);
        let shown = world.run(&format!("ip -json link show {IFB}"));
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(device, json!({"name": IFB, "mac": shown[0]["address"]}));
        result.as_object_mut().unwrap().remove("dns");
        assert_eq!(result, config["prevResult"], "{version}");
        // Its own result as the previous one names the device already.
        config["prevResult"]["interfaces"].as_array_mut().unwrap().push(device);
        let again = world.call("ADD", &json!({})).config(&config).run().expect_success().json();
        assert_eq!(again["interfaces"], config["prevResult"]["interfaces"]);
        world.call("DEL", &json!({})).config(&config).run().expect_silent_success();
    }
    for version in ["0.1.0", "0.2.0"] {
        let mut config = world.config(&limits(8, 8));
        config["cniVersion"] = version.into();
        world.call("ADD", &json!({})).config(&config).run().expect_error(1);
    }
}

#[test]
fn the_device_is_up_with_the_mtu_of_the_host_interface_and_says_whose_it_is() {
    let world = World::new();
    world.run("ip link set veth0 mtu 1400");
    world.add(&limits(8, 8));
    let shown = world.run(&format!("ip -json -details link show {IFB}"));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let device = &shown[0];
    assert_eq!((&device["mtu"], &device["linkinfo"]["info_kind"]), (&json!(1400), &json!("ifb")));
    assert!(device["flags"].as_array().unwrap().contains(&json!("UP")), "{device}");
    assert_eq!(device["ifalias"], "net/c1/eth0 at veth0");
    let root = world.root("veth0");
    assert!(root.starts_with("qdisc tbf 1: "), "{root}");
    assert!(root.contains("rate 8Mbit burst 100000b lat 25ms"), "{root}");
    assert!(!world.has(RECEIVED));
}

#[test]
fn without_a_limit_nothing_is_touched_nor_looked_at() {
    let world = World::new();
    let before = world.state();
    for keys in [
        json!({}),
        json!({"runtimeConfig": {}}),
        json!({"ingressRate": 0, "ingressBurst": 0, "runtimeConfig": {"bandwidth": limits(8, 8)}}),
        json!({"unshapedSubnets": ["10.0.0.0/8"], "latency": 5}),
    ] {
        let call = |command| world.call(command, &keys).netns_path("/run/netns/none").run();
        let mut result = call("ADD").expect_success().json();
        result.as_object_mut().unwrap().remove("dns");
        assert_eq!(result, world.previous("eth0"));
        call("CHECK").expect_silent_success();
        assert_eq!(world.state(), before);
    }
    let config = json!({"cniVersion": "1.0.0", "name": "net", "type": "bandwidth"});
    let call = |command| world.call(command, &json!({})).config(&config).run();
    assert_eq!(call("ADD").expect_error(7), "must be called as chained plugin");
    assert_eq!(call("CHECK").expect_error(7), "must be called as a chained plugin");
}

#[test]
fn what_can_not_be_limited_is_refused_with_nothing_changed() {
    let world = World::new();
    world.inside("ip link add eth5 type bridge");
    let before = world.state();
    let add = |keys: Value| world.call("ADD", &with(limits(8, 8), keys));
    let message = |keys: Value| add(keys).run().expect_error(7);
    assert_eq!(message(json!({"prevResult": null})), "must be called as chained plugin");
    assert_eq!(message(json!({"prevResult": {"cniVersion": "1.0.0"}})), "no interfaces provided");
    let mut other = world.previous("eth0");
    other["interfaces"][1]["name"] = "veth7".into();
    assert_eq!(
        message(json!({"prevResult": other})),
        "no veth peer of container interface found in host ns"
    );
    assert_eq!(
        add(json!({})).ifname("eth5").run().expect_error(7),
        "container interface eth5 has no veth peer: it is bridge"
    );
    assert_eq!(
        add(json!({})).ifname("eth7").run().expect_error(100),
        "failed to get \"eth7\": Link not found"
    );
    assert_eq!(
        message(json!({"egressRate": 7})),
        "egressRate 7: must be 0 or at least 8 (bits a second)"
    );
    assert_eq!(
        message(json!({"egressBurst": 0})),
        "egressRate 8000000: if rate is set, burst must also be set"
    );
    assert!(message(json!({"latency": 0})).starts_with("latency: must be 1 to 60000"));
    add(json!({})).netns_path("/run/netns/none").run().expect_error(8);
    assert_eq!(world.state(), before);
    world.run("tc qdisc add dev veth0 root handle 7: pfifo");
    let before = world.state();
    assert_eq!(
        add(json!({})).run().expect_error(101),
        "\"veth0\" has a queueing discipline already: pfifo 7:"
    );
    assert_eq!(world.state(), before);
}

#[test]
fn a_peer_in_a_third_namespace_is_none_of_the_hosts() {
    let world = World::new();
    let third = world.host.container("third");
    world.run("ip link add veth9 type veth peer name eth9 netns c1");
    world.run("ip link set veth9 netns third name veth0");
    let call = world.call("ADD", &limits(8, 8)).ifname("eth9").run();
    assert!(call.expect_error(7).contains("is not in host ns"), "{call}");
    drop(third);
}

#[test]
fn status_fails_for_what_every_add_refuses() {
    let _world = World::new();
    let status = |keys: Value| {
        let config = json!({"cniVersion": "1.1.0", "name": "net", "type": "bandwidth"});
        Call::new("bandwidth").command("STATUS").config(with(config, keys)).run()
    };
    status(json!({})).expect_silent_success();
    status(limits(8, 8)).expect_silent_success();
    status(json!({"ingressRate": 8})).expect_error(7);
}

//! `conditionsV4` and `conditionsV6` in words of nftables.

use serde_json::{Value, json};

use crate::server::{serve, tcp, tcp_never, udp};
use crate::world::{HOST, HOST_6, OUTSIDE, OUTSIDE_6, Pod, World, both};

fn at(host: &str, port: u16) -> String {
    format!("{host}:{port}")
}

/// Everybody but the neighbour outside for IPv4, that one alone for IPv6.
fn keys() -> Value {
    json!({
        "conditionsV4": ["ip", "saddr", "!=", "{ 192.0.2.0/24,", OUTSIDE, "}"],
        "conditionsV6": ["ip6 saddr 2001:db8:ffff::/64 iifname != \"eth9\""],
    })
}

#[track_caller]
fn run(pod: &Pod, command: &str, config: &Value) {
    pod.call(command, config).run().expect_success();
}

#[test]
fn they_are_of_their_own_container_only() {
    let world = World::new();
    let (pod, other) = (world.pod("c1", 1), world.pod("c2", 1));
    serve(&pod.container, 80);
    serve(&other.container, 80);
    let before = world.ruleset();
    let config = pod.config(&both(8080, 80), keys());
    run(&pod, "ADD", &config);
    run(&pod, "CHECK", &config);
    other.map(&both(9090, 80));
    assert_eq!(tcp_never(Some(&world.outside), &at(HOST, 8080)), "nothing");
    assert_eq!(tcp(None, &at(HOST, 8080)), format!("c1 {HOST}"));
    assert_eq!(tcp(None, &at("127.0.0.1", 8080)), "c1 10.1.0.1");
    assert_eq!(tcp(Some(&other.container), &at(HOST, 8080)), "c1 10.1.0.1");
    assert_eq!(tcp(Some(&world.outside), &at(HOST_6, 8080)), format!("c1 {OUTSIDE_6}"));
    assert_eq!(udp(Some(&world.outside), &at(HOST_6, 8080)), format!("c1 {OUTSIDE_6}"));
    assert_eq!(tcp_never(Some(&other.container), &at(HOST_6, 8080)), "nothing");
    assert_eq!(tcp(Some(&world.outside), &at(HOST, 9090)), format!("c2 {OUTSIDE}"));
    assert_eq!(tcp(Some(&pod.container), &at(HOST_6, 9090)), "c2 fd00:1::1");
    run(&pod, "DEL", &config);
    other.run("CHECK", &both(9090, 80)).expect_silent_success();
    assert!(!world.ruleset().contains(": jump"), "{}", world.ruleset());
    assert!(!world.ruleset().contains("conditions of net/c1"), "{}", world.ruleset());
    other.unmap(&both(9090, 80));
    assert_eq!(world.ruleset(), before);
}

#[test]
fn who_does_not_meet_them_gets_to_the_container_without_conditions() {
    let world = World::new();
    let (pod, other) = (world.pod("c1", 1), world.pod("c2", 1));
    serve(&pod.container, 80);
    serve(&other.container, 80);
    let at_host = |port: u16| {
        json!([
            {"hostPort": port, "containerPort": 80, "protocol": "tcp", "hostIP": HOST},
            {"hostPort": port, "containerPort": 80, "protocol": "tcp", "hostIP": "127.0.0.1"},
        ])
    };
    for mappings in [both(8080, 80), at_host(8080)] {
        let config = pod.config(&mappings, keys());
        run(&pod, "ADD", &config);
        run(&pod, "CHECK", &config);
        other.map(&both(8080, 80));
        assert_eq!(tcp(Some(&world.outside), &at(HOST, 8080)), format!("c2 {OUTSIDE}"));
        assert_eq!(tcp(None, &at("127.0.0.1", 8080)), "c1 10.1.0.1");
        assert_eq!(tcp(None, &at(HOST, 8080)), format!("c1 {HOST}"));
        run(&pod, "DEL", &config);
        assert_eq!(tcp(None, &at("127.0.0.1", 8080)), "c2 10.1.0.1");
        other.unmap(&both(8080, 80));
    }
    assert!(!world.ruleset().contains("portmap/"), "{}", world.ruleset());
}

#[test]
fn each_way_to_meet_them_is_one() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    serve(&pod.container, 80);
    let met = |conditions: Value| {
        let config = pod.config(&both(8080, 80), json!({ "conditionsV4": conditions }));
        run(&pod, "ADD", &config);
        run(&pod, "CHECK", &config);
        tcp_never(Some(&world.outside), &at(HOST, 8080)) == format!("c1 {OUTSIDE}")
    };
    for (conditions, expected) in [
        (json!(["ip", "saddr", "{", "192.0.2.1,", OUTSIDE, "}"]), true),
        (json!(["ip saddr { 192.0.2.1, 198.51.100.0/24 }"]), false),
        (json!(["ip", "daddr", "203.0.113.0/24", "meta", "l4proto", "tcp"]), true),
        (json!(["meta", "l4proto", "udp"]), false),
        (json!(["tcp", "sport", "!=", "1"]), true),
        (json!(["meta", "mark", "0x1"]), false),
        (json!(["meta", "mark", "!=", "0x1", "iifname", "!=", "lo"]), true),
        (json!(["iifname", "lo"]), false),
    ] {
        assert_eq!(met(conditions.clone()), expected, "{conditions}");
    }
}

#[test]
fn an_add_with_other_conditions_or_none_replaces_them() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    let nothing = world.ruleset();
    let config = pod.config(&both(8080, 80), keys());
    run(&pod, "ADD", &config);
    let with = world.ruleset();
    run(&pod, "ADD", &config);
    assert_eq!(world.ruleset(), with, "the same again");
    pod.map(&both(8080, 80));
    pod.run("CHECK", &both(8080, 80)).expect_silent_success();
    assert!(!world.ruleset().contains("conditions of net"), "{}", world.ruleset());
    run(&pod, "ADD", &config);
    pod.call("CHECK", &pod.config(&both(8080, 80), json!({}))).run().expect_error(102);
    // Ports at one address need another chain.
    let one = json!([{"hostPort": 1, "containerPort": 1, "protocol": "tcp", "hostIP": HOST}]);
    let config = pod.config(&one, keys());
    run(&pod, "ADD", &config);
    run(&pod, "CHECK", &config);
    assert!(!world.ruleset().contains("conditional/ports/ip/"), "{}", world.ruleset());
    let mut bare = config.clone();
    for key in ["prevResult", "runtimeConfig", "conditionsV4", "conditionsV6"] {
        bare.as_object_mut().unwrap().remove(key);
    }
    run(&pod, "DEL", &bare);
    assert_eq!(world.ruleset(), nothing);
}

#[test]
fn a_port_of_a_living_container_with_conditions_is_held_against_others_with_conditions() {
    let world = World::new();
    let (mut pod, other) = (world.pod("c1", 1), world.pod("c2", 1));
    run(&pod, "ADD", &pod.config(&both(8080, 80), keys()));
    let before = world.ruleset();
    let config = other.config(&both(8080, 80), json!({"conditionsV4": ["iifname", "lo"]}));
    let message = other.call("ADD", &config).run().expect_error(101);
    assert!(message.contains("host port tcp 8080 is held by net/c1/eth0"), "{message}");
    assert_eq!(world.ruleset(), before);
    pod.container.vanish();
    run(&other, "ADD", &config);
    run(&other, "CHECK", &config);
    run(&pod, "DEL", &pod.config(&both(8080, 80), keys()));
    run(&other, "CHECK", &config);
    run(&other, "DEL", &config);
    assert!(!world.ruleset().contains("portmap/"), "{}", world.ruleset());
}

#[test]
fn gc_removes_them_with_the_attachment() {
    let world = World::new();
    let (pod, mut other) = (world.pod("c1", 1), world.pod("c2", 1));
    run(&pod, "ADD", &pod.config(&both(8080, 80), keys()));
    let one = world.ruleset();
    run(&other, "ADD", &other.config(&both(8081, 80), keys()));
    other.container.vanish();
    let gc = |keys: Value| {
        let mut config = json!({"cniVersion": "1.1.0", "name": "net", "type": "portmap"});
        config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        testsupport::Call::new("portmap").command("GC").config(config).run().expect_success();
    };
    gc(json!({}));
    assert_eq!(world.ruleset(), one);
    gc(json!({"cni.dev/valid-attachments": []}));
    assert!(!world.ruleset().contains("portmap/"), "{}", world.ruleset());
}

#[test]
fn check_names_what_is_missing_of_them() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    let config = pod.config(&both(8080, 80), keys());
    run(&pod, "ADD", &config);
    let rules = world.ruleset();
    let own = "portmap/conditional/ports/ip/veth";
    let own = rules.lines().find_map(|line| Some((line.find(own)?, line))).unwrap();
    let own = own.1[own.0..].split([' ', '"', ',']).next().unwrap();
    for broken in [
        format!("flush chain inet causeway {own}"),
        "flush chain inet causeway portmap/conditional/redirect".to_owned(),
        "delete chain inet causeway portmap/conditional/output".to_owned(),
        "delete element inet causeway portmap/conditional/chains/ports/ip { tcp . 8080 }"
            .to_owned(),
        "flush map inet causeway portmap/conditional/ports/ip".to_owned(),
    ] {
        let file = world.host.temp_dir().join("broken.nft");
        std::fs::write(&file, &broken).unwrap();
        world.run(&format!("nft -f {}", file.display()));
        let named = broken.split(' ').find(|word| word.starts_with("portmap/")).unwrap();
        let message = pod.call("CHECK", &config).run().expect_error(102);
        assert!(message.contains(named), "{broken}: {message}");
        run(&pod, "ADD", &config);
        run(&pod, "CHECK", &config);
    }
}

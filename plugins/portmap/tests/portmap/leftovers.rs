//! What DEL and GC remove, whatever is missing.

use serde_json::{Value, json};
use testsupport::Call;

use crate::world::{Pod, World, both};

/// The network and these keys, and nothing else.
fn bare(keys: &Value) -> Value {
    let mut config = json!({"cniVersion": "1.1.0", "name": "net", "type": "portmap"});
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    config
}

fn bare_del(pod: &Pod, keys: &Value) -> Call {
    let call = Call::new("portmap").command("DEL").container_id(&pod.name).ifname("eth0");
    call.config(bare(keys))
}

#[track_caller]
fn gc(keys: &Value) {
    Call::new("portmap").command("GC").config(bare(keys)).run().expect_silent_success();
}

#[test]
fn del_finds_all_by_the_owner_alone_and_leaves_what_others_have() {
    let world = World::new();
    let (one, two) = (world.pod("c1", 1), world.pod("c2", 2));
    let before = world.ruleset();
    two.map(&both(9090, 80));
    // That the link of the first has `route_localnet` is remembered until the last port goes.
    one.map(&both(8080, 80));
    one.unmap(&both(8080, 80));
    let others = world.ruleset();
    for del in [
        bare_del(&one, &json!({})),
        bare_del(&one, &json!({"runtimeConfig": {"portMappings": both(1, 1)}})),
        bare_del(&one, &json!({"runtimeConfig": {"portMappings": [{"hostPort": 0}]}})),
        bare_del(&one, &json!({"backend": "bogus", "prevResult": 7})),
        bare_del(&one, &json!({"backend": "iptables"})),
        one.call("DEL", &one.config(&both(8080, 80), json!({"snat": false}))),
        one.call("DEL", &one.config(&json!([]), json!({}))).netns_path("/run/netns/none"),
    ] {
        one.map(&both(8080, 80));
        assert_ne!(world.ruleset(), others);
        del.run().expect_silent_success();
        assert_eq!(world.ruleset(), others);
        del.run().expect_silent_success();
    }
    two.unmap(&both(9090, 80));
    assert_eq!(world.ruleset(), before);
    two.unmap(&both(9090, 80));
}

#[test]
fn the_table_goes_with_the_last_port_where_nothing_else_is_in_it() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    world.run("nft delete table inet causeway");
    let before = world.ruleset();
    pod.map(&both(8080, 80));
    pod.unmap(&both(8080, 80));
    assert_eq!(world.ruleset(), before);
}

#[test]
fn another_network_of_the_same_container_keeps_its_ports() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    let config = pod.config(&both(8081, 80), json!({"name": "net2"}));
    pod.map(&both(8080, 80));
    pod.call("ADD", &config).run().expect_success();
    pod.unmap(&both(8080, 80));
    pod.call("CHECK", &config).run().expect_silent_success();
    pod.run("CHECK", &both(8080, 80)).expect_error(102);
}

#[test]
fn gc_removes_what_is_of_no_living_attachment_of_the_network() {
    let world = World::new();
    let (one, two) = (world.pod("c1", 1), world.pod("c2", 1));
    one.map(&both(8080, 80));
    let only_one = world.ruleset();
    two.map(&both(8081, 80));
    let both_there = world.ruleset();
    let living = |names: &[&str]| {
        let entry = |name: &&str| json!({"containerID": name, "ifname": "eth0"});
        json!({"cni.dev/valid-attachments": names.iter().map(entry).collect::<Vec<_>>()})
    };
    gc(&living(&["c1", "c2"]));
    gc(&json!({"name": "net2", "cni.dev/valid-attachments": []}));
    gc(&json!({}));
    assert_eq!(world.ruleset(), both_there);
    gc(&living(&["c1"]));
    assert_eq!(world.ruleset(), only_one);
    gc(&living(&[]));
    assert!(!world.ruleset().contains("portmap/"));
}

#[test]
fn gc_without_a_list_removes_what_is_of_namespaces_that_are_gone() {
    let world = World::new();
    let (one, mut two) = (world.pod("c1", 1), world.pod("c2", 1));
    one.map(&both(8080, 80));
    let only_one = world.ruleset();
    two.map(&both(8081, 80));
    two.container.vanish();
    gc(&json!({"cni.dev/valid-attachments": null}));
    assert_eq!(world.ruleset(), only_one);
}

#[test]
fn check_names_what_is_missing_and_add_puts_it_back() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    let mappings = both(8080, 80);
    pod.map(&mappings);
    for broken in [
        "delete element inet causeway portmap/ports/ip { tcp . 8080 }",
        "flush chain inet causeway portmap/redirect",
        "delete chain inet causeway portmap/prerouting",
        "flush chain inet causeway portmap/localnet",
        "flush chain inet causeway portmap/snat/net/10.1.0.0/24",
        "flush set inet causeway portmap/snat/net/10.1.0.0/24",
        "flush map inet causeway portmap/attachments",
    ] {
        let file = world.host.temp_dir().join("broken.nft");
        std::fs::write(&file, broken).unwrap();
        world.run(&format!("nft -f {}", file.display()));
        let named = broken.split(' ').find(|word| word.starts_with("portmap/")).unwrap();
        let message = pod.run("CHECK", &mappings).expect_error(102);
        assert!(message.contains(named), "{broken}: {message}");
        pod.map(&mappings);
        pod.run("CHECK", &mappings).expect_silent_success();
    }
}

#[test]
fn an_add_without_ports_takes_those_of_an_earlier_one_away_and_touches_nothing_else() {
    let world = World::new();
    let (one, two) = (world.pod("c1", 1), world.pod("c2", 1));
    let before = world.ruleset();
    one.map(&json!([]));
    assert_eq!(world.ruleset(), before);
    two.map(&both(9090, 80));
    let others = world.ruleset();
    for none in [json!([]), json!(null)] {
        one.map(&both(8080, 80));
        one.map(&none);
        assert_eq!(world.ruleset(), others);
        one.run("CHECK", &none).expect_silent_success();
    }
    two.run("CHECK", &both(9090, 80)).expect_silent_success();
}

//! The protocol, and what is removed and found by whom.

use serde_json::{Value, json};
use testsupport::Call;

use crate::world::{At, OUTSIDE, World, config, is_dropped, passes, run};

/// The configuration as runtimes send it to a second DEL.
fn without_prev_result(at: At) -> Value {
    let mut config = config(at, &json!({}));
    config.as_object_mut().unwrap().remove("prevResult");
    config
}

#[test]
fn the_result_is_the_one_that_came() {
    let world = World::new();
    let config = config(At(5, 0), &json!({}));
    let answer = world.call_with("ADD", At(5, 0), config.clone());
    let (mut result, given) = (answer.expect_success().json(), config["prevResult"].clone());
    result.as_object_mut().unwrap().retain(|key, _| given.get(key).is_some());
    assert_eq!(result["ips"], given["ips"]);
    assert_eq!(result["interfaces"], given["interfaces"]);
}

#[test]
fn versions_begin_where_check_does() {
    let _host = testsupport::Host::new();
    let versions =
        Call::new("firewall").command("VERSION").config(json!({ "cniVersion": "1.0.0" }));
    let versions = versions.run().json()["supportedVersions"].clone();
    assert_eq!(versions, json!(["0.4.0", "1.0.0", "1.1.0"]));
    let old = json!({ "cniVersion": "0.3.1", "name": "net", "type": "firewall" });
    let call = Call::new("firewall").command("ADD").container_id("c").ifname("eth0");
    call.netns_path("/run/netns/c").config(old).run().expect_error(1);
}

#[test]
fn add_and_check_need_a_prev_result() {
    let world = World::new();
    for command in ["ADD", "CHECK"] {
        let message = world.call_with(command, At(5, 0), without_prev_result(At(5, 0)));
        assert_eq!(message.expect_error(7), "missing prevResult from earlier plugin");
    }
}

#[test]
fn del_finds_it_without_prev_result_and_is_content_with_nothing() {
    let world = World::new();
    world.drop_by_policy();
    let container = world.open(At(5, 0), &json!({ "ingressPolicy": "isolated" }));
    world.call_with("DEL", At(5, 0), without_prev_result(At(5, 0))).expect_silent_success();
    assert!(is_dropped(&container, &world.outside, OUTSIDE[0]));
    assert!(!world.ruleset().contains("causeway"), "{}", world.ruleset());
    world.call_with("DEL", At(5, 0), without_prev_result(At(5, 0))).expect_silent_success();
    let mut broken = config(At(5, 0), &json!({ "backend": 1 }));
    broken["prevResult"] = json!({ "ips": 7 });
    world.call_with("DEL", At(5, 0), broken).expect_silent_success();
}

#[test]
fn a_second_add_replaces_the_address() {
    let world = World::new();
    let _container = world.open(At(5, 0), &json!({}));
    let mut config = config(At(5, 0), &json!({}));
    config["prevResult"]["ips"] = json!([{ "interface": 2, "address": "10.88.0.99/16" }]);
    world.call_with("ADD", At(5, 0), config.clone()).expect_success();
    let rules = world.ruleset();
    assert!(rules.contains("10.88.0.99") && !rules.contains("10.88.0.5 "), "{rules}");
    assert!(!rules.contains("fd88::5"), "{rules}");
    world.call_with("CHECK", At(5, 0), config).expect_silent_success();
}

#[test]
fn an_address_that_another_container_has_now_stays_with_that_one() {
    let world = World::new();
    world.drop_by_policy();
    let container = world.container(At(5, 0));
    for backend in ["nftables", "iptables"] {
        // The new one came before the old one's DEL.
        let config = config(At(5, 0), &json!({ "backend": backend }));
        world.call_with("ADD", At(5, 0), config.clone()).expect_success();
        world.call_with("ADD", At(9, 0), config.clone()).expect_success();
        world.call_with("DEL", At(5, 0), config.clone()).expect_silent_success();
        assert!(passes(&container, &world.outside, OUTSIDE[0]), "{}", world.ruleset());
        world.call_with("DEL", At(9, 0), config).expect_silent_success();
        assert!(is_dropped(&container, &world.outside, OUTSIDE[0]), "{backend}");
    }
}

#[test]
fn check_names_what_is_missing_and_changes_nothing() {
    let world = World::new();
    let _container = world.open(At(5, 0), &json!({}));
    run(&world.host, "iptables -F CNI-FORWARD");
    run(&world.host, "nft delete element inet causeway firewall/ipv6 { fd88::5 }");
    let before = world.ruleset();
    let answer = world.call("CHECK", At(5, 0), &json!({}));
    let message = answer.expect_error(102) + &answer.details();
    for part in ["fd88::5", "[-j CNI-ADMIN] not found", "meta mark & 0x1000 == 0x1000"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(world.ruleset(), before);
    // The next ADD, whosever it is, puts back what is everybody's.
    let _other = world.open(At(6, 0), &json!({}));
    let answer = world.call("CHECK", At(5, 0), &json!({}));
    let message = answer.expect_error(102) + &answer.details();
    assert!(message.contains("fd88::5") && !message.contains("CNI-ADMIN"), "{message}");
}

#[test]
fn gc_removes_what_lives_no_more_of_its_network() {
    let world = World::new();
    let _containers = [At(5, 0), At(6, 0)].map(|at| world.open(at, &json!({})));
    let mut gc = json!({ "cniVersion": "1.1.0", "name": "other", "type": "firewall" });
    gc["cni.dev/valid-attachments"] = json!([]);
    let run_gc = |gc: &Value| Call::new("firewall").command("GC").config(gc).run();
    run_gc(&gc).expect_silent_success();
    for at in [At(5, 0), At(6, 0)] {
        world.call("CHECK", at, &json!({})).expect_silent_success();
    }
    gc["name"] = json!("net");
    gc["cni.dev/valid-attachments"] = json!([{ "containerID": "c5-0", "ifname": "eth0" }]);
    run_gc(&gc).expect_silent_success();
    world.call("CHECK", At(5, 0), &json!({})).expect_silent_success();
    world.call("CHECK", At(6, 0), &json!({})).expect_error(102);
    assert!(!world.ruleset().contains("10.88.0.6"));
}

#[test]
fn gc_without_a_list_removes_all_that_is_proved_to_be_dead_and_nothing_else() {
    let world = World::new();
    // As `bridge` makes it.
    std::fs::create_dir_all("/run/cni").unwrap();
    std::fs::write("/run/cni/causeway.lock", "").unwrap();
    let _lives = world.open(At(5, 0), &json!({}));
    // More than are removed in one transaction.
    for number in 100..140 {
        world.add(At(number, 0), &json!({ "ingressPolicy": "isolated" }));
    }
    // Nothing proves whether one that another suite's plugin attached lives.
    let mut foreign = config(At(7, 0), &json!({}));
    foreign["prevResult"]["interfaces"][1]["name"] = json!("veth12345678");
    world.call_with("ADD", At(7, 0), foreign.clone()).expect_success();
    let gc = json!({ "cniVersion": "1.1.0", "name": "net", "type": "firewall" });
    Call::new("firewall").command("GC").config(gc).run().expect_silent_success();
    world.call("CHECK", At(5, 0), &json!({})).expect_silent_success();
    world.call_with("CHECK", At(7, 0), foreign).expect_silent_success();
    let rules = world.ruleset();
    assert!(!rules.contains("10.88.0.1") && !rules.contains("isolat"), "{rules}");
}

/// As the reference makes them.
const REFERENCE: [&str; 6] = [
    "-N CNI-FORWARD",
    "-N CNI-ADMIN",
    "-I FORWARD -j CNI-FORWARD",
    "-I CNI-FORWARD -j CNI-ADMIN",
    "-A CNI-FORWARD -d IP -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "-A CNI-FORWARD -s IP -j ACCEPT",
];

#[test]
fn a_container_of_the_reference_is_found_by_check_and_removed_by_del() {
    let world = World::new();
    for (program, ip) in ["iptables", "ip6tables"].iter().zip(At(5, 0).addresses()) {
        for line in REFERENCE {
            run(&world.host, &format!("{program} {}", line.replace("IP", &ip)));
        }
    }
    world.call("CHECK", At(5, 0), &json!({})).expect_silent_success();
    world.call("CHECK", At(6, 0), &json!({})).expect_error(102);
    run(&world.host, "iptables -A CNI-FORWARD -s 10.88.0.55 -j ACCEPT");
    world.call("DEL", At(5, 0), &json!({})).expect_silent_success();
    let rules = world.ruleset();
    assert!(!rules.contains("10.88.0.5 ") && !rules.contains("fd88::5"), "{rules}");
    assert!(rules.contains("10.88.0.55"), "{rules}");
}

#[test]
fn adds_and_dels_at_once_leave_nothing() {
    let world = World::new();
    let keys = json!({ "ingressPolicy": "same-bridge" });
    std::thread::scope(|scope| {
        for number in 10..34 {
            let (world, keys) = (&world, &keys);
            scope.spawn(move || {
                world.add(At(number, 0), keys);
                world.call("CHECK", At(number, 0), keys).expect_silent_success();
                world.call("DEL", At(number, 0), keys).expect_silent_success();
            });
        }
    });
    assert!(!world.ruleset().contains("causeway"), "{}", world.ruleset());
}

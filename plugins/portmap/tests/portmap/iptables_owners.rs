//! Backend `iptables`: whose a chain is, and what is done where ports or chains are others'.

use serde_json::{Value, json};
use testsupport::Call;

use crate::iptables::{reference, world};
use crate::server::{serve, tcp};
use crate::world::{HOST, OUTSIDE, both};

#[test]
fn a_failed_add_leaves_nothing_of_either_ip_version() {
    let world = world();
    let pod = world.pod("c1", 1);
    let before = world.iptables();
    // A condition that only ip6tables refuses.
    let keys = json!({"conditionsV6": ["-s", "10.0.0.0/8"]});
    let message = pod.call("ADD", &pod.config(&both(8080, 80), keys)).run().expect_error(100);
    assert!(message.contains("`10.0.0.0' not found"), "{message}");
    assert!(!world.iptables().contains("CNI-DN-"), "{}", world.iptables());
    let keys = json!({"externalSetMarkChain": "KUBE-MARK-MASQ"});
    let message = pod.call("ADD", &pod.config(&both(8080, 80), keys)).run().expect_error(7);
    assert!(message.contains("has no chain \"KUBE-MARK-MASQ\""), "{message}");
    let own = world.iptables();
    assert!(before.len() <= own.len() && !own.contains("c1"), "{own}");
}

#[test]
fn a_port_of_a_living_attachment_is_an_error_that_names_it() {
    let world = world();
    let (first, second) = (world.pod("c1", 1), world.pod("c2", 1));
    first.map(&both(8080, 80));
    let before = world.ruleset();
    let message = second.run("ADD", &both(8080, 80)).expect_error(101);
    let expected = "map the ports of net/c2/eth0 by iptables: host port tcp 8080 is held by net/c1";
    assert_eq!(message, expected);
    assert_eq!(world.ruleset(), before, "nothing of the refused ADD is left");
    // The first rule wins with iptables, so that this would never be reached either.
    let at_one =
        json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": HOST}]);
    second.run("ADD", &at_one).expect_error(101);
    let other_protocol = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "sctp"}]);
    second.run("ADD", &other_protocol).expect_success();
}

#[test]
fn a_port_of_a_dead_attachment_is_taken_over() {
    let world = world();
    let (mut old, new) = (world.pod("c1", 1), world.pod("c2", 1));
    serve(&new.container, 80);
    old.map(&both(8080, 80));
    old.container.vanish();
    new.map(&both(8080, 80));
    new.run("CHECK", &both(8080, 80)).expect_silent_success();
    assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8080")), format!("c2 {OUTSIDE}"));
    old.unmap(&both(8080, 80));
    new.run("CHECK", &both(8080, 80)).expect_silent_success();
    // The reference's chain says nothing of its container, but its address is another one's.
    let mut stale = world.pod("c3", 1);
    stale.result["ips"][0]["address"] = format!("{}/24", new.ip()).into();
    stale.result["ips"].as_array_mut().unwrap().truncate(1);
    new.unmap(&both(8080, 80));
    reference("ADD", &stale, &both(8080, 80), &json!({})).expect_success();
    new.map(&both(8080, 80));
    assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8080")), format!("c2 {OUTSIDE}"));
}

#[test]
fn gc_removes_what_lives_no_more_of_both_suites() {
    let world = world();
    let (one_pod, mut two, three) = (world.pod("c1", 1), world.pod("c2", 1), world.pod("c3", 1));
    one_pod.map(&both(8080, 80));
    let only_one = world.iptables();
    let gc = |keys: Value| {
        let mut config = json!({"cniVersion": "1.1.0", "name": "net", "type": "portmap"});
        config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        Call::new("portmap").command("GC").config(config).run().expect_silent_success();
    };
    let living = |names: &[&str]| {
        let entry = |name: &&str| json!({"containerID": name, "ifname": "eth0"});
        json!({"cni.dev/valid-attachments": names.iter().map(entry).collect::<Vec<_>>()})
    };
    two.map(&both(8081, 80));
    reference("ADD", &three, &both(8082, 80), &json!({})).expect_success();
    let all = world.iptables();
    gc(living(&["c1", "c2", "c3"]));
    gc(json!({"name": "net2", "cni.dev/valid-attachments": []}));
    gc(json!({}));
    assert_eq!(world.iptables(), all);
    gc(living(&["c1"]));
    assert_eq!(world.iptables(), only_one);
    two.map(&both(8081, 80));
    two.container.vanish();
    gc(json!({}));
    assert_eq!(world.iptables(), only_one);
    // Another interface of the container lives.
    gc(json!({"cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth1"}]}));
    assert!(!world.iptables().contains("CNI-DN-"), "{}", world.iptables());
}

#[test]
fn two_interfaces_of_a_container_in_one_network_keep_their_own_ports() {
    let world = world();
    let (pod, mut second) = (world.pod("c1", 1), world.pod("c2", 2));
    serve(&pod.container, 80);
    serve(&second.container, 80);
    second.name.clone_from(&pod.name);
    second.result["interfaces"][2]["name"] = "eth1".into();
    let second_call = |command: &str| {
        let config = second.config(&both(8081, 80), json!({}));
        second.call(command, &config).ifname("eth1").run()
    };
    pod.map(&both(8080, 80));
    let first = world.iptables();
    second_call("ADD").expect_success();
    assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8080")), format!("c1 {OUTSIDE}"));
    assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8081")), format!("c2 {OUTSIDE}"));
    second_call("CHECK").expect_silent_success();
    second_call("DEL").expect_silent_success();
    assert_eq!(world.iptables(), first);
    second_call("ADD").expect_success();
    pod.unmap(&both(8080, 80));
    second_call("CHECK").expect_silent_success();
    assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8081")), format!("c2 {OUTSIDE}"));
    second_call("DEL").expect_silent_success();
    assert!(!world.iptables().contains("CNI-DN-"), "{}", world.iptables());
}

//! A port that another attachment has already, and many attachments at once.

use std::fs::{self, File};
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use crate::server::{serve, tcp};
use crate::world::{HOST, OUTSIDE, Pod, World, both};

#[test]
fn a_port_of_a_living_attachment_is_an_error_that_names_it() {
    let world = World::new();
    let (one, two) = (world.pod("c1", 1), world.pod("c2", 1));
    serve(&one.container, 80);
    one.map(&both(8080, 80));
    let before = world.ruleset();
    let mut mappings = both(8080, 80);
    mappings[0]["hostPort"] = 8081.into();
    let message = two.run("ADD", &mappings).expect_error(101);
    let expected = "map the ports of net/c2/eth0: host port udp 8080 is held by net/c1/eth0";
    assert_eq!(message, expected);
    assert_eq!(world.ruleset(), before, "nothing of the refused ADD is left");
    let at_one_address =
        json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": HOST}]);
    one.map(&at_one_address);
    let message = two.run("ADD", &at_one_address).expect_error(101);
    assert!(
        message.ends_with("host port 203.0.113.1 tcp 8080 is held by net/c1/eth0"),
        "{message}"
    );
    assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8080")), format!("c1 {OUTSIDE}"));
}

#[test]
fn a_port_of_an_attachment_whose_namespace_is_gone_is_taken_over() {
    let world = World::new();
    let (mut old, new) = (world.pod("c1", 1), world.pod("c2", 1));
    serve(&new.container, 80);
    old.map(&json!([
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 8081, "containerPort": 80, "protocol": "tcp"},
    ]));
    old.container.vanish();
    new.map(&both(8080, 80));
    new.run("CHECK", &both(8080, 80)).expect_silent_success();
    assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8080")), format!("c2 {OUTSIDE}"));
    // The DEL that comes late removes what still is the old one's, and nothing else.
    old.unmap(&both(8080, 80));
    let rules = world.ruleset();
    assert!(!rules.contains("8081") && rules.contains("tcp . 8080"), "{rules}");
    new.run("CHECK", &both(8080, 80)).expect_silent_success();
    assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:8080")), format!("c2 {OUTSIDE}"));
}

#[test]
fn a_second_add_replaces_what_the_first_one_made() {
    let world = World::new();
    let mut pod = world.pod("c1", 1);
    let nothing = world.ruleset();
    pod.map(&both(8080, 80));
    let first = world.ruleset();
    pod.map(&both(8080, 80));
    assert_eq!(world.ruleset(), first, "the same again");
    pod.map(&both(8081, 81));
    pod.result["ips"][0]["address"] = "10.1.0.77/24".into();
    pod.map(&both(8081, 80));
    pod.run("CHECK", &both(8081, 80)).expect_silent_success();
    let rules = world.ruleset();
    for former in ["8080", "10.1.0.2 . ", " . 81 "] {
        assert!(!rules.contains(former), "{former} in {rules}");
    }
    pod.unmap(&both(8081, 80));
    assert_eq!(world.ruleset(), nothing);
}

#[test]
fn of_many_adds_for_one_port_at_once_one_succeeds() {
    World::for_each_backend(|world| {
        let pods: Vec<_> = (0..8).map(|number| world.pod(&format!("c{number}"), 1)).collect();
        let all: Vec<_> = pods.iter().map(|pod| (pod, both(8080, 80))).collect();
        let done = at_once(world, "ADD", &all);
        assert_eq!(done.iter().filter(|output| output.status.success()).count(), 1);
        at_once(world, "DEL", &all);
        assert_nothing_is_left(world);
    });
}

#[track_caller]
fn assert_nothing_is_left(world: &World) {
    let rules = world.ruleset();
    assert!(!rules.contains("portmap/") && !rules.contains("CNI-DN-"), "{rules}");
}

#[test]
fn fifty_attachments_come_and_go_at_once() {
    World::for_each_backend(fifty_at_once);
}

fn fifty_at_once(world: &World) {
    let pods: Vec<_> = (0..50).map(|number| world.pod(&format!("c{number}"), 1)).collect();
    let all: Vec<_> = (8000..).zip(&pods).map(|(port, pod)| (pod, both(port, 80))).collect();
    for command in ["ADD", "DEL"] {
        for output in at_once(world, command, &all) {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
        for (pod, mappings) in all.iter().filter(|_| command == "ADD") {
            pod.run("CHECK", mappings).expect_silent_success();
        }
    }
    assert_nothing_is_left(world);
}

/// Makes all the calls at the same time.
fn at_once(world: &World, command: &str, all: &[(&Pod, Value)]) -> Vec<Output> {
    let start = |(pod, mappings): &(&Pod, Value)| {
        let config = pod.config(mappings, json!({}));
        let file = world.host.temp_dir().join(&pod.name);
        fs::write(&file, config.to_string()).unwrap();
        let mut process = pod.call(command, &config).process();
        process.stdin(File::open(file).unwrap()).stdout(Stdio::piped());
        process.spawn().unwrap()
    };
    let children: Vec<_> = all.iter().map(start).collect();
    children.into_iter().map(|child| child.wait_with_output().unwrap()).collect()
}

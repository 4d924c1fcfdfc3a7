//! A thousand ports.

use std::time::Instant;

use serde_json::{Value, json};

use crate::server::{serve, tcp};
use crate::world::{HOST, OUTSIDE, Pod, World, both};

fn thousand() -> Value {
    let one = |port: u16| json!({"hostPort": port, "containerPort": port, "protocol": "tcp"});
    (20_000..21_000).map(one).collect()
}

#[test]
fn a_thousand_ports_are_mapped_checked_and_removed() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    let mappings = thousand();
    serve(&pod.container, 20_999);
    pod.map(&mappings);
    pod.run("CHECK", &mappings).expect_silent_success();
    assert_eq!(tcp(Some(&world.outside), &format!("{HOST}:20999")), format!("c1 {OUTSIDE}"));
    pod.map(&mappings);
    pod.unmap(&json!([]));
    assert!(!world.ruleset().contains("portmap/"));
    pod.map(&mappings);
    pod.unmap(&mappings);
    assert!(!world.ruleset().contains("portmap/"));
}

/// A packet passes as many rules as with one port, and an ADD and a DEL look at no port of others.
#[test]
fn a_thousand_ports_of_another_cost_what_one_does() {
    let world = World::new();
    let (many, pod) = (world.pod("c1", 1), world.pod("c2", 1));
    let rules = || world.ruleset().matches("dnat ip").count();
    many.map(&both(30_000, 80));
    let (few_rules, few) = (rules(), fastest(&pod));
    many.map(&thousand());
    assert_eq!(rules(), few_rules);
    // Whatever else the machine does may make some rounds slow, and never all of them fast.
    let rounds: Vec<_> =
        (0..5).map(|_| fastest(&pod)).take_while(|crowd| *crowd >= few * 2).collect();
    assert!(rounds.len() < 5, "{rounds:?} µs beside a thousand ports, {few} µs beside one");
}

/// The fastest ADD with its DEL, in microseconds.
fn fastest(pod: &Pod) -> u128 {
    let once = |_| {
        let started = Instant::now();
        pod.map(&both(8080, 80));
        pod.unmap(&both(8080, 80));
        started.elapsed().as_micros()
    };
    (0..15).map(once).min().unwrap()
}

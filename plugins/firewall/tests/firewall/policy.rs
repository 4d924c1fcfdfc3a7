//! `ingressPolicy`: which containers reach each other.

use serde_json::{Value, json};

use crate::world::{At, OUTSIDE, World, is_dropped, passes};

fn policy(word: &str) -> Value {
    json!({ "ingressPolicy": word })
}

#[test]
fn bridges_that_both_have_a_policy_are_kept_apart_until_the_last_container_goes() {
    let world = World::new();
    let before = world.ruleset();
    let one = world.open(At(5, 0), &policy("same-bridge"));
    let neighbour = world.open(At(6, 0), &policy("same-bridge"));
    let other = world.container(At(5, 1));
    let there = At(5, 1).addresses();
    assert!(passes(&one, &other, &there[0]));
    world.add(At(5, 1), &policy("same-bridge"));
    for (address, back) in there.iter().zip(At(5, 0).addresses()) {
        assert!(is_dropped(&one, &other, address), "{address}");
        assert!(is_dropped(&other, &one, &back), "{back}");
    }
    for (near, outside) in At(6, 0).addresses().iter().zip(OUTSIDE) {
        assert!(passes(&one, &neighbour, near) && passes(&one, &world.outside, outside));
    }
    world.call("CHECK", At(5, 0), &policy("same-bridge")).expect_silent_success();
    world.call("DEL", At(5, 0), &policy("same-bridge")).expect_silent_success();
    // The neighbour's bridge keeps its policy.
    assert!(is_dropped(&neighbour, &other, &there[0]));
    world.call("DEL", At(6, 0), &policy("same-bridge")).expect_silent_success();
    assert!(passes(&neighbour, &other, &there[0]));
    world.call("DEL", At(5, 1), &policy("same-bridge")).expect_silent_success();
    let left = world.ruleset();
    assert!(!left.contains("causeway") && !left.contains("0x00001000"), "{before}{left}");
}

#[test]
fn an_isolated_container_hears_nothing_from_its_own_bridge() {
    let world = World::new();
    let one = world.open(At(5, 0), &policy("isolated"));
    let open = world.open(At(6, 0), &policy("open"));
    for (address, back) in At(6, 0).addresses().iter().zip(At(5, 0).addresses()) {
        assert!(is_dropped(&one, &open, address) && is_dropped(&open, &one, &back));
    }
    assert!(passes(&one, &world.outside, OUTSIDE[0]));
    assert!(passes(&one, &world.outside, OUTSIDE[1]));
    world.call("CHECK", At(5, 0), &policy("isolated")).expect_silent_success();
    // A second ADD replaces the policy.
    world.add(At(5, 0), &policy("same-bridge"));
    assert!(passes(&open, &one, "10.88.0.5"), "{}", world.ruleset());
    world.call("DEL", At(5, 0), &policy("isolated")).expect_silent_success();
    assert!(!world.ruleset().contains("table bridge causeway"));
}

#[test]
fn a_policy_without_a_bridge_is_refused_before_anything_is_made() {
    let world = World::new();
    let mut config = crate::world::config(At(5, 0), &policy("isolated"));
    config["prevResult"]["interfaces"] = json!([]);
    config["prevResult"]["ips"] = json!([{ "address": "10.88.0.5/16" }]);
    let message = world.call_with("ADD", At(5, 0), config).expect_error(7);
    assert_eq!(
        message,
        "interface needs to be set for ingress policy \"isolated\", make sure to chain \"firewall\" plugin with \"bridge\""
    );
    let message = world.call("ADD", At(5, 0), &policy("closed")).expect_error(7);
    assert_eq!(message, "unknown ingress policy: \"closed\"");
    assert_eq!(world.ruleset(), "");
    world.call("DEL", At(5, 0), &policy("closed")).expect_silent_success();
}

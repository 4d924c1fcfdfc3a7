//! What is said of a configuration that is at fault: which key, and what to do.

use serde_json::{Value, json};

use crate::pool::Pool;

/// Message and details of the ADD of `ipam`.
#[track_caller]
fn refusal(ipam: Value) -> (String, String) {
    let answer = Pool::new(ipam).add("c1");
    (answer.expect_error(7), answer.details())
}

#[test]
fn a_missing_prefix_length_is_said_to_be_missing() {
    let (message, _) = refusal(json!({ "subnet": "10.88.0.0" }));
    let said = "the prefix length is missing, as in \"10.88.0.0/24\", got \"10.88.0.0\"";
    assert_eq!(message, format!("ipam.subnet: {said}"));
    let (message, _) = refusal(json!({ "ranges": [[{ "subnet": "fd00::" }]] }));
    assert!(message.contains("as in \"fd00::/64\""), "{message}");
    let route = json!({ "subnet": "10.0.0.0/24", "routes": [{ "dst": "0.0.0.0" }] });
    assert!(refusal(route).0.starts_with("ipam.routes[0].dst: the prefix length is missing"));
    let (message, _) = refusal(json!({ "subnet": "10.88.0.0/x" }));
    assert_eq!(message, "ipam.subnet: not valid, got \"10.88.0.0/x\"");
}

#[test]
fn a_misspelt_key_is_named_where_its_absence_is_an_error() {
    let (message, details) = refusal(json!({ "ranges": [[{ "subnt": "10.0.0.0/24" }]] }));
    assert_eq!(message, "ipam.ranges[0][0].subnet: missing");
    assert_eq!(details, "\"ipam.ranges[0][0].subnt\" is no known key: is \"subnet\" meant?");
    for (misspelt, meant) in [("subnt", "subnet"), ("range", "ranges"), ("Sub_net", "subnet")] {
        let (message, details) = refusal(json!({ misspelt: "10.0.0.0/24" }));
        assert_eq!(message, "no IP ranges specified");
        let said = format!(
            "\"ipam\" needs \"ranges\" or \"subnet\"; \
             \"ipam.{misspelt}\" is no known key: is {meant:?} meant?"
        );
        assert_eq!(details, said);
    }
    assert_eq!(refusal(json!({})).1, "\"ipam\" needs \"ranges\" or \"subnet\"");
}

#[test]
fn a_misspelt_common_key_is_named() {
    let pool = Pool::small();
    let with = |from: &str, to: &str| {
        let mut config = pool.config();
        config[to] = config[from].take();
        let answer = pool.call("ADD", "c1").config(config).run();
        (answer.expect_error(7), answer.details())
    };
    let (message, details) = with("name", "nmae");
    assert_eq!(message, "missing network name");
    assert_eq!(details, "\"nmae\" is no known key: is \"name\" meant?");
    let (message, details) = with("ipam", "ipma");
    assert_eq!(message, "IPAM config missing 'ipam' key");
    assert_eq!(details, "\"ipma\" is no known key: is \"ipam\" meant?");
}

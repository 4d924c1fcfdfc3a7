//! What is asked and answered: versions, `prevResult`, the result.

use serde_json::{Value, json};
use testsupport::{Call, golden};

use crate::attachment::{Attachment, every_attribute};

const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

#[test]
fn a_prev_result_is_passed_through_in_every_version() {
    let tuned = Attachment::new();
    for version in VERSIONS {
        let text = golden::read(&format!("testdata/common/result/{version}/bridge.json"));
        let previous: Value = serde_json::from_str(&text).unwrap();
        for keys in [json!({}), json!({"sysctl": {"net.core.somaxconn": "1000"}})] {
            let mut config = tuned.config(keys);
            config["cniVersion"] = version.into();
            config["prevResult"] = previous.clone();
            let answer = tuned.call("ADD", json!({})).config(config).run();
            assert_eq!(answer.expect_success().json(), previous, "{version}");
        }
    }
    let mut config = tuned.config(json!({}));
    for version in ["0.1.0", "0.2.0"] {
        config["cniVersion"] = version.into();
        config["prevResult"] =
            json!({"cniVersion": version, "ip4": {"ip": "10.1.0.5/24"}, "dns": {}});
        let answer = tuned.call("ADD", json!({})).config(&config).run();
        assert_eq!(answer.expect_success().json(), config["prevResult"], "{version}");
    }
}

#[test]
fn the_result_says_what_the_containers_interface_has_now() {
    let tuned = Attachment::new();
    let result = tuned.call("ADD", every_attribute()).run().expect_success().json();
    let mut expected = tuned.previous();
    expected["interfaces"][1]["mac"] = "02:00:00:00:00:0a".into();
    assert_eq!(result, expected, "the interface of the same name on the host stays as it was");
    tuned.call("DEL", json!({})).run().expect_silent_success();
    let mut config = tuned.config(json!({"mtu": 1400, "mac": "02-00-00-00-00-0B"}));
    config["cniVersion"] = "1.1.0".into();
    let result = tuned.call("ADD", json!({})).config(config).run().expect_success().json();
    expected["interfaces"][1]["mac"] = "02:00:00:00:00:0b".into();
    expected["interfaces"][1]["mtu"] = 1400.into();
    expected["cniVersion"] = "1.1.0".into();
    assert_eq!(result, expected);
}

#[test]
fn without_prev_result_add_and_check_say_so() {
    let tuned = Attachment::new();
    for keys in [json!({}), every_attribute()] {
        let mut config = tuned.config(keys);
        config["prevResult"] = Value::Null;
        for command in ["ADD", "CHECK"] {
            let answer = tuned.call(command, json!({})).config(&config).run();
            assert_eq!(answer.expect_error(7), "Required prevResult missing");
        }
    }
    assert_eq!(tuned.link()["mtu"], 1500);
    tuned.host.run(["mkdir", "-p", "/run/cni/tuning"]);
    tuned.nothing_is_kept();
}

#[test]
fn nothing_to_do_enters_no_namespace() {
    let tuned = Attachment::new();
    for keys in [json!({}), json!({"sysctl": {}, "mtu": 0, "promisc": false, "mac": ""})] {
        for command in ["ADD", "CHECK", "DEL"] {
            let call = tuned.call(command, keys.clone()).netns_path("/run/netns/none");
            call.run().expect_success();
        }
    }
    assert!(!std::path::Path::new("/run/cni").exists());
}

#[test]
fn status_tells_of_a_configuration_that_every_add_refuses() {
    let tuned = Attachment::new();
    let status = |keys: Value| {
        let mut config = tuned.config(keys);
        config["cniVersion"] = "1.1.0".into();
        config["prevResult"] = Value::Null;
        Call::new("tuning").command("STATUS").config(config).run()
    };
    status(every_attribute()).expect_silent_success();
    let message = status(json!({"sysctl": {"kernel.pid_max": "1"}})).expect_error(7);
    assert_eq!(message, "invalid net sysctl key: \"kernel/pid_max\"");
}

#[test]
fn a_bare_call_names_the_plugin() {
    let answer = Call::new("tuning").run();
    answer.expect_silent_success();
    let version = env!("CARGO_PKG_VERSION");
    assert!(answer.stderr().starts_with(&format!("CNI tuning plugin v{version}\n")), "{answer}");
}

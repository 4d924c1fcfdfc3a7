//! `static` through its executable. It opens no namespace, so that none is made here.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testsupport::{Answer, Call, REFERENCE_DIR, executable, golden};

const VERSIONS: [&str; 7] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// Ours, and the reference's where it must do the same.
fn both() -> [PathBuf; 2] {
    [executable("static"), Path::new(REFERENCE_DIR).join("static")]
}

fn call_of(program: impl Into<PathBuf>, command: &str, config: &Value) -> Call {
    let call = Call::of(program.into()).command(command).container_id("c1").ifname("eth0");
    call.netns_path("/nowhere").config(config)
}

fn call(command: &str, config: &Value) -> Call {
    call_of(executable("static"), command, config)
}

fn config(version: &str, ipam: Value) -> Value {
    json!({"cniVersion": version, "name": "net", "type": "bridge", "ipam": ipam})
}

/// One address of each family, with all that a configuration may say of them.
fn dual_stack() -> Value {
    json!({
        "type": "static",
        "addresses": [
            {"address": "10.10.0.1/24", "gateway": "10.10.0.254"},
            {"address": "3ffe:ffff:0:1ff::1/64", "gateway": "3ffe:ffff:0::1"},
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "192.168.0.0/16", "gw": "10.10.5.1"}, {"dst": "3ffe:ffff:0:1ff::1/64"}],
        "dns": {"nameservers": ["8.8.8.8"], "domain": "example.com", "search": ["example.com"], "options": ["ndots:2"]},
    })
}

fn addresses(answer: &Answer) -> Vec<String> {
    let result = answer.expect_success().json();
    let shown = |ip: &Value| match ip["gateway"].as_str() {
        Some(gateway) => format!("{} by {gateway}", ip["address"].as_str().unwrap()),
        None => ip["address"].as_str().unwrap().to_owned(),
    };
    result["ips"].as_array().map(|ips| ips.iter().map(shown).collect()).unwrap_or_default()
}

#[test]
fn what_is_configured_is_given_in_every_version() {
    for version in VERSIONS {
        let answer = call("ADD", &config(version, dual_stack())).run();
        let file = format!("testdata/static/result/{version}/dual-stack.json");
        golden::assert_matches(&file, &answer.expect_success().stdout());
        if version == "1.1.0" {
            continue; // The distribution's version does not know it.
        }
        let [_, reference] = both();
        let theirs = call_of(reference, "ADD", &config(version, dual_stack())).run();
        assert_eq!(theirs.expect_success().json(), answer.json(), "{version}");
    }
}

#[test]
fn the_runtime_replaces_what_the_arguments_replace_and_cni_args_append() {
    for program in both() {
        let mut config = config("1.0.0", json!({"addresses": [{"address": "10.1.0.5/24"}]}));
        let run = |config: &Value, args: &str| {
            addresses(&call_of(&program, "ADD", config).args(args).run())
        };
        let args = "IP=10.2.0.2/24, fd02::2/64;GATEWAY=10.2.0.1,fd02::1";
        let appended = ["10.1.0.5/24", "10.2.0.2/24 by 10.2.0.1", "fd02::2/64 by fd02::1"];
        assert_eq!(run(&config, args), appended);
        config["args"] = json!({"cni": {"ips": ["10.3.0.3/24"]}});
        assert_eq!(run(&config, args), ["10.3.0.3/24"]);
        config["runtimeConfig"] = json!({"ips": ["10.4.0.4/24", "fd04::4/64"]});
        assert_eq!(run(&config, args), ["10.4.0.4/24", "fd04::4/64"]);
    }
}

#[test]
fn a_gateway_of_cni_args_is_for_every_address_that_has_none() {
    let ipam = json!({"addresses": [
        {"address": "10.1.0.5/24", "gateway": "10.1.0.254"}, {"address": "10.5.0.5/24"},
    ]});
    let mut config = config("1.0.0", ipam);
    let run = |config: &Value| {
        let args = "GATEWAY=10.1.0.1,10.5.0.1,10.6.0.1";
        addresses(&call("ADD", config).args(args).run())
    };
    assert_eq!(run(&config), ["10.1.0.5/24 by 10.1.0.254", "10.5.0.5/24 by 10.5.0.1"]);
    config["runtimeConfig"] = json!({"ips": ["10.6.0.6/24"]});
    assert_eq!(run(&config), ["10.6.0.6/24 by 10.6.0.1"]);
}

#[test]
fn no_address_at_all_is_a_result_without_addresses_from_0_3_0_on() {
    for program in both() {
        for ipam in [json!({}), json!({"addresses": []}), json!({"addresses": null})] {
            let answer = call_of(&program, "ADD", &config("1.0.0", ipam.clone())).run();
            assert_eq!(answer.expect_success().json()["ips"], Value::Null);
            let answer = call_of(&program, "ADD", &config("0.2.0", ipam)).run();
            assert_eq!(answer.status(), Some(1));
            assert!(answer.json()["msg"].as_str().unwrap().contains("no valid IP addresses"));
        }
    }
    let answer = call("ADD", &config("0.2.0", json!({}))).run();
    assert_eq!(answer.expect_error(7), "cannot convert: no valid IP addresses");
}

#[test]
fn several_gateways_for_one_destination_are_kept() {
    let routes =
        json!([{"dst": "10.9.0.0/16", "gw": "10.1.0.1"}, {"dst": "10.9.0.0/16", "gw": "10.1.0.2"}]);
    for program in both() {
        let ipam = json!({"addresses": [{"address": "10.1.0.5/24"}], "routes": routes});
        let answer = call_of(&program, "ADD", &config("1.0.0", ipam)).run();
        assert_eq!(answer.expect_success().json()["routes"], routes);
    }
}

#[test]
fn faults_are_told_in_the_words_of_the_reference() {
    let address = |text: &str| json!({"addresses": [{"address": text}]});
    let one = config("1.0.0", address("10.1.0.5/24"));
    let with = |key: &str, value: Value| {
        let mut config = one.clone();
        config[key] = value;
        config
    };
    let cases = [
        (json!({"cniVersion": "1.0.0", "name": "net"}), "", 7, "IPAM config missing 'ipam' key"),
        (
            config("1.0.0", address("10.1.0.5")),
            "",
            7,
            "the 'address' field is expected to be in CIDR notation, got: '10.1.0.5'",
        ),
        (
            config("1.0.0", json!({"addresses": [{}]})),
            "",
            7,
            "the 'address' field is expected to be in CIDR notation, got: ''",
        ),
        (
            one.clone(),
            "IP=10.2.0.2",
            4,
            "the 'ip' field is expected to be in CIDR notation, got: '10.2.0.2'",
        ),
        (one.clone(), "GATEWAY=10.2.0", 4, "invalid gateway address: 10.2.0"),
        (one.clone(), "FOO=1", 4, "ARGS: unknown args [\"FOO=1\"]"),
        (
            with("runtimeConfig", json!({"ips": ["10.2.0.2"]})),
            "",
            7,
            "an entry in the 'ips' field is NOT in CIDR notation, got: '10.2.0.2'",
        ),
        (
            with("args", json!({"cni": {"ips": ["x/y"]}})),
            "",
            7,
            "an entry in the 'ips' field is NOT in CIDR notation, got: 'x/y'",
        ),
    ];
    for (config, args, code, message) in cases {
        assert_eq!(call("ADD", &config).args(args).run().expect_error(code), message);
    }
    for version in ["0.1.0", "0.2.0"] {
        let config = config(version, address("10.1.0.5/24"));
        let message = call("ADD", &config).args("IP=10.2.0.2/24").run().expect_error(7);
        assert_eq!(
            message,
            format!("CNI version {version} does not support more than 1 address per family")
        );
        call("ADD", &config).args("IP=fd02::2/64").run().expect_success();
    }
}

/// Runtimes hand on what their users ask for, and that has no length.
#[test]
fn that_a_length_is_missing_is_said() {
    let mut config = config("1.0.0", json!({}));
    let details = |answer: Answer| {
        assert_eq!(answer.status(), Some(1));
        answer.details()
    };
    let said = "the prefix length is missing: 10.2.0.2/…";
    assert_eq!(
        details(call("ADD", &config).args("IP=10.2.0.2").run()),
        format!("CNI_ARGS: {said}")
    );
    config["runtimeConfig"] = json!({"ips": ["10.2.0.2"]});
    assert_eq!(details(call("ADD", &config).run()), format!("runtimeConfig.ips[0]: {said}"));
}

#[test]
fn an_address_given_twice_is_refused() {
    let twice = json!({"addresses": [{"address": "10.1.0.5/24"}, {"address": "10.1.0.5/16"}]});
    let message = call("ADD", &config("1.0.0", twice)).run().expect_error(7);
    assert!(message.starts_with("ipam.addresses[1]: the same address a second time"), "{message}");
    let mut config = config("1.0.0", json!({"addresses": [{"address": "10.1.0.5/24"}]}));
    // By two ways it is one wish.
    let answer = call("ADD", &config).args("IP=10.1.0.5/24").run();
    assert_eq!(addresses(&answer), ["10.1.0.5/24"]);
    config["runtimeConfig"] = json!({"ips": ["fd00::5/64", "fd00:0::5/64"]});
    let message = call("ADD", &config).run().expect_error(7);
    assert!(message.starts_with("runtimeConfig.ips[1]: the same"), "{message}");
}

#[test]
fn check_wants_every_address_with_its_gateway_in_prev_result() {
    let check = |program: &Path, previous: Value| {
        let mut config = config("1.0.0", dual_stack());
        config["prevResult"] = previous;
        call_of(program, "CHECK", &config).run()
    };
    let added = call("ADD", &config("1.0.0", dual_stack())).run().json();
    let with = |path: &str, value: Value| {
        let mut result = added.clone();
        *result.pointer_mut(path).unwrap() = value;
        result
    };
    let another_gateway = with("/ips/0/gateway", json!("10.10.0.7"));
    let text = "static: Failed to match addr 10.10.0.1 on interface eth0";
    for program in both() {
        check(&program, added.clone()).expect_silent_success();
        let answer = check(&program, another_gateway.clone());
        assert_eq!((answer.status(), answer.json()["msg"].as_str()), (Some(1), Some(text)));
        let missing = check(&program, Value::Null);
        let text = Some("Required prevResult missing");
        assert_eq!((missing.status(), missing.json()["msg"].as_str()), (Some(1), text));
    }
    let [ours, _] = both();
    let faults = [
        (another_gateway, "its gateway in prevResult is 10.10.0.7, configured is 10.10.0.254"),
        (with("/ips/0/address", json!("10.10.0.2/24")), "prevResult does not have it"),
        (
            with("/ips/0/address", json!("10.10.0.1/16")),
            "prevResult has it as 10.10.0.1/16, configured is 10.10.0.1/24",
        ),
        (json!({"cniVersion": "1.0.0"}), "prevResult does not have it"),
    ];
    for (previous, details) in faults {
        let answer = check(&ours, previous);
        assert_eq!(answer.expect_error(102), text);
        assert_eq!(answer.details(), details);
    }
}

#[test]
fn del_looks_at_nothing() {
    for program in both() {
        for config in [
            json!({"cniVersion": "1.0.0", "name": "net"}),
            config("0.1.0", json!({"addresses": 7})),
            config("1.0.0", json!({"addresses": [{"address": "x"}]})),
        ] {
            call_of(&program, "DEL", &config).args("no pair").run().expect_silent_success();
        }
    }
}

#[test]
fn gc_does_nothing_and_status_tells_of_a_fault_that_every_add_would_meet() {
    let mut config = config("1.1.0", dual_stack());
    config["cni.dev/valid-attachments"] = json!([]);
    call("GC", &config).run().expect_silent_success();
    let status = |config: &Value| {
        let call = Call::new("static").command("STATUS").config(config);
        call.env("CNI_NETNS", "").env("CNI_IFNAME", "").run()
    };
    status(&config).expect_silent_success();
    config["ipam"]["addresses"][0]["address"] = json!("10.1.0.5");
    assert!(status(&config).expect_error(7).contains("'10.1.0.5'"));
}

#[test]
fn a_bare_call_names_the_plugin() {
    let answer = Call::new("static").run();
    answer.expect_silent_success();
    let version = env!("CARGO_PKG_VERSION");
    assert!(answer.stderr().starts_with(&format!("CNI static plugin v{version}\n")), "{answer}");
}

//! What is asked and answered: versions, `prevResult`, faults of the configuration.

use serde_json::{Value, json};
use testsupport::{Call, golden};

use crate::world::{World, both};

const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

#[test]
fn a_prev_result_is_passed_through_in_every_version() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    for version in VERSIONS {
        let text = golden::read(&format!("testdata/common/result/{version}/bridge.json"));
        let previous: Value = serde_json::from_str(&text).unwrap();
        for mappings in [json!([]), json!(null)] {
            let mut config = pod.config(&mappings, json!({}));
            config["cniVersion"] = version.into();
            config["prevResult"] = previous.clone();
            let answer = pod.call("ADD", &config).run();
            assert_eq!(answer.expect_success().json(), previous, "{version}");
        }
    }
    let mut config = pod.config(&both(8080, 80), json!({}));
    for version in ["0.1.0", "0.2.0"] {
        config["cniVersion"] = version.into();
        let ip = format!("{}/24", pod.ip());
        config["prevResult"] = json!({"cniVersion": version, "ip4": {"ip": ip}, "dns": {}});
        let answer = pod.call("ADD", &config).run();
        assert_eq!(answer.expect_success().json(), config["prevResult"], "{version}");
        assert!(world.ruleset().contains("tcp . 8080"));
        pod.call("DEL", &config).run().expect_silent_success();
    }
}

#[test]
fn without_prev_result_add_and_check_say_so() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    let mut config = pod.config(&both(8080, 80), json!({}));
    config["prevResult"] = Value::Null;
    let text = pod.call("ADD", &config).run().expect_error(7);
    assert_eq!(text, "must be called as chained plugin");
    let text = pod.call("CHECK", &config).run().expect_error(7);
    assert_eq!(text, "Required prevResult missing");
    pod.call("DEL", &config).run().expect_silent_success();
}

/// ADD and STATUS say `text`, DEL succeeds, nothing is changed.
#[track_caller]
fn refuses(cases: &[(Value, u64, &str)]) {
    let world = World::new();
    let pod = world.pod("c1", 1);
    let before = world.ruleset();
    for (keys, code, text) in cases {
        let config = pod.config(&both(8080, 80), keys.clone());
        assert_eq!(pod.call("ADD", &config).run().expect_error(*code), *text);
        let mut status = config.clone();
        status["prevResult"] = Value::Null;
        let status = Call::new("portmap").command("STATUS").config(status).run();
        assert_eq!(status.expect_error(*code), *text);
        pod.call("DEL", &config).run().expect_silent_success();
        assert_eq!(world.ruleset(), before);
    }
}

#[test]
fn a_faulty_mapping_is_told_before_anything_is_touched() {
    let mapping = |key: &str, value: Value| {
        let mut mappings = both(8080, 80);
        mappings[1][key] = value;
        json!({"runtimeConfig": {"portMappings": mappings}})
    };
    let twice = json!({"runtimeConfig": {"portMappings": [
        {"hostPort": 1, "containerPort": 1, "protocol": "tcp"},
        {"hostPort": 1, "containerPort": 2, "protocol": "tcp"},
    ]}});
    refuses(&[
        (mapping("hostPort", json!(0)), 7, "Invalid host port number: 0"),
        (mapping("hostPort", json!(70000)), 7, "Invalid host port number: 70000"),
        (mapping("containerPort", json!(-1)), 7, "Invalid container port number: -1"),
        (
            mapping("protocol", json!("")),
            7,
            "runtimeConfig.portMappings[1].protocol: must be \"tcp\", \"udp\" or \"sctp\", got \"\"",
        ),
        (mapping("protocol", json!(null)), 7, "runtimeConfig.portMappings[1].protocol: missing"),
        (
            mapping("hostIP", json!("bogus")),
            7,
            "runtimeConfig.portMappings[1].hostIP: not valid, got \"bogus\"",
        ),
        (
            mapping("hostIP", json!("::1")),
            2,
            "runtimeConfig.portMappings[1].hostIP: the kernel sends nothing from ::1 to a container; use 127.0.0.1, got \"::1\"",
        ),
    ]);
    let world = World::new();
    let pod = world.pod("c1", 1);
    let message = pod.call("ADD", &pod.config(&json!([]), twice)).run().expect_error(7);
    assert!(message.contains("the host port leads to container port 1 already"), "{message}");
}

#[test]
fn a_port_at_all_addresses_is_also_at_those_of_one_ip_version() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    let at = |ip: &str, port: u16| json!({"hostPort": 8080, "containerPort": port, "protocol": "tcp", "hostIP": ip});
    for ip in ["0.0.0.0", "::"] {
        let config = pod.config(&json!([at("", 80), at(ip, 81)]), json!({}));
        let message = pod.call("ADD", &config).run().expect_error(7);
        assert!(message.contains("the host port leads to container port 80 already"), "{message}");
    }
    let config = pod.config(&json!([at("", 80), at("0.0.0.0", 80), at("::", 80)]), json!({}));
    pod.call("ADD", &config).run().expect_success();
    pod.call("CHECK", &config).run().expect_silent_success();
    assert_eq!(world.ruleset().matches("tcp . 8080").count(), 2);
    pod.call("DEL", &config).run().expect_silent_success();
    assert!(!world.ruleset().contains("portmap"));
}

#[test]
fn a_key_that_is_not_supported_is_named_with_its_value() {
    refuses(&[
        (json!({"backend": ""}), 7, "unrecognized backend \"\""),
        (json!({"backend": "ipfw"}), 7, "unrecognized backend \"ipfw\""),
        (json!({"markMasqBit": 32}), 7, "MasqMarkBit must be between 0 and 31"),
        (
            json!({"markMasqBit": 3, "externalSetMarkChain": "KUBE-MARK-MASQ"}),
            7,
            "Cannot specify externalSetMarkChain and markMasqBit",
        ),
        (
            json!({"conditionsV4": ["-s", "10.0.0.1", "-j", "ACCEPT"]}),
            7,
            "conditionsV4: \"-j\" is no condition, got [\"-s\",\"10.0.0.1\",\"-j\",\"ACCEPT\"]",
        ),
        (
            json!({"conditionsV4": ["-s", "10.0.0.1\n-A X"]}),
            7,
            "conditionsV4: \"10.0.0.1\\n-A X\" is not a word of iptables, got [\"-s\",\"10.0.0.1\\n-A X\"]",
        ),
        (
            json!({"externalSetMarkChain": "a b"}),
            7,
            "externalSetMarkChain: not a name of a chain, got \"a b\"",
        ),
        (
            json!({"backend": "iptables", "conditionsV4": ["ip", "saddr", "10.0.0.1"]}),
            7,
            "iptables backend was requested but configuration contains nftables-specific options [conditionsV4]",
        ),
        (
            json!({"externalSetMarkChain": "X", "conditionsV6": ["ip6", "saddr", "fd00::1"]}),
            7,
            "iptables backend was requested but configuration contains nftables-specific options [conditionsV6]",
        ),
        (
            json!({"backend": "nftables", "externalSetMarkChain": "X", "conditionsV4": ["-s", "10.0.0.1"]}),
            7,
            "nftables backend was requested but configuration contains iptables-specific options [externalSetMarkChain conditionsV4]",
        ),
        (
            json!({"conditionsV6": ["ip6", "daddr", "10.0.0.1"]}),
            2,
            "conditionsV6: \"10.0.0.1\" is no value of ip6 daddr; an address or a subnet is, got [\"ip6\",\"daddr\",\"10.0.0.1\"]",
        ),
    ]);
}

#[test]
fn a_mapping_that_is_there_twice_counts_once() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    let mapping = both(8080, 80);
    let twice = json!([mapping[0], mapping[0]]);
    pod.map(&twice);
    pod.run("CHECK", &twice).expect_silent_success();
    pod.unmap(&twice);
    assert!(!world.ruleset().contains("portmap/"));
}

#[test]
fn nothing_to_map_touches_nothing_and_names_no_namespace() {
    let world = World::new();
    let pod = world.pod("c1", 1);
    let before = world.ruleset();
    for keys in [json!({"runtimeConfig": null}), json!({"runtimeConfig": {}})] {
        let config = pod.config(&json!([]), keys);
        for command in ["ADD", "CHECK", "DEL"] {
            pod.call(command, &config).netns_path("/run/netns/none").run().expect_success();
        }
    }
    assert_eq!(world.ruleset(), before);
}

#[test]
fn a_port_of_an_ip_version_that_the_container_lacks_is_not_mapped_and_not_missed() {
    World::for_each_backend(|world| {
        let mut pod = world.pod("c1", 1);
        pod.result["ips"].as_array_mut().unwrap().retain(|ip| ip["gateway"] == "10.1.0.1");
        let before = world.ruleset();
        let mapping =
            json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "::"}]);
        pod.map(&mapping);
        pod.run("CHECK", &mapping).expect_silent_success();
        assert_eq!(world.ruleset(), before);
        pod.unmap(&mapping);
    });
}

#[test]
fn a_bare_call_names_the_plugin_and_status_is_silent() {
    let answer = Call::new("portmap").run();
    answer.expect_silent_success();
    let version = env!("CARGO_PKG_VERSION");
    assert!(answer.stderr().starts_with(&format!("CNI portmap plugin v{version}\n")), "{answer}");
    let config = json!({"cniVersion": "1.1.0", "name": "net", "type": "portmap"});
    Call::new("portmap").command("STATUS").config(config).run().expect_silent_success();
}

//! A `prevResult` that is malformed, and one that lies.

use serde_json::{Value, json};

use testsupport::PLUGINS;

use crate::stage::{CHAINED, READERS, Stage};

const VERSIONS: [&str; 7] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// A configuration of `version` with this `prevResult`.
fn config(stage: &Stage, plugin: &str, version: &str, previous: &Value) -> Value {
    let mut config = stage.with(plugin, "prevResult", previous.clone());
    config["cniVersion"] = version.into();
    config
}

#[test]
fn malformed_in_every_version() {
    let stage = Stage::new();
    let new = [
        (json!({"ips": {}}), 6, "prevResult.ips"),
        (json!({"ips": [7]}), 6, "prevResult.ips[0]"),
        (json!({"ips": [{}]}), 7, "prevResult.ips[0].address"),
        (json!({"ips": [{"address": "10.1.0.2"}]}), 7, "prevResult.ips[0].address"),
        (
            json!({"ips": [{"address": "10.1.0.2/24", "interface": "x"}]}),
            6,
            "prevResult.ips[0].interface",
        ),
        (
            json!({"ips": [{"address": "10.1.0.2/24", "interface": 0.5}]}),
            6,
            "prevResult.ips[0].interface",
        ),
        (
            json!({"ips": [{"address": "10.1.0.2/24", "gateway": "x"}]}),
            7,
            "prevResult.ips[0].gateway",
        ),
        (json!({"interfaces": ["eth0"]}), 6, "prevResult.interfaces[0]"),
        (json!({"interfaces": [{"name": 7}]}), 6, "prevResult.interfaces[0].name"),
        (json!({"routes": [{"dst": "x"}]}), 7, "prevResult.routes[0].dst"),
        (json!({"dns": {"nameservers": [7]}}), 6, "prevResult.dns.nameservers[0]"),
    ];
    let old = [
        (json!({"ip4": []}), 6, "prevResult.ip4"),
        (json!({"ip4": {"ip": "10.1.0.2"}}), 7, "prevResult.ip4.ip"),
        (json!({"ip6": {"ip": "fd00::2/129"}}), 7, "prevResult.ip6.ip"),
        (json!({"ip4": {"ip": "10.1.0.2/24", "routes": [{}]}}), 7, "prevResult.ip4.routes[0].dst"),
        (json!({"dns": "x"}), 6, "prevResult.dns"),
    ];
    for version in VERSIONS {
        let cases = if version < "0.3.0" { &old[..] } else { &new[..] };
        for (previous, code, says) in cases {
            // Those that are chained: what came before is printed with their own.
            for plugin in CHAINED.into_iter().chain(["loopback"]) {
                // They begin with these.
                let begins = matches!(plugin, "firewall").then_some("0.4.0");
                let begins = begins.or(matches!(plugin, "bandwidth").then_some("0.3.0"));
                if begins.is_some_and(|first| version < first) {
                    continue;
                }
                let call =
                    stage.call(plugin, "ADD").config(config(&stage, plugin, version, previous));
                stage.refuses(&call, *code, &[says]);
            }
            if version < "0.4.0" {
                continue;
            }
            for plugin in READERS {
                let call =
                    stage.call(plugin, "CHECK").config(config(&stage, plugin, version, previous));
                stage.refuses(&call, *code, &[says]);
            }
        }
    }
    stage.unchanged();
}

#[test]
fn lies_about_interfaces_and_addresses_are_found_by_check() {
    let mut stage = Stage::new();
    let added = stage.call("bridge", "ADD").run().expect_success().json();
    stage.settle();
    let check = |version: &str, previous: &Value, says: &[&str]| {
        let call =
            stage.call("bridge", "CHECK").config(config(&stage, "bridge", version, previous));
        stage.refuses(&call, 102, says);
    };
    for version in ["0.4.0", "1.0.0", "1.1.0"] {
        let lie = |path: &str, value: Value| {
            let mut previous = added.clone();
            crate::stage::set(&mut previous, path, value);
            previous
        };
        check(version, &lie("interfaces", json!([])), &["prevResult has no interface \"eth0\""]);
        check(version, &lie("interfaces.2.sandbox", json!("/proc/1/ns/net")), &["/proc/1/ns/net"]);
        check(version, &lie("interfaces.2.sandbox", json!("../../x")), &["../../x"]);
        check(version, &lie("interfaces.2.name", json!("../eth0")), &["no interface \"eth0\""]);
        check(
            version,
            &lie("interfaces.0.name", json!("a/b")),
            &["prevResult has no bridge \"br0\""],
        );
        check(version, &lie("interfaces.1.name", json!("..")), &["prevResult does not have"]);
        check(version, &lie("interfaces.2.mac", json!("no mac")), &["prevResult has no mac"]);
        for address in
            ["0.0.0.0/0", "255.255.255.255/32", "::/0", "::ffff:10.1.0.2/120", "10.1.0.2/25"]
        {
            check(version, &lie("ips.0.address", json!(address)), &[address]);
        }
        check(version, &lie("routes", json!([{"dst": "192.0.2.0/24"}])), &["192.0.2.0/24"]);
    }
    stage.unchanged();
    // Where an address belongs is known without it: an index that leads nowhere does no harm.
    for index in [json!(-1), json!(3), json!(i64::MAX), json!(i64::MIN), Value::Null] {
        let mut previous = added.clone();
        previous["ips"][0]["interface"] = index;
        for plugin in ["bridge", "host-local"] {
            let call =
                stage.call(plugin, "CHECK").config(config(&stage, plugin, "1.1.0", &previous));
            call.run().expect_silent_success();
        }
    }
    stage.call("bridge", "DEL").run().expect_silent_success();
}

/// A DEL removes what is the attachment's, whatever `prevResult` names.
#[test]
fn a_del_does_not_believe_it() {
    let mut stage = Stage::new();
    stage.host.run(["ip", "link", "add", "precious", "up", "type", "bridge"]);
    stage.settle();
    let lies = json!({
        "interfaces": [
            {"name": "precious"}, {"name": "../../sys"},
            {"name": "lo", "sandbox": "/proc/1/ns/net", "mac": "x"},
        ],
        "ips": [
            {"address": "0.0.0.0/0", "interface": -1},
            {"address": "10.1.0.7/24", "interface": 99},
            {"address": "::/0", "interface": 9_007_199_254_740_991_i64},
        ],
        "routes": [{"dst": "0.0.0.0/0"}],
    });
    for plugin in PLUGINS {
        for previous in [&lies, &json!([]), &json!("x"), &json!({"ips": [7]})] {
            if plugin == "loopback" {
                continue;
            }
            let mut config = config(&stage, plugin, "1.1.0", previous);
            config["ipMasq"] = true.into();
            stage.call(plugin, "DEL").config(config).run().expect_silent_success();
        }
    }
    stage.unchanged();
}

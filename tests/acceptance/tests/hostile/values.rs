//! Values of the wrong kind, size or length, in every key.

use serde_json::{Value, json};

use testsupport::PLUGINS;

use crate::stage::{POOLED, Stage};

/// Keys that every plugin reads, and what they take.
const COMMON: [(&str, &str); 2] = [("name", "string"), ("cniVersion", "string")];

/// Those of `bridge`.
const BRIDGE: [(&str, &str); 22] = [
    ("bridge", "string"),
    ("ipMasqBackend", "string"),
    ("isGateway", "flag"),
    ("isDefaultGateway", "flag"),
    ("forceAddress", "flag"),
    ("ipMasq", "flag"),
    ("hairpinMode", "flag"),
    ("promiscMode", "flag"),
    ("macspoofchk", "flag"),
    ("enabledad", "flag"),
    ("portIsolation", "flag"),
    ("preserveDefaultVlan", "flag"),
    ("disableContainerInterface", "flag"),
    ("netnsResolvConf", "flag"),
    ("vlanTrunk", "list"),
    ("ipam", "object"),
    ("dns", "object"),
    ("runtimeConfig", "object"),
    ("args", "object"),
    ("ipam.type", "string"),
    ("dns.nameservers", "list"),
    ("dns.domain", "string"),
];

/// Those of `host-local`.
const HOST_LOCAL: [(&str, &str); 19] = [
    ("ipam", "object"),
    ("ipam.dataDir", "string"),
    ("ipam.resolvConf", "string"),
    ("ipam.ranges", "list"),
    ("ipam.ranges.0", "list"),
    ("ipam.ranges.0.0", "object"),
    ("ipam.ranges.0.0.subnet", "string"),
    ("ipam.ranges.0.0.rangeStart", "string"),
    ("ipam.ranges.0.0.gateway", "string"),
    ("ipam.ranges.0.0.exclude", "list"),
    ("ipam.exclude", "list"),
    ("ipam.routes", "list"),
    ("ipam.routes.0", "object"),
    ("ipam.routes.0.dst", "string"),
    ("ipam.stickyBy", "string"),
    ("runtimeConfig", "object"),
    ("runtimeConfig.ips", "list"),
    ("runtimeConfig.ipRanges", "list"),
    ("args.cni.ips", "list"),
];

/// Those of `static`.
const STATIC: [(&str, &str); 13] = [
    ("ipam", "object"),
    ("ipam.addresses", "list"),
    ("ipam.addresses.0", "object"),
    ("ipam.addresses.0.address", "string"),
    ("ipam.addresses.0.gateway", "string"),
    ("ipam.routes", "list"),
    ("ipam.routes.0", "object"),
    ("ipam.routes.0.dst", "string"),
    ("ipam.dns", "object"),
    ("ipam.dns.nameservers", "list"),
    ("runtimeConfig", "object"),
    ("runtimeConfig.ips", "list"),
    ("args.cni.ips", "list"),
];

/// Those of `tuning`.
const TUNING: [(&str, &str); 12] = [
    ("dataDir", "string"),
    ("sysctl", "object"),
    ("sysctl.net/ipv4/conf/IFNAME/arp_notify", "string"),
    ("mac", "string"),
    ("promisc", "flag"),
    ("allmulti", "flag"),
    ("runtimeConfig", "object"),
    ("runtimeConfig.mac", "string"),
    ("args", "object"),
    ("args.cni.sysctl", "object"),
    ("args.cni.mac", "string"),
    ("prevResult", "object"),
];

/// Those of `portmap`.
const PORTMAP: [(&str, &str); 12] = [
    ("snat", "flag"),
    ("masqAll", "flag"),
    ("backend", "string"),
    ("externalSetMarkChain", "string"),
    ("conditionsV4", "list"),
    ("conditionsV6", "list"),
    ("runtimeConfig", "object"),
    ("runtimeConfig.portMappings", "list"),
    ("runtimeConfig.portMappings.0", "object"),
    ("runtimeConfig.portMappings.0.protocol", "string"),
    ("runtimeConfig.portMappings.0.hostIP", "string"),
    ("prevResult", "object"),
];

/// Those of `bandwidth`.
const BANDWIDTH: [(&str, &str); 5] = [
    ("runtimeConfig", "object"),
    ("runtimeConfig.bandwidth", "object"),
    ("unshapedSubnets", "list"),
    ("unshapedSubnets.0", "string"),
    ("prevResult", "object"),
];

/// Those of `firewall`.
const FIREWALL: [(&str, &str); 4] = [
    ("backend", "string"),
    ("ingressPolicy", "string"),
    ("iptablesAdminChainName", "string"),
    ("prevResult", "object"),
];

/// Puts `text` at the place of `@` in a configuration: numbers that no [`Value`] holds.
fn raw(stage: &Stage, plugin: &str, path: &str, text: &str) -> String {
    stage.with(plugin, path, "@").to_string().replace("\"@\"", text)
}

#[test]
fn numbers_that_are_none_or_too_many() {
    let stage = Stage::new();
    let refuses = |plugin, path: &str, text, code, shown: &str| {
        let call = stage.call(plugin, "ADD").config(raw(&stage, plugin, path, text));
        let key = path.rsplit('.').next().unwrap();
        stage.refuses(&call, code, &[key, shown]);
    };
    for text in
        ["1e400", "-1e400", "1.5", "99999999999999999999", "1e300", "\"1500\"", "[]", "true"]
    {
        refuses("bridge", "mtu", text, 6, text);
        refuses("bridge", "vlan", text, 6, text);
        refuses("host-local", "ipam.cooldownSeconds", text, 6, text);
        refuses("tuning", "mtu", text, 6, text);
        refuses("tuning", "args.cni.txQLen", text, 6, text);
        refuses("portmap", "markMasqBit", text, 6, text);
        refuses("portmap", "runtimeConfig.portMappings.0.hostPort", text, 6, text);
        refuses("portmap", "runtimeConfig.portMappings.0.containerPort", text, 6, text);
        refuses("firewall", "forwardMarkBit", text, 6, text);
        refuses("bandwidth", "latency", text, 6, text);
        refuses("bandwidth", "runtimeConfig.bandwidth.egressBurst", text, 6, text);
    }
    for text in ["-1", "65536", "9007199254740991", "-9223372036854775808", "1e15"] {
        refuses("bridge", "mtu", text, 7, "must be 0 to 65535");
    }
    for text in ["-1", "4095", "4294967296", "9223372036854775807"] {
        refuses("bridge", "vlan", text, 7, "invalid VLAN ID");
    }
    for text in ["-1", "4294967296"] {
        refuses("host-local", "ipam.cooldownSeconds", text, 7, text);
        refuses("tuning", "args.cni.mtu", text, 7, "must be 0 to 2147483647");
        refuses("tuning", "txQLen", text, 7, "must be 0 to 2147483647");
    }
    for text in ["-1", "0", "65536", "4294967376", "9223372036854775807"] {
        for (key, whose) in [("hostPort", "host"), ("containerPort", "container")] {
            let path = format!("runtimeConfig.portMappings.0.{key}");
            refuses("portmap", &path, text, 7, &format!("Invalid {whose} port number: {text}"));
        }
    }
    for text in ["-1", "32", "4294967296"] {
        refuses("portmap", "markMasqBit", text, 7, "must be between 0 and 31");
        refuses("firewall", "forwardMarkBit", text, 7, "must be between 0 and 31");
    }
    for text in ["0", "60001", "4294967321"] {
        refuses("bandwidth", "latency", text, 7, "must be 1 to 60000");
    }
    // Not even JSON.
    for text in ["01", "+1", ".5", "1.", "1e", "0x10", "NaN", "Infinity", "-"] {
        let call = stage.call("bridge", "ADD").config(raw(&stage, "bridge", "mtu", text));
        stage.refuses(&call, 6, &["not a JSON object"]);
    }
    stage.unchanged();
}

#[test]
fn another_json_type_in_every_key() {
    let stage = Stage::new();
    let wrong = |kind: &str| -> Vec<Value> {
        let all = [json!("x"), json!(7), json!(true), json!([7]), json!({"a": 7})];
        let is = |value: &Value| match kind {
            "string" => value.is_string(),
            "flag" => value.is_boolean(),
            "list" => value.is_array(),
            _ => value.is_object(),
        };
        all.into_iter().filter(|value| !is(value)).collect()
    };
    let cases = PLUGINS.iter().flat_map(|plugin| COMMON.iter().map(move |case| (*plugin, *case)));
    let cases = cases.chain(BRIDGE.map(|case| ("bridge", case)));
    let cases = cases.chain(HOST_LOCAL.map(|case| ("host-local", case)));
    let cases = cases.chain(STATIC.map(|case| ("static", case)));
    let cases = cases.chain(TUNING.map(|case| ("tuning", case)));
    let cases = cases.chain(PORTMAP.map(|case| ("portmap", case)));
    let cases = cases.chain(BANDWIDTH.map(|case| ("bandwidth", case)));
    for (plugin, (path, kind)) in cases.chain(FIREWALL.map(|case| ("firewall", case))) {
        for value in wrong(kind) {
            let call = stage.call(plugin, "ADD").config(stage.with(plugin, path, value.clone()));
            let key = path.rsplit('.').find(|word| word.parse::<u8>().is_err()).unwrap();
            stage.refuses(&call, 6, &[key, "must be", &value.to_string()]);
        }
    }
    stage.unchanged();
}

#[test]
fn a_text_of_most_of_a_megabyte_in_every_key() {
    let stage = Stage::new();
    let long = "ab".repeat(450_000);
    let refuses = |plugin, path: &str, code| {
        let call = stage.call(plugin, "ADD").config(stage.with(plugin, path, long.as_str()));
        stage.refuses(&call, code, &[path.rsplit('.').next().unwrap()]);
    };
    for plugin in PLUGINS {
        let call =
            stage.call(plugin, "ADD").config(stage.with(plugin, "cniVersion", long.as_str()));
        stage.refuses(&call, 1, &["incompatible CNI versions", "abab"]);
        let call = stage.call(plugin, "ADD").config(stage.with(plugin, "name", format!("{long}/")));
        stage.refuses(&call, 7, &["network name", "abab"]);
    }
    for path in ["bridge", "runtimeConfig.mac", "args.cni.mac"] {
        refuses("bridge", path, 7);
    }
    let call =
        stage.call("bridge", "ADD").config(stage.with("bridge", "ipMasqBackend", long.as_str()));
    stage.refuses(&call, 7, &["ipmasq backend", "abab"]);
    let call = stage.call("bridge", "ADD").config(stage.with("bridge", "ipam.type", long.as_str()));
    stage.refuses(&call, 103, &["failed to find plugin", "abab"]);
    for path in ["subnet", "rangeStart", "rangeEnd", "gateway"] {
        refuses("host-local", &format!("ipam.ranges.0.0.{path}"), 7);
    }
    refuses("host-local", "ipam.routes.0.dst", 7);
    refuses("host-local", "ipam.routes.0.gw", 7);
    refuses("host-local", "ipam.stickyBy", 2);
    refuses("host-local", "ipam.resolvConf", 5);
    for path in ["protocol", "hostIP"] {
        refuses("portmap", &format!("runtimeConfig.portMappings.0.{path}"), 7);
    }
    refuses("portmap", "backend", 7);
    refuses("bandwidth", "unshapedSubnets.0", 7);
    refuses("firewall", "iptablesAdminChainName", 7);
    let call = stage.call("firewall", "ADD").config(stage.with(
        "firewall",
        "ingressPolicy",
        long.as_str(),
    ));
    stage.refuses(&call, 7, &["unknown ingress policy", "abab"]);
    for path in ["ipam.addresses.0.address", "ipam.addresses.0.gateway", "ipam.routes.0.dst"] {
        refuses("static", path, 7);
    }
    let path = format!("/{long}");
    let call =
        stage.call("host-local", "ADD").config(stage.with("host-local", "ipam.dataDir", path));
    stage.refuses(&call, 5, &["pool folder", "/abab", "ENAMETOOLONG"]);
    stage.unchanged();
}

#[test]
fn a_name_longer_than_a_file_may_have() {
    let stage = Stage::new();
    for plugin in POOLED {
        let call = stage.call(plugin, "ADD").config(stage.with(plugin, "name", "n".repeat(256)));
        stage.refuses(&call, 5, &["pool folder", "nnnn", "ENAMETOOLONG"]);
    }
    stage.unchanged();
}

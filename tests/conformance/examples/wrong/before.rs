//! The faults that act before the right plugin is called, or in its place.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::call::{Answer, Call, host};
use crate::delegate::{NAME, swallow};

/// Longer than any limit.
const HANGS: Duration = Duration::from_secs(60);
/// Is there after a STATUS that failed.
pub(crate) const FAILED_STATUS: &str = "/run/test/failed-status";

/// The answer of a fault that does not call the right plugin.
pub(crate) fn answer(fault: &str, call: &mut Call) -> Option<Answer> {
    of_protocol(fault, call)
        .or_else(|| of_add(fault, call))
        .or_else(|| of_check(fault, call))
        .or_else(|| of_del(fault, call))
        .or_else(|| {
            delegation(fault, call);
            results(fault, call);
            None
        })
}

fn of_protocol(fault: &str, call: &mut Call) -> Option<Answer> {
    let command = call.variable("CNI_COMMAND").to_owned();
    let is_missing = |name: &str| call.variable(name).is_empty();
    match (fault, command.as_str()) {
        ("version-needs-a-container-id", "VERSION") if is_missing("CNI_CONTAINERID") => {
            return Some(Answer::error(4, call));
        }
        ("takes-any-command", "ATTACH") => return Some(Answer::silent()),
        ("takes-no-container-id", _) if is_missing("CNI_CONTAINERID") => {
            call.set("CNI_CONTAINERID", "nobody");
        }
        ("takes-no-interface-name", _) if is_missing("CNI_IFNAME") => {
            call.set("CNI_IFNAME", "eth0");
        }
        ("takes-no-namespace", "ADD") if is_missing("CNI_NETNS") => {
            call.set("CNI_NETNS", "/run/netns/nobody");
        }
        ("takes-an-invalid-container-id", _) => {
            let id = call.variable("CNI_CONTAINERID").replace(['-', '/', ' ', '.'], "x");
            call.set("CNI_CONTAINERID", &id);
        }
        ("takes-an-invalid-interface-name", _) => {
            let name = call.variable("CNI_IFNAME").replace(['/', ':', ' ', '.'], "x");
            let name: String = name.chars().take(15).collect();
            call.set("CNI_IFNAME", &name);
        }
        ("takes-any-version", _) if call.config["cniVersion"] == "99.0.0" => {
            call.config["cniVersion"] = "1.1.0".into();
            call.with_config();
        }
        ("takes-any-network-name", _) if call.config["name"] == "-net/work" => {
            call.config["name"] = "network".into();
            call.with_config();
        }
        ("gc-fails", "GC") | ("status-fails", "STATUS") => return Some(Answer::error(999, call)),
        ("gc-does-nothing", "GC") => return Some(Answer::silent()),
        ("gc-removes-all", "GC") => {
            call.config["cni.dev/valid-attachments"] = json!([]);
            call.config["cni.dev/attachments"] = json!([]);
            call.with_config();
        }
        ("gc-ignores-the-network", "GC") | ("del-ignores-the-network", "DEL")
            if call.config["name"] == "conformance-other" =>
        {
            call.config["name"] = "conformance".into();
            call.with_config();
        }
        ("gc-stops-at-the-delegates-failure", "GC") if call.has_in_first_folder("fail-GC") => {
            return Some(Answer::error(999, call));
        }
        ("status-hangs", "STATUS") => thread::sleep(HANGS),
        _ => {}
    }
    None
}

fn of_add(fault: &str, call: &mut Call) -> Option<Answer> {
    if !call.is("ADD") {
        if fault == "ignores-the-interface-name" && call.variable("CNI_IFNAME") == "net7" {
            call.set("CNI_IFNAME", "eth0");
        }
        return None;
    }
    let is_second = call.variable("CNI_IFNAME") == "net7";
    match fault {
        "add-fails" if call.is_sound() => return Some(Answer::error(11, call)),
        "add-hangs" if call.is_sound() => thread::sleep(HANGS),
        "ignores-the-interface-name" if is_second => call.set("CNI_IFNAME", "eth0"),
        "replaces-an-interface" if call.is_sound() => drop(call.inside("ip link delete eth0")),
        "makes-up-a-namespace" if call.variable("CNI_NETNS") == "/run/netns/nobody" => {
            let result = json!({"cniVersion": "1.1.0", "interfaces": [], "ips": []});
            return Some(Answer { stdout: result.to_string(), ..Answer::silent() });
        }
        "one-interface-a-container" if is_second => {
            let is_there = !call.inside("ip -oneline link show eth0").is_empty();
            return is_there.then(|| Answer::error(999, call));
        }
        "one-add-at-a-time" => {
            if fs::create_dir("/run/test/busy").is_err() {
                return Some(Answer::error(999, call));
            }
            thread::sleep(Duration::from_millis(300));
            fs::remove_dir("/run/test/busy").ok();
        }
        "wants-the-default-route"
            if !is_second && !call.inside("ip route show default").is_empty() =>
        {
            return Some(Answer::error(999, call));
        }
        "refuses-add-after-a-failed-status" if fs::exists(FAILED_STATUS).unwrap_or(false) => {
            return Some(Answer::error(999, call));
        }
        "refuses-args" if call.config.get("args").is_some() => return Some(Answer::error(2, call)),
        "del-fails" | "del-of-a-stranger-fails" => drop(call.mark("added")),
        _ => {}
    }
    None
}

fn of_check(fault: &str, call: &mut Call) -> Option<Answer> {
    if !call.is("CHECK") {
        return None;
    }
    let mut interfaces = call.config["prevResult"]["interfaces"].as_array().into_iter().flatten();
    let has_link = || !call.inside("ip -oneline link show eth0").is_empty();
    let has_address = || !call.inside("ip -4 -oneline address show eth0").is_empty();
    let has_route = || !call.inside("ip route show default").is_empty();
    match fault {
        "check-fails" => return Some(Answer::error(999, call)),
        "check-wants-its-own-mac" => {
            let is_other = interfaces.any(|one| one["mac"] == "0a:58:0a:4d:ff:02");
            return is_other.then(|| Answer::error(999, call));
        }
        "check-does-not-ask-prevresult" => {
            let address = call.config["ipam"]["address"].clone();
            if let Some(ip) = call.config["prevResult"]["ips"].get_mut(0) {
                ip["address"] = address;
            }
            call.with_config();
        }
        "check-needs-no-variable" if !(call.has_variables() && call.has_namespace()) => {
            return Some(Answer::silent());
        }
        "check-passes-without-the-interface" if call.has_namespace() && !has_link() => {
            return Some(Answer::silent());
        }
        "check-passes-without-an-address" if has_link() && !has_address() => {
            return Some(Answer::silent());
        }
        "check-passes-without-a-route" if has_link() && has_address() && !has_route() => {
            return Some(Answer::silent());
        }
        "check-passes-without-rules" if host("nft list ruleset").is_empty() => {
            return Some(Answer::silent());
        }
        _ => {}
    }
    None
}

fn of_del(fault: &str, call: &mut Call) -> Option<Answer> {
    if !call.is("DEL") {
        return None;
    }
    let is_complete = call.has_namespace() && call.has_previous();
    let is_late = call.variable("CNI_NETNS").is_empty();
    match fault {
        "del-fails" if is_complete && call.is_marked("added") => {
            return Some(Answer::error(999, call));
        }
        "del-of-a-stranger-fails" if !call.is_marked("added") => {
            return Some(Answer::error(999, call));
        }
        "leaks-on-del" | "del-leaves-what-add-changed" if is_complete => {
            return Some(Answer::silent());
        }
        "second-del-fails" if call.mark("deleted") => return Some(Answer::error(999, call)),
        "del-needs-a-namespace" if is_late => return Some(Answer::error(999, call)),
        "del-needs-a-namespace-that-is-there" if !is_late && !call.has_namespace() => {
            return Some(Answer::error(999, call));
        }
        "leaks-without-namespace" if is_late => return Some(Answer::silent()),
        "leaks-without-prevresult" if !call.has_previous() && call.has_variables() => {
            return Some(Answer::silent());
        }
        "forgets-the-interface-name" if call.variable("CNI_IFNAME") == "net7" => {
            call.set("CNI_IFNAME", "eth0");
        }
        "deletes-the-others" => drop(host("find /var/lib/cni -name 10.* -delete")),
        _ => {}
    }
    None
}

/// Faults in what the IPAM plugin gets.
fn delegation(fault: &str, call: &mut Call) {
    let command = call.variable("CNI_COMMAND").to_owned();
    match (fault, command.as_str()) {
        ("add-does-not-delegate", "ADD") => swallow(call, "ADD"),
        ("check-does-not-delegate", "CHECK") => swallow(call, "CHECK"),
        ("del-does-not-delegate", "DEL") | ("does-not-undo-the-delegate", "ADD") => {
            swallow(call, "DEL");
        }
        ("gc-does-not-delegate", "GC") => swallow(call, "GC"),
        ("status-does-not-delegate", "STATUS") => swallow(call, "STATUS"),
        ("keeps-args-from-the-delegate", "ADD") => call.set("CNI_ARGS", ""),
        ("keeps-args-from-the-delegates-del", "DEL") => call.set("CNI_ARGS", ""),
        ("keeps-tracing-from-the-delegate", _) => drop(call.variables.remove("TRACEPARENT")),
        ("looks-in-the-first-folder", _) if !call.has_in_first_folder(NAME) => {
            let first = call.first_folder().display().to_string();
            call.set("CNI_PATH", &first);
        }
        ("keeps-a-key-from-the-delegates-gc", "GC") => {
            if let Value::Object(config) = &mut call.config {
                config.remove("isGateway");
            }
            call.with_config();
        }
        ("keeps-a-key-from-the-delegate", "ADD" | "CHECK" | "DEL") => {
            if let Value::Object(config) = &mut call.config {
                config.remove("isGateway");
            }
            call.with_config();
        }
        _ => {}
    }
}

/// What a fault puts into results is taken out of `prevResult` again: CHECK and DEL are not what it is about.
fn results(fault: &str, call: &mut Call) {
    let netns = call.variable("CNI_NETNS").to_owned();
    if !call.has_previous() || call.is("ADD") {
        return;
    }
    let previous = &mut call.config["prevResult"];
    for interface in previous["interfaces"].as_array_mut().into_iter().flatten() {
        let is_inside = interface["name"] == "eth0";
        match fault {
            "hides-the-container-interface" | "says-another-namespace" if is_inside => {
                interface["sandbox"] = netns.as_str().into();
            }
            "says-another-mtu" if is_inside => {
                interface.as_object_mut().expect("an object").remove("mtu");
            }
            "gives-a-relative-path" if is_inside => {
                interface.as_object_mut().expect("an object").remove("socketPath");
            }
            "hides-the-host-interface" if interface["hidden"].is_object() => {
                *interface = interface["hidden"].take();
            }
            "says-another-mac" if interface["mac"] == "02:00:00:00:00:99" => {
                interface.as_object_mut().expect("an object").remove("mac");
            }
            _ => {}
        }
    }
    if fault == "gives-an-address-without-length" {
        for ip in previous["ips"].as_array_mut().into_iter().flatten() {
            ip["address"] = format!("{}/24", ip["address"].as_str().unwrap_or_default()).into();
        }
    }
    match fault {
        "loses-the-delegates-address" => {
            let address = call.config["ipam"]["address"].clone();
            call.config["prevResult"]["ips"] =
                json!([{"address": address, "gateway": "10.77.0.1", "interface": 2}]);
            return call.with_config();
        }
        "does-not-say-the-interface" | "says-the-wrong-interface" => {
            previous["ips"][0]["interface"] = 2.into();
        }
        "gives-a-number-as-text" => previous["routes"][0]["mtu"] = Value::Null,
        "gives-a-nameserver-by-name" => previous["dns"] = json!({}),
        _ => {}
    }
    if fault == "makes-up-an-address"
        && let Some(ips) = previous["ips"].as_array_mut()
    {
        ips.retain(|ip| ip["address"] != "10.77.0.251/24");
    }
    if fault == "makes-up-a-route"
        && let Some(routes) = previous["routes"].as_array_mut()
    {
        routes.retain(|route| route["dst"] != "198.51.100.128/25");
    }
    call.with_config();
}

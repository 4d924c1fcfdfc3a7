//! The faults in what is answered, and in what is left.

use serde_json::{Value, json};

use crate::before::FAILED_STATUS;
use crate::call::{Answer, Call, host};

/// Changes the right plugin's answer.
pub(crate) fn change(fault: &str, call: &Call, answer: &mut Answer) {
    match (call.variable("CNI_COMMAND"), answer.status) {
        ("VERSION", 0) => version(fault, answer),
        (_, 0) => success(fault, call, answer),
        _ => failure(fault, call, answer),
    }
    if fault == "swallows-stderr" {
        answer.stderr.clear();
    }
}

fn version(fault: &str, answer: &mut Answer) {
    let mut object = answer.json();
    match fault {
        "lists-no-versions" => {
            object.as_object_mut().expect("an object").remove("supportedVersions");
        }
        "answers-in-one-version" => object["cniVersion"] = "0.3.1".into(),
        _ => return,
    }
    answer.set(&object);
}

fn failure(fault: &str, call: &Call, answer: &mut Answer) {
    let mut object = answer.json();
    let is_delegates = answer.stdout.contains("refused by conformance-ipam");
    let code = object["code"].as_u64().unwrap_or_default();
    match fault {
        "exits-with-0" if call.config.is_null() => answer.status = 0,
        "prints-nothing-on-failure" => answer.stdout.clear(),
        "errors-have-another-version" => object["cniVersion"] = "0.3.1".into(),
        "variables-are-code-999" if code == 4 => object["code"] = 999.into(),
        "variables-are-not-named" if code == 4 => {
            object["msg"] = "wrong environment".into();
            object["details"] = "".into();
        }
        "makes-up-a-code" if code == 7 => object["code"] = 42.into(),
        "no-json-is-code-999" if code == 6 => object["code"] = 999.into(),
        "ignores-the-delegates-failure" if call.is("ADD") && is_delegates => {
            answer.status = 0;
            object = json!({"cniVersion": "1.1.0", "interfaces": [], "ips": []});
        }
        "check-hides-the-delegates-failure" if call.is("CHECK") && is_delegates => {
            *answer = Answer::silent();
        }
        "del-hides-the-delegates-failure" if call.is("DEL") && is_delegates => {
            *answer = Answer::silent();
        }
        "status-hides-the-delegates-failure" if call.is("STATUS") && is_delegates => {
            *answer = Answer::silent();
        }
        "gc-hides-the-delegates-failure" if call.is("GC") && is_delegates => {
            *answer = Answer::silent();
        }
        "status-fails-without-an-error" if call.is("STATUS") && is_delegates => {
            answer.stdout.clear();
        }
        "refuses-add-after-a-failed-status" if call.is("STATUS") && is_delegates => {
            std::fs::write(FAILED_STATUS, "").expect("a mark");
        }
        "failed-add-is-never-cleared" if call.is("ADD") && is_delegates => {
            host("ip link add stuck0 type veth peer name stuck1");
        }
        _ => {}
    }
    if !answer.stdout.is_empty() {
        answer.set(&object);
    }
}

fn success(fault: &str, call: &Call, answer: &mut Answer) {
    match fault {
        "check-prints-something" if call.is("CHECK") => answer.stdout = "{}".to_owned(),
        "gc-prints-something" if call.is("GC") => answer.stdout = "{}".to_owned(),
        "leaves-an-interface" if call.is("DEL") && call.variable("CNI_IFNAME") == "eth0" => {
            call.inside("ip link add left0 type veth peer name left1");
        }
        "writes-before-the-result" if call.is("ADD") => {
            answer.stdout.insert_str(0, "attaching\n");
        }
        _ if call.is("ADD") => {
            let mut result = answer.json();
            change_result(fault, &mut result);
            answer.set(&result);
        }
        _ => {}
    }
}

fn change_result(fault: &str, result: &mut Value) {
    let push = |list: &mut Value, one: Value| list.as_array_mut().expect("a list").push(one);
    match fault {
        "says-another-version" => result["cniVersion"] = "1.0.0".into(),
        "gives-an-address-without-length" => {
            let address = result["ips"][0]["address"].as_str().unwrap_or_default();
            result["ips"][0]["address"] = address.replace("/24", "").into();
        }
        "makes-up-an-address" => {
            push(&mut result["ips"], json!({"address": "10.77.0.251/24", "interface": 2}));
        }
        "makes-up-a-route" => push(&mut result["routes"], json!({"dst": "198.51.100.128/25"})),
        "drops-some-of-prevresult" | "loses-the-delegates-dns" => {
            result.as_object_mut().expect("an object").remove("dns");
        }
        "changes-prevresult" => result["dns"]["nameservers"] = json!(["198.51.100.53"]),
        "gives-a-nameserver-by-name" => {
            result["dns"] = json!({"nameservers": ["resolver.example"]});
        }
        "gives-a-number-as-text" => result["routes"][0]["mtu"] = "1400".into(),
        "loses-the-delegates-address" => result["ips"] = json!([]),
        "does-not-say-the-interface" => {
            result["ips"][0].as_object_mut().expect("an object").remove("interface");
        }
        "says-the-wrong-interface" => result["ips"][0]["interface"] = 0.into(),
        "hides-the-host-interface" => {
            let hidden = result["interfaces"][1].take();
            result["interfaces"][1] = result["interfaces"][0].clone();
            result["interfaces"][1]["hidden"] = hidden;
        }
        "gives-no-address" => result["ips"] = json!([]),
        "has-interfaces-though-ipam" => result["interfaces"] = json!([{"name": "eth0"}]),
        "gives-an-address-twice" => result["ips"][0]["address"] = "10.77.0.2/24".into(),
        _ => {}
    }
    for interface in result["interfaces"].as_array_mut().into_iter().flatten() {
        let is_inside = interface["name"] == "eth0" && interface.get("sandbox").is_some();
        match fault {
            "hides-the-container-interface" if is_inside => interface["sandbox"] = "".into(),
            "says-another-namespace" if is_inside => interface["sandbox"] = "/run/netns/x".into(),
            "says-no-mac" if is_inside => {
                interface.as_object_mut().expect("an object").remove("mac");
            }
            "says-another-mtu" if is_inside => interface["mtu"] = 1280.into(),
            "gives-a-relative-path" if is_inside => interface["socketPath"] = "run/vhost".into(),
            "says-another-mac" if is_inside => interface["mac"] = "02:00:00:00:00:99".into(),
            _ => {}
        }
    }
}

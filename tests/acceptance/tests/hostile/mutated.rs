//! Thousands of inputs made from valid and refused configurations by random changes, the same in each
//! run. Whatever an input is, the contract is: exit status 0 with a result, a CHECK that passes and a DEL
//! that takes all of it away again, or exit status 1 with one error object and nothing changed.
//!
//! `CAUSEWAY_SEED` chooses other changes; a failure shows the input that it is about.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use serde_json::{Value, json};
use testsupport::{Answer, Numbers, golden};

use crate::stage::Stage;

/// How many inputs per plugin, unless `CAUSEWAY_INPUTS` says: together some twenty seconds.
const INPUTS: usize = 2_000;

/// The number in a variable, if it is there.
fn set<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// Every object at `config` of the files of a folder of `testdata/`, or the one of `plugin` in a list,
/// without what names a place outside of the throw-away host.
fn configurations(folder: &str, plugin: &str) -> Vec<Value> {
    let mut paths: Vec<_> =
        fs::read_dir(golden::path(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let configs =
        paths.iter().filter(|path| path.extension().is_some_and(|e| e != "md" && e != "txt"));
    configs
        .map(|path| {
            let case: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
            // One of a list of plugins, a case with a configuration, or one itself.
            let mut plugins = case["plugins"].as_array().into_iter().flatten();
            let is_meant = |entry: &&Value| match plugin {
                "host-local" | "static" => entry["type"] == "bridge",
                plugin => entry["type"] == plugin,
            };
            let of_list = plugins.find(is_meant);
            let mut config = match (of_list, case.get("config")) {
                (Some(config), _) | (None, Some(config)) => config.clone(),
                (None, None) => case.clone(),
            };
            for (key, value) in [("cniVersion", "1.0.0"), ("name", "net")] {
                if config.get(key).is_none() {
                    config[key] = value.into();
                }
            }
            let ipam = config.as_object_mut().unwrap().iter_mut();
            let ipam =
                ipam.filter(|(key, value)| key.eq_ignore_ascii_case("ipam") && value.is_object());
            ipam.for_each(|(_, ipam)| {
                ipam.as_object_mut().unwrap().retain(|key, _| {
                    !["datadir", "resolvconf"].contains(&key.to_ascii_lowercase().as_str())
                });
            });
            config
        })
        .collect()
}

/// What a value is replaced by.
fn odd_values() -> Vec<Value> {
    let long = "x".repeat(300);
    vec![
        Value::Null,
        json!(true),
        json!(""),
        json!([]),
        json!({}),
        json!([null]),
        json!([[]]),
        json!([{}]),
        json!(0),
        json!(-1),
        json!(1),
        json!(1.0),
        json!(0.5),
        json!(4095),
        json!(65536),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e300),
        json!("0.0.0.0/0"),
        json!("::/0"),
        json!("10.1.0.0/24"),
        json!("10.1.0.0/31"),
        json!("fd00::/64"),
        json!("255.255.255.255"),
        json!("10.1.0.5/24"),
        json!({"address": "fd00::5/64", "gateway": "fd00::1"}),
        json!("::ffff:10.0.0.1"),
        json!("fe80::1%eth0"),
        json!(".."),
        json!("a/b"),
        json!("\u{0}"),
        json!("\u{e9}"),
        json!(long),
        json!([["10.1.0.0/24"]]),
        json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]),
        json!({"type": "host-local", "subnet": "10.2.0.0/16"}),
        json!({"nameservers": ["192.0.2.1"]}),
        json!([{"dst": "0.0.0.0/0"}]),
        json!([{"minID": 1, "maxID": 9}]),
        json!("udp"),
        json!("isolated"),
        json!({"hostPort": 53, "containerPort": 53, "protocol": "udp", "hostIP": "::"}),
        json!(["!", "-s", "10.0.0.0/8"]),
        json!({"ips": [{"address": "10.1.0.7/24"}], "interfaces": [{"name": "br0"}]}),
        json!({"net.core.somaxconn": "1000", "kernel.pid_max": "1"}),
        json!({"net/ipv4/conf/lo/arp_ignore": ""}),
        json!("02:00:00:00:00:0a"),
        json!("0.2.0"),
        json!("1.1.0"),
    ]
}

/// Changes one value somewhere in the tree.
fn change_tree(numbers: &mut Numbers, value: &mut Value, odd: &[Value]) {
    let inside = match value {
        Value::Object(map) if !map.is_empty() => map.len(),
        Value::Array(list) if !list.is_empty() => list.len(),
        _ => 0,
    };
    if inside == 0 || numbers.below(6) == 0 {
        *value = numbers.pick(odd).clone();
        return;
    }
    let place = numbers.below(inside);
    let way = numbers.below(12);
    match value {
        Value::Object(map) => {
            let key = map.keys().nth(place).unwrap().clone();
            match way {
                0 => drop(map.remove(&key)),
                1 => {
                    let moved = map.remove(&key).unwrap();
                    map.insert(key.to_uppercase(), moved);
                }
                2 => {
                    let copy = numbers.pick(odd).clone();
                    map.insert(key.to_lowercase(), copy);
                }
                _ => change_tree(numbers, map.get_mut(&key).unwrap(), odd),
            }
        }
        Value::Array(list) => match way {
            0 => drop(list.remove(place)),
            1 => list.push(list[place].clone()),
            2 => list.insert(place, numbers.pick(odd).clone()),
            _ => change_tree(numbers, &mut list[place], odd),
        },
        _ => {}
    }
}

/// Changes bytes.
fn change_bytes(numbers: &mut Numbers, text: &mut Vec<u8>) {
    const PIECES: [&[u8]; 16] = [
        b"\"", b"{", b"}", b"[", b"]", b",", b":", b"\\u0000", b"\\", b"\0", b"\xff", b"-", b"e9",
        b"null", b"/", b" ",
    ];
    let place = numbers.below(text.len().max(1)).min(text.len());
    match numbers.below(6) {
        0 => text.truncate(place),
        1 if place < text.len() => text[place] ^= 1 << numbers.below(8),
        2 if place < text.len() => drop(text.remove(place)),
        3 => drop(text.splice(place..place, numbers.pick(&PIECES).iter().copied())),
        4 => {
            let end = (place + numbers.below(40)).min(text.len());
            let piece = text[place..end].to_vec();
            let at = numbers.below(text.len() + 1);
            text.splice(at..at, piece);
        }
        _ => {
            let end = (place + numbers.below(40)).min(text.len());
            text.drain(place..end);
        }
    }
}

/// One input: stdin, and perhaps a variable.
struct Input {
    stdin: Vec<u8>,
    variable: Option<(&'static str, OsString)>,
}

fn make(numbers: &mut Numbers, configs: &[Value], odd: &[Value]) -> Input {
    let mut config = numbers.pick(configs).clone();
    for _ in 0..numbers.below(4) {
        change_tree(numbers, &mut config, odd);
    }
    let mut stdin = config.to_string().into_bytes();
    if numbers.below(3) == 0 {
        for _ in 0..1 + numbers.below(3) {
            change_bytes(numbers, &mut stdin);
        }
    }
    let variable = (numbers.below(8) == 0).then(|| {
        // Not CNI_PATH and CNI_NETNS: what they lead to is not this host's.
        let name = *numbers.pick(&[
            "CNI_CONTAINERID",
            "CNI_IFNAME",
            "CNI_ARGS",
            "CNI_COMMAND",
            "CNI_NETNS_OVERRIDE",
        ]);
        let start: &[u8] = match name {
            "CNI_ARGS" => b"IgnoreUnknown=1;IP=10.1.0.9;MAC=02:00:00:00:00:09;K8S_POD_NAME=p",
            "CNI_COMMAND" => b"CHECK",
            _ => b"c1",
        };
        let mut value = start.to_vec();
        (0..1 + numbers.below(3)).for_each(|_| change_bytes(numbers, &mut value));
        value.retain(|byte| *byte != 0);
        (name, OsString::from_vec(value))
    });
    Input { stdin, variable }
}

/// The links and leases of the host: cheap enough to be looked at after every input.
fn glance() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["/sys/class/net", "/var/lib/cni/networks"] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            for inner in fs::read_dir(&path)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|_| folder.starts_with("/var"))
            {
                let name = inner.file_name().to_string_lossy().into_owned();
                if name.parse::<std::net::IpAddr>().is_ok() {
                    found.push(inner.path().display().to_string());
                }
            }
            if folder.starts_with("/sys") {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Whether stdout is a result of ADD, or nothing for the commands that print nothing.
fn is_answer(answer: &Answer) -> bool {
    answer.stdout().is_empty() || answer.json()["cniVersion"].is_string()
}

/// One input put to a plugin.
struct Trial<'a> {
    stage: &'a Stage,
    plugin: &'a str,
    input: Input,
    /// What finds the input again.
    number: String,
    /// Whether the packet filter is looked at afterwards.
    looks_at_rules: bool,
}

impl Trial<'_> {
    fn call(&self, command: &str) -> Answer {
        self.call_with(command, self.input.stdin.clone())
    }

    /// The same configuration with the result of ADD, as runtimes call CHECK; `None` where that has no CHECK.
    fn checked(&self, result: Value) -> Option<Answer> {
        let mut config: Value = serde_json::from_slice(&self.input.stdin).ok()?;
        let has_check = ["0.4.0", "1.0.0", "1.1.0"].contains(&result["cniVersion"].as_str()?);
        config.as_object_mut()?.retain(|key, _| !key.eq_ignore_ascii_case("prevResult"));
        config["prevResult"] = result;
        // With such an MTU the kernel takes the interface's IPv4 away, settings and all.
        let has_ipv4 = config["mtu"].as_f64().is_none_or(|mtu| mtu <= 0.0 || mtu >= 68.0);
        (has_check && has_ipv4).then(|| self.call_with("CHECK", config.to_string().into_bytes()))
    }

    fn call_with(&self, command: &str, stdin: Vec<u8>) -> Answer {
        let call = self.stage.call(self.plugin, command).stdin(stdin);
        let call = match &self.input.variable {
            Some((name, value)) if *name != "CNI_COMMAND" || command == "ADD" => {
                call.env(name, value)
            }
            _ => call,
        };
        call.run()
    }

    /// Whether ADD took it; either way nothing is left at the end.
    fn was_taken(&self) -> bool {
        let before = glance();
        let answer = self.call("ADD");
        let Input { stdin, variable } = &self.input;
        let stdin = String::from_utf8_lossy(stdin);
        let shown = format!("{} {}: {variable:?}\n{stdin}\n{answer}", self.plugin, self.number);
        let is_add = !matches!(variable, Some(("CNI_COMMAND", _)));
        match answer.status() {
            Some(0) => assert!(is_answer(&answer), "{shown}"),
            Some(1) => {
                let object = answer.json();
                let code = object["code"].as_u64().unwrap_or(999);
                assert!(code != 999 && object["msg"].is_string(), "{shown}");
            }
            _ => panic!("{shown}"),
        }
        let taken = answer.status() == Some(0) && is_add;
        if taken {
            let check =
                (!answer.stdout().is_empty()).then(|| self.checked(answer.json())).flatten();
            let is_found = check.as_ref().is_none_or(|check| check.status() == Some(0));
            assert!(is_found, "{shown}\nCHECK: {}", check.unwrap());
            let del = self.call("DEL");
            let is_quiet = del.status() == Some(0) && del.stdout().is_empty();
            assert!(is_quiet, "{shown}\nDEL: {del}");
        }
        let after = glance();
        // A bridge that was made stays for others.
        let is_left = |path: &&String| {
            !before.contains(*path)
                && (!taken || path.contains("/veth") || path.starts_with("/var"))
        };
        let left: Vec<&String> = after.iter().filter(is_left).collect();
        assert!(left.is_empty(), "{left:?} is left\n{shown}");
        assert!(before.iter().all(|path| after.contains(path)), "something is gone\n{shown}");
        if self.looks_at_rules {
            let rules = self.stage.rules();
            // The chains of iptables' own that others may use stay.
            let left = rules.to_lowercase().contains("causeway");
            assert!(!left, "left in the packet filter:\n{rules}\n{shown}");
        }
        taken
    }
}

fn run(plugin: &str, folders: &[&str]) {
    let stage = Stage::new();
    let mut configs: Vec<Value> =
        folders.iter().flat_map(|folder| configurations(folder, plugin)).collect();
    let mut usual = stage.config(plugin);
    if let Some(ipam) = usual.get_mut("ipam").and_then(Value::as_object_mut) {
        ipam.remove("dataDir");
    }
    configs.extend(vec![usual; configs.len() + 1]);
    let seed = set("CAUSEWAY_SEED").unwrap_or(1);
    let mut numbers = Numbers::new(seed);
    let inputs = set("CAUSEWAY_INPUTS").unwrap_or(INPUTS);
    let odd = odd_values();
    let empty = stage.container.state();
    let mut taken = 0;
    for number in 0..inputs {
        let input = make(&mut numbers, &configs, &odd);
        // What is left stays: it need not be looked for after each.
        let looks_at_rules = number.is_multiple_of(20) || number + 1 == inputs;
        let number = format!("input {number} of seed {seed}");
        let trial = Trial { stage: &stage, plugin, input, number, looks_at_rules };
        taken += usize::from(trial.was_taken());
    }
    // `lo` may be up or down now; nothing else may be in the container.
    let links = |state: &str| state.lines().filter(|line| line.contains("eth0")).count();
    assert_eq!(links(&empty), links(&stage.container.state()));
    assert!((inputs / 50..inputs * 19 / 20).contains(&taken), "{taken} were taken");
}

#[test]
fn inputs_of_bridge() {
    run("bridge", &["testdata/bridge/invalid", "testdata/bridge/plan", "testdata/callers"]);
}

#[test]
fn inputs_of_host_local() {
    run(
        "host-local",
        &["testdata/callers", "testdata/host-local/conf", "testdata/host-local/invalid"],
    );
}

#[test]
fn inputs_of_static() {
    run("static", &["testdata/callers"]);
}

#[test]
fn inputs_of_tuning() {
    run("tuning", &[]);
}

#[test]
fn inputs_of_bandwidth() {
    run("bandwidth", &[]);
}

#[test]
fn inputs_of_portmap() {
    run("portmap", &[]);
}

#[test]
fn inputs_of_firewall() {
    run("firewall", &[]);
}

#[test]
fn inputs_of_loopback() {
    run("loopback", &[]);
}

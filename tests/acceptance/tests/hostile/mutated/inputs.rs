//! Inputs made from configurations by random changes, of values anywhere in the tree and of bytes.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use serde_json::{Value, json};
use testsupport::{Numbers, golden};

/// Every object at `config` of the files of a folder of `testdata/`, or the one of `plugin` in a list,
/// without what names a place outside of the throw-away host.
pub(super) fn configurations(folder: &str, plugin: &str) -> Vec<Value> {
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
pub(super) fn odd_values() -> Vec<Value> {
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
pub(super) struct Input {
    pub(super) stdin: Vec<u8>,
    pub(super) variable: Option<(&'static str, OsString)>,
}

pub(super) fn make(numbers: &mut Numbers, configs: &[Value], odd: &[Value]) -> Input {
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

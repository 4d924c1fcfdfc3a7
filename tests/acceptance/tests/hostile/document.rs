//! stdin as text: what is not one JSON object.

use testsupport::{Call, PLUGINS};

use crate::stage::{READERS, Stage};

const COMMANDS: [&str; 5] = ["ADD", "DEL", "CHECK", "GC", "STATUS"];

fn stdin(stage: &Stage, plugin: &str, command: &str, bytes: impl Into<Vec<u8>>) -> Call {
    stage.call(plugin, command).stdin(bytes)
}

#[test]
fn what_is_around_or_instead_of_the_object() {
    let stage = Stage::new();
    let valid = stage.config("bridge").to_string();
    let texts: [Vec<u8>; 14] = [
        b"".into(),
        b" \n\t ".into(),
        b"null".into(),
        b"7".into(),
        b"[{}]".into(),
        format!("\u{feff}{valid}").into(),
        format!("{valid}{valid}").into(),
        format!("{valid},").into(),
        format!("{valid}\0").into(),
        format!("\0{valid}").into(),
        format!("[{valid}]").into(),
        format!("{valid}\n//").into(),
        valid.replace(':', "=").into(),
        valid.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    ];
    for plugin in PLUGINS {
        for command in COMMANDS {
            for text in &texts {
                let call = stdin(&stage, plugin, command, text.clone());
                stage.refuses(&call, 6, &["network configuration: "]);
            }
        }
    }
    stage.unchanged();
}

#[test]
fn a_configuration_cut_short_anywhere() {
    let stage = Stage::new();
    for plugin in PLUGINS {
        let valid = stage.config(plugin).to_string();
        for length in 0..valid.len() {
            stage.refuses(&stdin(&stage, plugin, "ADD", &valid.as_bytes()[..length]), 6, &[]);
        }
    }
    stage.unchanged();
}

#[test]
fn bytes_that_no_json_text_has() {
    let stage = Stage::new();
    let bytes: [&[u8]; 7] =
        [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\0", b"\x1f", b"\\u12"];
    for plugin in PLUGINS {
        for byte in bytes {
            let text = [br#"{"cniVersion":"1.1.0","name":"net","x":""#, byte, br#""}"#].concat();
            stage.refuses(&stdin(&stage, plugin, "ADD", text), 6, &["network configuration: "]);
        }
        // Half of a pair is well-formed JSON and no text.
        let half = r#"{"cniVersion":"1.1.0","name":"\ud800"}"#;
        stage.refuses(&stdin(&stage, plugin, "ADD", half), 6, &["name: must be a string"]);
    }
    stage.unchanged();
}

#[test]
fn nesting_of_a_hundred_thousand_levels() {
    let stage = Stage::new();
    let deep =
        |open: &str, close: &str| format!("{}7{}", open.repeat(100_000), close.repeat(100_000));
    for value in [deep("[", "]"), deep(r#"{"a":"#, "}")] {
        for plugin in PLUGINS {
            stage.refuses(&stdin(&stage, plugin, "ADD", format!("[{value}")), 6, &[]);
            let text = format!(r#"{{"cniVersion":"1.1.0","name":{value}}}"#);
            stage.refuses(&stdin(&stage, plugin, "ADD", text), 6, &["name: must be a string"]);
        }
        for plugin in READERS {
            let keys: &[&str] = match plugin {
                "firewall" => &["prevResult"],
                "bandwidth" | "portmap" => &["runtimeConfig"],
                "tuning" => &["runtimeConfig", "args"],
                _ => &["ipam", "runtimeConfig", "args"],
            };
            for key in keys {
                let value = match value.starts_with('[') {
                    true => value.clone(),
                    false => format!("[{value}]"),
                };
                let text = format!(
                    r#"{{"cniVersion":"1.1.0","name":"n","ipam":{{"subnet":"10.1.0.0/24"}},"{key}":{value}}}"#
                );
                let says = format!("{key}: must be an object");
                stage.refuses(&stdin(&stage, plugin, "ADD", text), 6, &[&says]);
            }
        }
    }
    stage.unchanged();
}

#[test]
fn more_keys_than_a_configuration_has() {
    let stage = Stage::new();
    let keys: Vec<String> = (0..60_000).map(|number| format!("\"k{number}\":0")).collect();
    let text = format!("{{\"cniVersion\":\"1.1.0\",\"name\":\"net\",{}}}", keys.join(","));
    for plugin in PLUGINS {
        stage.refuses(&stdin(&stage, plugin, "ADD", text.clone()), 6, &["more than 4096 keys"]);
    }
    stage.unchanged();
}

#[test]
fn of_a_key_given_twice_the_last_counts() {
    let stage = Stage::new();
    for plugin in PLUGINS {
        let text = r#"{"cniVersion":"1.1.0","name":"net","name":"a/b"}"#;
        stage.refuses(&stdin(&stage, plugin, "ADD", text), 7, &["network name", "a/b"]);
        let text = r#"{"cniVersion":"1.1.0","cniVersion":"9","name":"net"}"#;
        stage.refuses(&stdin(&stage, plugin, "ADD", text), 1, &["incompatible", "\"9\""]);
    }
    let text = r#"{"cniVersion":"1.1.0","name":"net","mtu":1500,"mtu":-1}"#;
    stage.refuses(&stdin(&stage, "bridge", "ADD", text), 7, &["mtu", "-1"]);
    let text = r#"{"cniVersion":"1.1.0","name":"net",
        "ipam":{"subnet":"10.1.0.0/24","subnet":"10.1.0.0/31","dataDir":"/nowhere"}}"#;
    stage.refuses(&stdin(&stage, "host-local", "ADD", text), 7, &["10.1.0.0/31 too small"]);
    stage.unchanged();
}

//! What comes on stdin.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use testsupport::example;

use super::{Journal, call, config, with};

const VERSIONS: [&str; 7] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

#[test]
fn version_needs_nothing_from_stdin() {
    let supported = json!(VERSIONS);
    for (stdin, version) in [
        (&b""[..], "1.1.0"),
        (b"{}", "1.1.0"),
        (b"not json", "1.1.0"),
        (b"\xff\xfe", "1.1.0"),
        (b"{\"cniVersion\":\"\"}", "1.1.0"),
        (b"{\"cniVersion\":7}", "1.1.0"),
        (b"{\"cniVersion\":\"0.3.1\"}", "0.3.1"),
        (b"{\"cniVersion\":\"1.0.0\",\"name\":\"net\"}", "1.0.0"),
        // What a newer caller speaks is not for this plugin to judge here.
        (b"{\"cniVersion\":\"1.2.0\"}", "1.2.0"),
    ] {
        let answer = call("VERSION").stdin(stdin).run();
        let expected = json!({"cniVersion": version, "supportedVersions": supported});
        assert_eq!(answer.expect_success().json(), expected, "{answer}");
    }
}

#[test]
fn what_is_not_one_json_object_is_code_6() {
    for stdin in [
        &b""[..],
        b"null",
        b"[]",
        b"\"net\"",
        b"{",
        b"{}{}",
        b"{\"name\":\"net\",}",
        b"{'name':'net'}",
        b"{\"name\":\"net\"}\0",
        b"\0",
        b"{\"name\":\"\xff\"}",
    ] {
        for command in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
            let message = call(command).stdin(stdin).run().expect_error(6);
            assert!(message.starts_with("network configuration: "), "{message}");
        }
    }
}

#[test]
fn a_value_of_another_type_is_code_6_and_names_the_key() {
    for (key, value, message) in [
        ("name", json!(7), "name: must be a string, got 7"),
        ("cniVersion", json!(1.1), "cniVersion: must be a string, got 1.1"),
        ("prevResult", json!([]), "prevResult: must be an object, got []"),
    ] {
        let answer = call("ADD").config(with(config(), key, value)).run();
        assert_eq!(answer.expect_error(6), message);
    }
}

#[test]
fn a_network_has_a_name_that_is_not_a_path() {
    for nameless in [json!({}), json!({"name": ""}), json!({"name": null, "cniVersion": "9"})] {
        assert_eq!(call("DEL").config(nameless).run().expect_error(7), "missing network name");
    }
    for name in ["../x", "a/b", "a\0", "é", "-a", "a b"] {
        let answer = call("DEL").config(with(config(), "name", name)).run();
        assert_eq!(answer.expect_error(7), "invalid characters found in network name");
        assert_eq!(answer.details(), format!("\"name\": {name:?}"));
    }
}

#[test]
fn every_version_is_spoken_and_no_other() {
    for version in VERSIONS {
        call("DEL").config(with(config(), "cniVersion", version)).run().expect_silent_success();
    }
    for version in ["0.3.2", "1.2.0", "2.0.0", "1.1", "v1.1.0"] {
        let answer = call("DEL").config(with(config(), "cniVersion", version)).run();
        assert_eq!(answer.expect_error(1), "incompatible CNI versions");
        assert!(answer.details().contains(&format!("config is {version:?}")), "{answer}");
    }
}

#[test]
fn a_command_is_refused_below_the_version_that_brought_it() {
    for (command, since) in [("CHECK", "0.4.0"), ("GC", "1.1.0"), ("STATUS", "1.1.0")] {
        let journal = Journal::new();
        for version in VERSIONS {
            let answer = call(command).config(with(journal.config(), "cniVersion", version)).run();
            if version >= since {
                answer.expect_silent_success();
                continue;
            }
            let message = answer.expect_error(1);
            assert_eq!(message, format!("config version does not allow {command}"));
            // Other suites' tests and callers compare the whole text.
            assert_eq!(answer.details(), "");
        }
        let served = VERSIONS.iter().filter(|version| **version >= since).count();
        assert_eq!(journal.lines().len(), served);
    }
}

#[test]
fn a_missing_version_is_0_1_0() {
    let mut config = config();
    config["cniVersion"].take();
    let message = call("CHECK").config(&config).run().expect_error(1);
    assert_eq!(message, "config version does not allow CHECK");
}

#[test]
fn gc_takes_either_key_and_tells_a_missing_list_from_an_empty_one() {
    let live =
        json!([{"containerID": "a", "ifname": "eth0"}, {"containerID": "b", "ifname": "eth0"}]);
    for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        let journal = Journal::new();
        let mut config = journal.config();
        config.as_object_mut().unwrap().remove("cni.dev/valid-attachments");
        call("GC").config(&config).run().expect_silent_success();
        call("GC").config(with(config.clone(), key, live.clone())).run().expect_silent_success();
        call("GC").config(with(config, key, json!([]))).run().expect_silent_success();
        assert_eq!(journal.lines(), ["gc, unknown live", "gc, 2 live", "gc, 0 live"]);
    }
}

#[test]
fn keys_are_found_in_any_case_and_the_last_of_two_counts() {
    let journal = Journal::new();
    let path = journal.config()["journal"].clone();
    for text in [
        format!(r#"{{"CNIVersion":"1.1.0","Name":"net","Journal":{path}}}"#),
        format!(r#"{{"name":"no","name":"net","journal":{path}}}"#),
        format!(r#"{{"name":"net","NAME":"no","unknown":[{{}}],"journal":{path}}}"#),
    ] {
        call("DEL").stdin(text).run().expect_silent_success();
    }
    assert_eq!(journal.lines(), ["del net/c1/eth0"; 3]);
}

#[test]
fn a_hundred_megabytes_are_refused_and_not_stored() {
    let padding = "x".repeat(100 << 20);
    let huge = format!(r#"{{"cniVersion":"1.1.0","name":"net","padding":"{padding}"}}"#);
    let short = Duration::from_secs(20);
    for command in ["ADD", "GC"] {
        let message = call(command).stdin(huge.clone()).limit(short).run().expect_error(6);
        assert!(message.contains("bytes on stdin"), "{message}");
    }
    call("VERSION").stdin(huge).limit(short).run().expect_success();
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let text =
        |key: &str| format!(r#"{{"cniVersion":"1.1.0","name":"net","{key}":{}}}"#, deep(400_000));
    call("ADD").stdin(text("unknown")).run().expect_success();
    call("ADD").stdin(text("prevResult")).run().expect_error(6);
    call("GC").stdin(text("cni.dev/valid-attachments")).run().expect_error(7);
    call("ADD").stdin(deep(400_000)).run().expect_error(6);
    let nested = format!(r#"{{"name":"net","prevResult":{{"dns":{{"x":{}}}}}}}"#, deep(400_000));
    call("ADD").stdin(nested).run().expect_error(7);
}

#[test]
fn a_closed_or_unreadable_stdin_is_answered() {
    let answer = |command: &str, stdin: Stdio| {
        let output = call(command).process().stdin(stdin).output().unwrap();
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), object["code"].as_u64())
    };
    let folder = || Stdio::from(File::open("/").unwrap());
    assert_eq!(answer("ADD", Stdio::null()), (Some(1), Some(6)));
    assert_eq!(answer("ADD", folder()), (Some(1), Some(5)));
    assert_eq!(answer("VERSION", folder()), (Some(0), None));
    let closed = Command::new("sh")
        .args(["-c".as_ref(), "exec \"$0\" <&-".as_ref(), example("probe").as_os_str()])
        .env("CNI_COMMAND", "VERSION")
        .output();
    assert!(closed.unwrap().status.success());
}

#[test]
fn version_does_not_wait_for_an_end_of_stdin() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(br#"{"cniVersion":"0.4.0"}"#).unwrap();
    let output = call("VERSION").process().stdin(reader).output().unwrap();
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["cniVersion"], "0.4.0");
    // Open to here.
    drop(writer);
}

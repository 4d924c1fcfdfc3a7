//! The `CNI_*` variables.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::{Journal, call, config, with};
use testsupport::{Call, example};

#[test]
fn a_bare_call_says_name_and_versions_on_stderr_and_succeeds() {
    for bare in [Call::of(example("probe")), call("").config("{not json")] {
        let answer = bare.run();
        answer.expect_silent_success();
        let text = concat!(
            "CNI probe plugin v",
            env!("CARGO_PKG_VERSION"),
            "\nCNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n"
        );
        assert_eq!(answer.stderr(), text);
    }
}

#[test]
fn every_missing_variable_is_reported_at_once() {
    let nothing = |command| Call::of(example("probe")).command(command).config(config()).run();
    for (command, missing) in [
        ("ADD", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME"),
        ("CHECK", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME"),
        ("DEL", "CNI_CONTAINERID,CNI_IFNAME"),
    ] {
        let message = nothing(command).expect_error(4);
        assert_eq!(message, format!("required env variables [{missing}] missing"));
    }
    for command in ["GC", "STATUS"] {
        nothing(command).expect_silent_success();
    }
    nothing("VERSION").expect_success();
}

#[test]
fn an_empty_variable_is_a_missing_one() {
    let journal = Journal::new();
    let without = |command, name| call(command).env(name, "").config(journal.config()).run();
    for name in ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"] {
        for command in ["ADD", "CHECK"] {
            let message = without(command, name).expect_error(4);
            assert_eq!(message, format!("required env variables [{name}] missing"));
        }
    }
    assert_eq!(journal.lines(), [""; 0]);
    without("DEL", "CNI_NETNS").expect_silent_success();
    assert_eq!(journal.lines(), ["del net/c1/eth0"]);
}

#[test]
fn an_unknown_command_is_refused_by_name() {
    for word in ["FOO", "add", "ADD ", "UPDATE"] {
        let message = call(word).config(config()).run().expect_error(4);
        assert_eq!(message, format!("unknown CNI_COMMAND: {word}"));
    }
}

#[test]
fn a_container_id_follows_the_pattern() {
    let journal = Journal::new();
    for id in ["../x", "a/b", "-a", "_a", ".", "a b", "a;b", "é", "a\n"] {
        for command in ["ADD", "DEL", "CHECK"] {
            let answer = call(command).container_id(id).config(journal.config()).run();
            let message = answer.expect_error(4);
            assert_eq!(message, "CNI_CONTAINERID: invalid characters in containerID");
            assert_eq!(answer.details(), id);
        }
    }
    assert_eq!(journal.lines(), [""; 0]);
    let longest = "a".repeat(4096);
    call("DEL").container_id(&longest).config(config()).run().expect_silent_success();
}

#[test]
fn an_interface_name_is_one_the_kernel_takes() {
    let journal = Journal::new();
    for (name, fault) in [
        ("sixteen_bytes_xx", "interface name is too long (15 bytes at most)"),
        (".", "interface name is . or .."),
        ("..", "interface name is . or .."),
        ("a/b", "interface name contains / or : or whitespace characters"),
        ("a:b", "interface name contains / or : or whitespace characters"),
        ("a\tb", "interface name contains / or : or whitespace characters"),
    ] {
        for command in ["ADD", "DEL", "CHECK"] {
            let answer = call(command).ifname(name).config(journal.config()).run();
            assert_eq!(answer.expect_error(4), format!("CNI_IFNAME: {fault}"));
            assert_eq!(answer.details(), name);
        }
    }
    assert_eq!(journal.lines(), [""; 0]);
    call("DEL").ifname("fifteen_bytes_x").config(config()).run().expect_silent_success();
}

#[test]
fn a_variable_that_is_not_utf_8_is_named() {
    let bytes = OsStr::from_bytes(b"a\xff");
    for name in ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_ARGS"] {
        let answer = call("ADD").env(name, bytes).config(config()).run();
        assert_eq!(answer.expect_error(4), format!("{name} is not UTF-8"));
    }
}

#[test]
fn a_path_need_not_be_utf_8() {
    let bytes = OsStr::from_bytes(b"/run/\xff");
    let call = call("DEL").env("CNI_NETNS", bytes).env("CNI_PATH", bytes);
    call.config(config()).run().expect_silent_success();
}

#[test]
fn variables_that_a_command_does_not_need_are_not_looked_at() {
    for command in ["GC", "STATUS", "VERSION"] {
        let call = call(command).container_id("../x").ifname("a/b").netns_path("dummy");
        call.config(config()).run().expect_success();
    }
    // libcni hands these on to every plugin.
    let traced = call("DEL").env("TRACEPARENT", "00-1-2-01").env("BAGGAGE", "k=v");
    traced.config(with(config(), "addIf", "eth0")).run().expect_silent_success();
}

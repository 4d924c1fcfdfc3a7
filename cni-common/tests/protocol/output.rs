//! What a plugin answers, and what it does when nobody can hear the answer.

use std::fs::File;
use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::json;

use super::{Journal, call, config, with};

#[test]
fn only_add_and_version_answer_on_stdout() {
    let journal = Journal::new();
    for command in ["DEL", "CHECK", "GC", "STATUS"] {
        call(command).config(journal.config()).run().expect_silent_success();
    }
    let answer = call("ADD").config(journal.config()).run();
    assert_eq!(answer.expect_success().json(), json!({"cniVersion": "1.1.0"}));
    assert_eq!(answer.stderr(), "");
    assert_eq!(
        journal.lines(),
        [
            "del net/c1/eth0",
            "check net/c1/eth0",
            "gc, 0 live",
            "status",
            "add net/c1/eth0 in /run/netns/blue"
        ]
    );
}

#[test]
fn an_error_is_one_object_in_the_callers_version() {
    for (command, version) in [
        ("ADD", "0.1.0"),
        ("DEL", "0.3.1"),
        ("CHECK", "0.4.0"),
        ("GC", "1.1.0"),
        ("STATUS", "1.1.0"),
    ] {
        let config = with(with(config(), "fault", "error"), "cniVersion", version);
        let answer = call(command).config(config).run();
        assert_eq!(answer.expect_error(100), "asked to fail");
        let expected = json!({
            "cniVersion": version, "code": 100, "msg": "asked to fail",
            "details": "a\nline, a \"quote\"",
        });
        assert_eq!(answer.json(), expected);
        assert!(answer.stdout().contains("\n    \"code\": 100,\n"), "{answer}");
        assert_eq!(answer.stderr(), "");
    }
}

#[test]
fn a_panic_is_answered_as_error_999() {
    for command in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
        let answer = call(command).config(with(config(), "fault", "panic")).run();
        let message = answer.expect_error(999);
        assert_eq!(message, "internal error: the plugin panicked");
        assert!(answer.details().starts_with("asked to \"panic\" at "), "{answer}");
        assert!(answer.details().contains("probe.rs:"), "{answer}");
        assert_eq!(answer.stderr(), "");
    }
}

#[test]
fn an_add_is_undone_after_a_panic_as_after_an_error() {
    for (fault, code) in [("late panic", 999), ("late error", 100)] {
        let journal = Journal::new();
        let answer = call("ADD").config(with(journal.config(), "fault", fault)).run();
        answer.expect_error(code);
        assert_eq!(journal.lines(), ["add net/c1/eth0 in /run/netns/blue", "undo"]);
    }
}

#[test]
fn a_result_that_the_version_cannot_say_undoes_the_add() {
    let journal = Journal::new();
    let answer = call("ADD").config(with(journal.config(), "cniVersion", "0.2.0")).run();
    assert_eq!(answer.expect_error(7), "cannot convert: no valid IP addresses");
    assert_eq!(journal.lines(), ["add net/c1/eth0 in /run/netns/blue", "undo"]);
}

#[test]
fn what_could_not_be_undone_is_in_the_details() {
    let config = with(with(config(), "cniVersion", "0.2.0"), "fault", "unundoable");
    let answer = call("ADD").config(config).run();
    assert_eq!(answer.expect_error(7), "cannot convert: no valid IP addresses");
    assert_eq!(answer.details(), "while undoing: the step is stuck");
}

/// ADD with its answer going to `stdout`.
fn add_into(stdout: Stdio, journal: &Journal) -> Output {
    let mut child = call("ADD").process().stdin(Stdio::piped()).stdout(stdout).spawn().unwrap();
    child.stdin.take().unwrap().write_all(journal.config().to_string().as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_full_stdout_undoes_the_add() {
    let journal = Journal::new();
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(add_into(full.into(), &journal).status.code(), Some(1));
    assert_eq!(journal.lines(), ["add net/c1/eth0 in /run/netns/blue", "undo"]);
}

#[test]
fn a_pipe_that_nobody_reads_undoes_the_add() {
    let journal = Journal::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(add_into(writer.into(), &journal).status.code(), Some(1));
    assert_eq!(journal.lines(), ["add net/c1/eth0 in /run/netns/blue", "undo"]);
}

#[test]
fn a_heard_add_is_not_undone() {
    let journal = Journal::new();
    assert_eq!(add_into(Stdio::null(), &journal).status.code(), Some(0));
    assert_eq!(journal.lines(), ["add net/c1/eth0 in /run/netns/blue"]);
}

//! The standard streams themselves: without end, too long, closed, full, or something else than pipes.

use std::fs::{File, OpenOptions};
use std::process::{Command, Stdio};

use testsupport::{Answer, Call, PLUGINS, Usage};

use crate::stage::{Stage, measured, refused, small};

const HUGE: usize = 100 << 20;

#[test]
fn a_hundred_megabytes() {
    let stage = Stage::new();
    let text = |lead: &str, fill: &str, end: &str| {
        let mut text = String::with_capacity(HUGE + 100);
        text.push_str(lead);
        while text.len() < HUGE {
            text.push_str(fill);
        }
        text.push_str(end);
        text.into_bytes()
    };
    let shapes = [
        text(r#"{"cniVersion":"1.1.0","name":"net","x":""#, &"x".repeat(1 << 16), "\"}"),
        text("", &"[".repeat(1 << 16), ""),
        text("", &" ".repeat(1 << 16), "{}"),
    ];
    for shape in shapes {
        for plugin in PLUGINS {
            for command in ["ADD", "GC"] {
                let call = stage.call(plugin, command).stdin(shape.clone());
                stage.refuses(&call, 6, &["more than", "bytes on stdin"]);
            }
        }
    }
    stage.unchanged();
}

/// The call with a stdin that never ends.
fn endless(call: &Call) -> (Answer, Usage) {
    let redirect = |process: &mut Command| {
        process.stdin(File::open("/dev/zero").unwrap());
    };
    measured(|| call.measured_redirected(redirect))
}

#[test]
fn a_stdin_without_end() {
    let stage = Stage::new();
    for plugin in PLUGINS {
        for command in ["ADD", "DEL", "CHECK", "GC", "STATUS"] {
            let (answer, usage) = endless(&stage.call(plugin, command));
            refused(&answer, usage, 6, &["more than", "bytes on stdin"]);
        }
        let (answer, usage) = endless(&stage.call(plugin, "VERSION"));
        answer.expect_success();
        small(usage, &answer);
    }
    stage.unchanged();
}

#[test]
fn a_stdin_that_can_not_be_read() {
    let stage = Stage::new();
    let write_only = || OpenOptions::new().write(true).open("/dev/null").unwrap();
    for plugin in PLUGINS {
        let run = |stdin: Stdio, code| {
            let (answer, usage) = stage.call(plugin, "ADD").measured_redirected(|process| {
                process.stdin(stdin);
            });
            refused(&answer, usage, code, &[]);
        };
        run(Stdio::from(File::open("/").unwrap()), 5);
        // For Rust one that can't be read at all is empty.
        run(Stdio::from(write_only()), 6);
    }
    stage.unchanged();
}

/// Runs `call` by way of a shell that redirects what Rust can't; its output beside what it used.
fn through_shell(call: &Call, redirections: &str) -> std::process::Output {
    let plain = call.process();
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(format!("exec \"$0\" {redirections}")).arg(plain.get_program());
    shell.env_clear();
    for (name, value) in plain.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    shell.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn closed_streams() {
    let stage = Stage::new();
    for plugin in PLUGINS {
        for command in ["ADD", "DEL", "GC"] {
            let call = stage.call(plugin, command);
            let output = through_shell(&call, "<&-");
            let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let code = answer["code"].as_u64().unwrap();
            assert!(matches!(code, 5 | 6), "{plugin} {command}: {answer}");
            assert_eq!(output.status.code(), Some(1));
            // Nothing is left to answer on but the exit status.
            assert_eq!(through_shell(&call, "<&- >&- 2>&-").status.code(), Some(1));
        }
    }
    stage.unchanged();
}

/// A result that can't be written is one that nobody hears of: the ADD is rolled back.
#[test]
fn an_answer_that_nobody_takes() {
    let mut stage = Stage::new();
    let input = stage.folder().join("in");
    for plugin in PLUGINS {
        std::fs::write(&input, stage.config(plugin).to_string()).unwrap();
        // What the first call makes and keeps (the pool's folder, sysctls) is not what is tested.
        stage.call(plugin, "ADD").run().expect_success();
        stage.call(plugin, "DEL").run().expect_silent_success();
        let pool = stage.pools().join("net");
        let leases = || {
            let entries = std::fs::read_dir(&pool).into_iter().flatten().flatten();
            entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("10.")).count()
        };
        stage.host.finish(["ip", "link", "delete", "br0"]);
        let links = || (stage.host.state(), stage.container.state(), stage.rules());
        let before = links();
        for redirection in [">/dev/full", "1</dev/null", ">&-", ">&- 2>&-"] {
            let stdin = format!("<{} {redirection}", input.display());
            let output = through_shell(&stage.call(plugin, "ADD"), &stdin);
            assert_eq!(output.status.code(), Some(1), "{plugin} {redirection}");
            assert_eq!(leases(), 0, "{plugin} {redirection}");
            assert_eq!(links(), before, "{plugin} {redirection}");
        }
    }
    stage.settle();
}

/// Whoever passes `/dev/null` wants no answer, and the attachment all the same.
#[test]
fn an_answer_that_is_not_wanted() {
    let mut stage = Stage::new();
    let input = stage.folder().join("in");
    for plugin in PLUGINS {
        std::fs::write(&input, stage.config(plugin).to_string()).unwrap();
        for redirection in [">/dev/null", ">/dev/null 2>&-", ">>/dev/null 2>&1"] {
            let stdin = format!("<{} {redirection}", input.display());
            let output = through_shell(&stage.call(plugin, "ADD"), &stdin);
            assert_eq!(output.status.code(), Some(0), "{plugin} {redirection}");
            stage.call(plugin, "DEL").run().expect_silent_success();
        }
    }
    stage.settle();
}

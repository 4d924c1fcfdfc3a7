//! The executable: exit status, reports, and a plugin that is not known.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};
use testsupport::{Host, bin_dir, example, write_program};

/// A folder of plugins with a place for reports, gone when dropped.
struct Place(PathBuf);

impl Place {
    fn new(fault: &str) -> Self {
        let place =
            env::temp_dir().join(format!("causeway-program-{}-{fault}", std::process::id()));
        let folder = place.join(fault);
        fs::create_dir_all(&folder).unwrap();
        symlink(example("wrong"), folder.join("static")).unwrap();
        symlink(bin_dir(), folder.join("right")).unwrap();
        symlink(bin_dir().join("bridge"), folder.join("mine")).unwrap();
        Self(place)
    }

    fn run(&self, fault: &str, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-conformance"));
        let folder = self.0.join(fault);
        command.arg("--bin").arg(folder).args(["--spec", "1.1.0"]).args(words).output().unwrap()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_broken_must_is_status_1_and_in_every_report() {
    let place = Place::new("status-fails");
    let (json, xml) = (place.path("report.json"), place.path("report.xml"));
    let words = ["--plugin", "static", "--report", &json, "--report", &xml];
    let output = place.run("status-fails", &words);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("static: status-succeeds (2 STATUS; 1.1.0)"));
    let report: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(report["failed"], json!({"must": 1, "should": 0, "habit": 0}));
    let checks = report["plugins"][0]["checks"].as_array().unwrap();
    let failed: Vec<&Value> = checks.iter().filter(|one| one["outcome"] == "failed").collect();
    assert_eq!((failed.len(), &failed[0]["name"]), (1, &json!("status-succeeds")));
    let xml = fs::read_to_string(xml).unwrap();
    let count = |word: &str| xml.matches(word).count();
    assert_eq!((count("<testcase "), count("</testcase>")), (checks.len(), checks.len()));
    assert_eq!(count("<failure message=\"MUST, 2 STATUS: STATUS: exit status 1"), 1, "{xml}");
    assert!(xml.contains(&format!("tests=\"{}\" failures=\"1\"", checks.len())), "{xml}");
}

#[test]
fn a_broken_should_is_status_1_only_where_asked_for() {
    let place = Place::new("variables-are-code-999");
    for (words, status) in [(vec![], 0), (vec!["--strict"], 1)] {
        let words: Vec<&str> = ["--plugin", "static"].into_iter().chain(words).collect();
        let output = place.run("variables-are-code-999", &words);
        assert_eq!(output.status.code(), Some(status), "{}", text(&output.stdout));
    }
}

#[test]
fn a_plugin_that_is_not_known_is_run_with_ones_own_configuration() {
    let place = Place::new("none");
    let output = place.run("none", &["--plugin", "mine"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stdout).contains("give a configuration with --config"));
    let own = json!({"type": "mine", "bridge": "br0",
        "ipam": {"type": "conformance-ipam", "address": "10.77.0.@n/24"}});
    let file = place.path("mine.json");
    fs::write(&file, own.to_string()).unwrap();
    let output = place.run("none", &["--plugin", "mine", "--config", &file, "--strict"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
}

#[test]
fn a_reader_that_has_gone_away_wants_no_more() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-conformance"));
    let listed = command.arg("--list").stdout(writer).output().unwrap();
    assert_eq!((listed.status.code(), text_of(&listed).as_str()), (Some(0), ""));
}

#[test]
fn what_is_wrong_with_the_command_line_is_said_before_anything_is_run() {
    let place = Place::new("add-fails");
    let file = place.path("wrong.json");
    fs::write(&file, r#"{"type": "mine", "conformance": {"role": "main"}}"#).unwrap();
    for (words, says) in [
        (["--report", "report.txt"], "reports are .json or .xml"),
        (["--plugin", "nobody"], "there is no plugin nobody"),
        (["--config", &file], "conformance.role \"main\""),
        (["--spec", "0.3.1"], "no rules for \"0.3.1\""),
    ] {
        let output = place.run("add-fails", &words);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
        assert!(text(&output.stderr).contains(says), "{}", text(&output.stderr));
    }
}

/// The executable, where it finds these programs and plugins only.
fn bare(path: &str, plugins: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-conformance"));
    command.env_clear().env("PATH", path).env("CNI_PATH", plugins);
    command
}

#[test]
fn it_leaves_the_network_that_it_is_started_in_and_finds_programs_of_the_system() {
    let place = Place::new("leaves");
    let folder = place.0.join("leaves");
    fs::remove_file(folder.join("static")).unwrap();
    let (seen, right) = (place.path("seen"), bin_dir().join("static"));
    let text = format!(
        "#!/bin/sh\nreadlink /proc/$PPID/ns/net /proc/self/ns/net >{seen}\nexec {}\n",
        right.display()
    );
    write_program(folder.join("static"), &text);
    let folders = format!("{}:/nonexistent", folder.display());
    let words = ["--plugin", "static", "--spec", "1.1.0", "--json"];
    let output = bare("/usr/bin:/bin", &folders).args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["plugins"][0]["name"], "static");
    let own = fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
    let seen = fs::read_to_string(seen).unwrap();
    let seen: Vec<&str> = seen.lines().collect();
    assert!(seen.len() == 2 && !seen.contains(&own.as_str()), "{own} {seen:?}");
}

#[test]
fn what_it_lacks_is_named() {
    let output = bare("/nonexistent", "/nonexistent").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let expected = "missing in PATH: nsenter, find (Debian: apt-get install util-linux findutils)";
    assert!(text_of(&output).contains(expected), "{}", text_of(&output));

    let host = Host::new();
    let hidden = host.temp_dir().join("plugins").display().to_string();
    fs::create_dir(&hidden).unwrap();
    let output = bare("/usr/bin:/bin", &hidden).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text_of(&output).contains("another /run and /var/lib"), "{}", text_of(&output));

    let place = Place::new("no-program");
    let folder = place.0.join("no-program");
    fs::remove_file(folder.join("static")).unwrap();
    write_program(folder.join("static"), "\u{7f}ELF, or so it says");
    // However long the environment is, of which only so much of a message could be shown.
    let path = format!("/usr/bin:/bin{}", ":/nonexistent".repeat(100));
    let words = ["--plugin", "static"];
    let output = bare(&path, &folder.display().to_string()).args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let expected = format!("start {}: Exec format error", folder.join("static").display());
    assert!(text(&output.stdout).contains(&expected), "{}", text_of(&output));
}

fn text_of(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

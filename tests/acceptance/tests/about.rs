//! What every executable says of itself to a person.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use testsupport::{PLUGINS, executable};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// By all: plugins that stand behind others know no older ones.
const SPOKEN: &str = "0.4.0, 1.0.0, 1.1.0\n";

fn call(name: &str, arguments: &[&str], command: &str) -> Output {
    let mut call = Command::new(executable(name));
    call.args(arguments).env_clear().env("CNI_COMMAND", command).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn every_executable_tells_its_version_those_of_the_protocol_and_where_it_is_explained() {
    for name in PLUGINS.iter().chain(&["causeway", "causeway-conformance"]) {
        for argument in ["--version", "--help"] {
            let output = call(name, &[argument], "");
            assert!(output.status.success(), "{name} {argument}: {output:?}");
            assert_eq!(text(&output.stderr), "", "{name} {argument}");
            let said = text(&output.stdout).to_lowercase();
            for part in [&format!("causeway {VERSION}"), SPOKEN, "/usr/share/doc/causeway"] {
                assert!(said.contains(part), "{name} {argument} does not say {part}: {said}");
            }
        }
    }
}

#[test]
fn version_begins_with_the_lines_of_a_bare_call() {
    for name in PLUGINS {
        let bare = call(name, &[], "");
        let lines = text(&bare.stderr);
        let first = format!("CNI {name} plugin v{VERSION}\nCNI protocol versions supported: ");
        assert!(lines.starts_with(&first) && lines.ends_with(SPOKEN), "{lines}");
        assert_eq!((text(&bare.stdout), lines.lines().count()), ("", 2));
        for short in ["--version", "-V"] {
            assert!(text(&call(name, &[short], "").stdout).starts_with(lines), "{name} {short}");
        }
        assert_eq!(call(name, &["daemon"], ""), bare);
    }
}

#[test]
fn help_says_what_each_command_requires() {
    for name in PLUGINS {
        let output = call(name, &["-h"], "");
        let said = text(&output.stdout);
        let required = |line: &&str| line.trim_start().starts_with("CNI_COMMAND=ADD ");
        let add = said.lines().find(required).unwrap();
        assert!(add.contains("CNI_CONTAINERID CNI_NETNS CNI_IFNAME"), "{name}: {said}");
        assert!(said.contains(&format!("CNI_COMMAND=VERSION {name}")), "{name}: {said}");
    }
}

#[test]
fn a_runtime_s_call_looks_at_no_argument() {
    for name in PLUGINS {
        for argument in ["--version", "--help"] {
            let output = call(name, &[argument], "VERSION");
            assert_eq!(output, call(name, &[], "VERSION"), "{name} {argument}");
            assert!(text(&output.stdout).contains("supportedVersions"), "{name}: {output:?}");
            let refused = call(name, &[argument], "FOO");
            assert!(text(&refused.stdout).contains("unknown CNI_COMMAND: FOO"), "{refused:?}");
        }
    }
}

/// The page is written by the tool, which knows the suite as a program alone.
#[test]
fn the_page_of_the_conformance_suite_names_all_its_options() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    let written = call("causeway", &["man", folder.to_str().unwrap()], "");
    assert!(written.status.success(), "{written:?}");
    let page = fs::read_to_string(folder.join("causeway-conformance.1")).unwrap();
    // Hyphens, and changes of the font.
    let page = page.replace("\\-", "-").replace("\\fB", " ").replace("\\fR", " ");
    let is_between = |letter: char| !letter.is_ascii_alphabetic() && letter != '-';
    let words: Vec<&str> = page.split(is_between).collect();
    let help = call("causeway-conformance", &["--help"], "");
    let lines = text(&help.stdout).lines().filter(|line| line.trim_start().starts_with('-'));
    let mut options = 0;
    for option in lines.filter_map(|line| line.split(' ').find(|word| word.starts_with("--"))) {
        assert!(words.contains(&option), "{option} is not in {page}");
        options += 1;
    }
    assert!(options > 8, "{options} in {}", text(&help.stdout));
}

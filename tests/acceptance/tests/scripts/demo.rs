//! The walkthrough, with the executables that are tested, and what README.md shows of it.

use std::process::Command;

use testsupport::{bin_dir, golden};

#[test]
fn the_readme_shows_what_the_demo_prints() {
    let output =
        Command::new(golden::path("scripts/demo")).env("CNI_BIN_DIR", bin_dir()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{said}");
    let readme = golden::read("README.md");
    let section = readme.split_once("## See it work").unwrap().1;
    let (_, shown) = section.split_once("```text\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    assert!(shown.lines().count() > 30, "{shown}");
    // A part of it, in the order of all of it.
    let mut lines = printed.lines();
    for line in shown.lines() {
        assert!(lines.any(|one| one == line), "not printed, or not there: {line:?}\n{printed}");
    }
}

//! `--help` of every script.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use testsupport::golden;

use crate::tools;

/// The files in these folders that can be called, by their paths in the checkout.
fn scripts() -> Vec<String> {
    let mut scripts = Vec::new();
    for folder in ["scripts", ".ci"] {
        for entry in fs::read_dir(golden::path(folder)).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.metadata().unwrap();
            if kind.is_file() && kind.permissions().mode() & 0o111 != 0 {
                scripts.push(format!("{folder}/{}", entry.file_name().into_string().unwrap()));
            }
        }
    }
    scripts
}

#[test]
fn every_script_says_what_it_is_for_and_shows_a_call_before_it_looks_for_anything() {
    let scripts = scripts();
    assert!(scripts.len() >= 14, "{scripts:?}");
    for script in scripts {
        for argument in ["--help", "-h"] {
            let mut call = tools::call(&script, &["bash", "dirname", "sed"]);
            let output = call.arg(argument).output().unwrap();
            let (said, complained) = (text(&output.stdout), text(&output.stderr));
            assert!(output.status.success(), "{script} {argument}: {complained}");
            assert_eq!(complained, "", "{script} {argument}");
            assert!(said.starts_with(char::is_uppercase), "{script} {argument}: {said}");
            let is_call = |line: &str| line.trim_start() != line && line.contains(&script);
            assert!(said.lines().any(is_call), "{script} {argument} shows no call: {said}");
        }
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

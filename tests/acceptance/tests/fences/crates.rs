//! Between the crates: what is shipped stands on `cni-common`, and on no test.

use std::fs;
use std::path::Path;

use testsupport::golden;

use crate::source::crate_folders;

/// The crates of the workspace that a manifest names in the section `[section]`.
fn named(folder: &Path, section: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let after = text.split(&format!("\n[{section}]\n")).nth(1).unwrap_or_default();
    let lines = after.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', ' ', '=']).next());
    let own = workspace();
    names.filter(|name| own.iter().any(|one| one == name)).map(str::to_owned).collect()
}

/// The names of all crates of the workspace, by its manifest, and of those tests that no other names.
fn workspace() -> Vec<String> {
    let text = golden::read("Cargo.toml");
    let own = text.lines().filter(|line| line.contains("path = "));
    let names = own.filter_map(|line| line.split(' ').next()).map(str::to_owned);
    names
        .chain(["acceptance", "bench", "conformance", "faults", "invariants"].map(str::to_owned))
        .collect()
}

/// A folder from the root of the repository.
fn shown(folder: &Path) -> String {
    folder.strip_prefix(golden::path("")).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_crate_that_is_shipped_stands_on_those_below_it() {
    for folder in crate_folders() {
        let shown = shown(&folder);
        let allowed: &[&str] = match shown.as_str() {
            "cni-common" | "cni-runtime" => &[],
            // It runs this suite's own IPAM plugins in its own process.
            "plugins/bridge" => &["cni-common", "causeway-host-local", "causeway-static"],
            // What it tells of a plugin it asks of the plugin's own code.
            "tools/causeway" => &[
                "cni-common",
                "cni-runtime",
                "causeway-bandwidth",
                "causeway-bridge",
                "causeway-firewall",
                "causeway-host-local",
                "causeway-portmap",
            ],
            _ => &["cni-common"],
        };
        for name in named(&folder, "dependencies") {
            assert!(allowed.contains(&name.as_str()), "{shown} depends on {name}");
        }
    }
}

#[test]
fn the_tests_of_a_crate_stand_on_no_plugin_either() {
    for folder in crate_folders() {
        for name in named(&folder, "dev-dependencies") {
            let is_support = matches!(name.as_str(), "testsupport" | "cni-runtime");
            assert!(is_support, "the tests of {} depend on {name}", shown(&folder));
        }
    }
}

#[test]
fn what_helps_tests_knows_no_plugin() {
    let support = golden::path("tests/support");
    for section in ["dependencies", "dev-dependencies"] {
        assert_eq!(named(&support, section), Vec::<String>::new());
    }
}

#[test]
fn every_crate_is_looked_at() {
    let text = golden::read("Cargo.toml");
    for folder in crate_folders() {
        let shown = shown(&folder);
        assert!(text.contains(&format!("\"{shown}\"")), "{shown} is no member of the workspace");
    }
    assert!(named(&golden::path("plugins/bridge"), "dependencies").contains(&"cni-common".into()));
}

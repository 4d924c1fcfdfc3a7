//! The suite's plugins: every list of them is the same, and has an executable for each name.

use std::fs;

use testsupport::{PLUGINS, golden};

use crate::source::{crate_folders, shipped};

/// The words between `opening` and `closing` in a file.
fn words(file: &str, opening: &str, closing: &str) -> Vec<String> {
    let text = golden::read(file);
    let after = text.split_once(opening).unwrap_or_else(|| panic!("{file} has no {opening}")).1;
    after.split_once(closing).unwrap().0.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn every_executable_of_the_workspace_is_a_plugin_of_the_suite() {
    let mut found = Vec::new();
    for folder in
        crate_folders().iter().filter(|folder| folder.starts_with(golden::path("plugins")))
    {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let programs = manifest.split("[[bin]]\nname = \"").skip(1);
        found.extend(programs.map(|rest| rest.split('"').next().unwrap().to_owned()));
    }
    found.sort();
    assert_eq!(found, PLUGINS);
}

#[test]
fn what_is_installed_packaged_and_tested_is_the_same_list() {
    assert_eq!(words("scripts/environment.sh", "\nplugins=(", ")"), PLUGINS);
    let tools = words("scripts/environment.sh", "\ntools=(", ")");
    assert_eq!(tools, ["causeway", "causeway-conformance"], "what people call is no plugin");
    assert!(golden::path("tools").join(&tools[0]).is_dir());
    assert_eq!(words("examples/kubernetes/install-plugins", "\nplugins=\"", "\""), PLUGINS);
}

#[test]
fn the_readme_shows_each_installed_and_its_page_has_its_keys() {
    let (readme, index) = (golden::read("README.md"), golden::read("docs/plugins/README.md"));
    for name in PLUGINS {
        let installed =
            format!("/opt/cni/bin/{name}: 1.9.1 (kept as {name}.reference) → causeway ");
        assert!(readme.contains(&installed), "{name} is not among what scripts/install prints");
        assert!(index.contains(&format!("| [{name}]({name}.md) |")), "{name} is not in the index");
        let page = golden::read(&format!("docs/plugins/{name}.md"));
        assert!(page.starts_with(&format!("# {name}\n")), "{name} has no page");
        for section in ["## Keys", "## What is different"] {
            assert!(page.contains(&format!("\n{section}\n")), "{name} has no section {section:?}");
        }
    }
}

/// `Added::new` with something to be undone comes too late for a panic before it.
#[test]
fn an_add_that_has_to_be_undone_is_undone_after_a_panic() {
    let mut adds = 0;
    for source in shipped().iter().filter(|source| source.file.starts_with("plugins/")) {
        let is_caught =
            source.code.contains("Added::attempt(") || source.code.contains("caught(||");
        adds += usize::from(is_caught);
        for call in source.code.split("Added::new(").skip(1) {
            let nothing = call.lines().next().unwrap().contains(", Vec::new)");
            // The lease of `host-local` is made, and undone, in `add`.
            let is_lease = source.file == "plugins/ipam/host-local/src/lib.rs";
            assert!(nothing || is_caught || is_lease, "{}: Added::new({call:.40}", source.file);
        }
    }
    assert!(adds >= 7, "{adds} plugins undo an ADD");
}

//! The suite's plugins: every list of them is the same.

use testsupport::{PLUGINS, golden};

/// The words between `opening` and `closing` in a file.
fn words(file: &str, opening: &str, closing: &str) -> Vec<String> {
    let text = golden::read(file);
    let after = text.split_once(opening).unwrap_or_else(|| panic!("{file} has no {opening}")).1;
    after.split_once(closing).unwrap().0.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn what_is_installed_packaged_and_tested_is_the_same_list() {
    assert_eq!(words("scripts/environment.sh", "\nplugins=(", ")"), PLUGINS);
    assert_eq!(words("examples/kubernetes/install-plugins", "\nplugins=\"", "\""), PLUGINS);
}

#[test]
fn the_readme_shows_each_installed_and_has_its_keys() {
    let readme = golden::read("README.md");
    for name in PLUGINS {
        let installed =
            format!("/opt/cni/bin/{name}: 1.9.1 (kept as {name}.reference) → causeway ");
        assert!(readme.contains(&installed), "{name} is not among what scripts/install prints");
        assert!(readme.contains(&format!("\n### `{name}`")), "{name} has no section");
    }
}

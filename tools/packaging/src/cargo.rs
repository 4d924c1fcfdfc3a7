//! Which crates there are, and which of them are in which executable: what `cargo metadata`, `cargo tree`
//! and the lock file say. Features are those of a build of the whole workspace, as releases are built.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::Fault;

/// A crate by name and version, `serde 1.0.229`: no two of a lock file have both in common.
pub(crate) type Id = String;

/// What is said of a crate.
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: String,
    /// An SPDX expression.
    pub(crate) license: String,
    pub(crate) repository: Option<String>,
    /// Where its sources are.
    pub(crate) folder: PathBuf,
    /// SHA-256 of its archive; none of the workspace's own.
    pub(crate) checksum: Option<String>,
}

/// The executables of the suite and all that they are made of.
pub(crate) struct Suite {
    /// The crate of each executable, by the executable's name.
    pub(crate) executables: BTreeMap<String, Id>,
    pub(crate) crates: BTreeMap<Id, Crate>,
    /// What each crate names, to link it in or to build with it.
    pub(crate) edges: BTreeMap<Id, BTreeSet<Id>>,
    /// What is linked in. The other crates run in the compiler: procedural macros and what builds.
    pub(crate) linked: BTreeSet<Id>,
}

impl Suite {
    /// Asks cargo, in the current folder, which is the checkout's.
    pub(crate) fn read(target: &str) -> Result<Self, Fault> {
        let metadata: Value = serde_json::from_str(&cargo(&[
            "metadata",
            "--format-version=1",
            "--filter-platform",
            target,
        ])?)?;
        let checksums = checksums(&fs::read_to_string("Cargo.lock")?);
        let all = crates(&metadata, &checksums)?;
        let executables = executables(&metadata);
        let tree = |edges: &str| {
            let format = ["--prefix=depth", "--format={p}", "--no-dedupe", "--charset=ascii"];
            let what = ["tree", "--workspace", "--target", target, "--edges", edges];
            cargo(&[&what[..], &format[..]].concat())
        };
        let roots: BTreeSet<Id> = executables.values().cloned().collect();
        let edges = edges(&tree("normal,build")?, &roots)?;
        let linked = edges_of(&tree("normal,no-proc-macro")?, &roots)?;
        let crates = all.into_iter().filter(|(id, _)| edges.contains_key(id)).collect();
        Ok(Self { executables, crates, edges, linked })
    }
}

fn edges_of(tree: &str, roots: &BTreeSet<Id>) -> Result<BTreeSet<Id>, Fault> {
    Ok(edges(tree, roots)?.into_keys().collect())
}

fn cargo(words: &[&str]) -> Result<String, Fault> {
    run("cargo", &[words, &["--locked", "--offline"]].concat())
}

/// What a program prints.
pub(crate) fn run(program: &str, words: &[&str]) -> Result<String, Fault> {
    let output = Command::new(program).args(words).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{program} {}: {said}", words.join(" ")).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, Fault> {
    value.get(key).and_then(Value::as_str).ok_or_else(|| format!("no {key} in {value}").into())
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn crates(
    metadata: &Value,
    checksums: &BTreeMap<Id, String>,
) -> Result<BTreeMap<Id, Crate>, Fault> {
    let mut crates = BTreeMap::new();
    for package in list(metadata, "packages") {
        let (name, version) = (text(package, "name")?, text(package, "version")?);
        let id = format!("{name} {version}");
        let license = text(package, "license").map_err(|_| format!("{id} has no licence"))?;
        let manifest = PathBuf::from(text(package, "manifest_path")?);
        let found = Crate {
            name: name.to_owned(),
            version: version.to_owned(),
            description: text(package, "description").unwrap_or_default().trim().to_owned(),
            // Before there were expressions, a slash stood for OR.
            license: license.replace('/', " OR "),
            repository: text(package, "repository").ok().map(str::to_owned),
            folder: manifest.parent().ok_or("a manifest in no folder")?.to_owned(),
            checksum: checksums.get(&id).cloned(),
        };
        crates.insert(id, found);
    }
    Ok(crates)
}

/// The executables of the packages below `plugins`, the operator's tool and its conformance suite.
fn executables(metadata: &Value) -> BTreeMap<String, Id> {
    let mut found = BTreeMap::new();
    let root = text(metadata, "workspace_root").unwrap_or_default();
    for package in list(metadata, "packages") {
        let manifest = text(package, "manifest_path").unwrap_or_default();
        let below = manifest.strip_prefix(root).unwrap_or_default();
        let shipped = ["/plugins/", "/tools/causeway/", "/tests/conformance/"];
        if !shipped.iter().any(|folder| below.starts_with(folder)) {
            continue;
        }
        for target in list(package, "targets") {
            if list(target, "kind").any(|kind| kind == "bin")
                && let (Ok(name), Ok(of), Ok(version)) =
                    (text(target, "name"), text(package, "name"), text(package, "version"))
            {
                found.insert(name.to_owned(), format!("{of} {version}"));
            }
        }
    }
    found
}

/// The checksums of a lock file.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    let mut found = BTreeMap::new();
    for entry in lock.split("[[package]]") {
        let value = |key: &str| {
            let mut lines = entry.lines().filter_map(|line| line.strip_prefix(key));
            lines.next().map(|rest| rest.trim_start_matches(" = ").trim_matches('"'))
        };
        if let (Some(name), Some(version), Some(checksum)) =
            (value("name"), value("version"), value("checksum"))
        {
            found.insert(format!("{name} {version}"), checksum.to_owned());
        }
    }
    found
}

/// What stands below `roots` in cargo's tree, whose lines begin with their depth: of each crate, all that
/// stand one deeper.
fn edges(tree: &str, roots: &BTreeSet<Id>) -> Result<BTreeMap<Id, BTreeSet<Id>>, Fault> {
    let mut edges: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
    let mut above: Vec<Id> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let rest = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let depth: usize = line.strip_suffix(rest).unwrap_or_default().parse()?;
        let mut words = rest.split(' ');
        let (name, version) = (words.next(), words.next().and_then(|word| word.strip_prefix('v')));
        let (Some(name), Some(version)) = (name, version) else {
            return Err(format!("cargo tree says {line}").into());
        };
        let id = format!("{name} {version}");
        above.truncate(depth);
        let is_below_root = above.first().is_some_and(|root| roots.contains(root));
        if depth == 0 && roots.contains(&id) || is_below_root {
            edges.entry(id.clone()).or_default();
            if let Some(parent) = above.last() {
                edges.entry(parent.clone()).or_default().insert(id.clone());
            }
        }
        above.push(id);
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> BTreeSet<Id> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn what_stands_below_an_executable_is_in_it_and_nothing_else() {
        let tree = "0acceptance v2.0.0 (/a)\n1nix v0.31.3\n2libc v0.2.1\n\n0bridge v2.0.0 (/b)\n\
            1cni-common v2.0.0 (/c)\n2serde v1.0.0\n3serde_derive v1.0.0 (proc-macro)\n1libc v0.2.1\n";
        let found = edges(tree, &ids(&["bridge 2.0.0"])).unwrap();
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        let expected =
            ["bridge 2.0.0", "cni-common 2.0.0", "libc 0.2.1", "serde 1.0.0", "serde_derive 1.0.0"];
        assert_eq!(names, expected);
        assert_eq!(found["bridge 2.0.0"], ids(&["cni-common 2.0.0", "libc 0.2.1"]));
        assert_eq!(found["serde 1.0.0"], ids(&["serde_derive 1.0.0"]));
        assert!(edges("0bridge\n", &ids(&[])).is_err());
    }

    #[test]
    fn a_lock_file_has_a_checksum_for_what_it_did_not_make() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
            checksum = \"ff\"\n\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n";
        let found = checksums(lock);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("a 1.0.0".to_owned(), "ff".to_owned())]
        );
    }
}

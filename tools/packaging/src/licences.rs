//! The licences of what is linked into the executables, with their texts, as most of them demand.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::Fault;
use crate::cargo::{Crate, Suite};
use crate::linked::{Library, Linked};

/// The name of the second file, and of it in the first one.
const RUST: &str = "THIRD-PARTY-rust-std.html";

const LINE: &str =
    "\n===============================================================================\n";

/// Writes `THIRD-PARTY.txt` and, as it comes, what Rust says of its library.
pub(crate) fn write(suite: &Suite, linked: &Linked, folder: &Path) -> Result<(), Fault> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("THIRD-PARTY.txt"), print(suite, linked)?)?;
    Ok(fs::write(folder.join(RUST), &linked.rust.text)?)
}

/// A section for each text, with the names of all crates that have it in common.
fn print(suite: &Suite, linked: &Linked) -> Result<String, Fault> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut list = String::new();
    let others = suite.linked.iter().filter_map(|id| suite.crates.get(id));
    for found in others.filter(|found| found.checksum.is_some()) {
        let Crate { name, version, license, .. } = found;
        writeln!(list, "  {name} {version}: {license}")?;
        let files = files(&found.folder)?;
        if files.is_empty() {
            return Err(format!("{name} {version} comes without the text of its licence").into());
        }
        for text in files {
            texts.entry(text).or_default().push(format!("{name} {version}"));
        }
    }
    let mut all = format!(
        "Causeway's executables are static: these crates and libraries are in them.\n\n{list}"
    );
    for library in [&linked.rust, &linked.c] {
        writeln!(all, "  {} {}: {}", library.name, library.version, library.license)?;
    }
    writeln!(all, "\nTheir texts follow; those of rust-std are in {RUST}.")?;
    let mut sections: Vec<(Vec<String>, String)> =
        texts.into_iter().map(|(text, names)| (names, text)).collect();
    sections.sort();
    let Library { name, version, text, .. } = &linked.c;
    sections.push((vec![format!("{name} {version}")], text.clone()));
    for (names, text) in sections {
        write!(all, "{LINE}{}\n\n{}\n", names.join(", "), text.trim_end())?;
    }
    Ok(all)
}

/// The texts of the licence files of a crate.
fn files(folder: &Path) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && is_licence(&name) {
            names.push(name);
        }
    }
    names.sort();
    names.iter().map(|name| Ok(fs::read_to_string(folder.join(name))?)).collect()
}

fn is_licence(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"]
        .iter()
        .any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_known_by_its_file_s_name() {
        for name in ["LICENSE", "LICENSE-MIT.md", "licence.txt", "COPYING", "NOTICE", "UNLICENSE"] {
            assert!(is_licence(name), "{name}");
        }
        assert!(!is_licence("README.md"));
    }
}

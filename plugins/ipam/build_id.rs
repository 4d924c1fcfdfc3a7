//! Build IDs of the IPAM plugins, for build scripts: `bridge` runs an IPAM plugin in its own process when the
//! executable that it found was built from the very code that `bridge` was built with, and tells by this ID.
//!
//! It is the GNU build ID that linkers write near the beginning of an executable: it stays through copies,
//! links and `strip`, and differs as soon as a source file, a dependency or the profile does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What an IPAM plugin's code is made of, from the root of the workspace.
const SOURCES: [&str; 4] = ["Cargo.lock", "Cargo.toml", "cni-common", "plugins/ipam"];
/// Bytes of a build ID; as many as linkers give by themselves.
const LENGTH: usize = 20;

/// The build ID of the IPAM plugin of this name, as hexadecimal digits. `root` is that of the workspace, from
/// the folder of the calling build script.
pub(crate) fn build_id(name: &str, root: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
        list_files(root, Path::new(source), &mut files)?;
    }
    files.sort();
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    };
    for variable in ["PROFILE", "TARGET", "OPT_LEVEL", "CARGO_PKG_VERSION"] {
        add(std::env::var(variable).unwrap_or_default().as_bytes());
    }
    for file in &files {
        add(file.to_string_lossy().as_bytes());
        add(&fs::read(root.join(file))?);
    }
    add(name.as_bytes());
    Ok(digest.finalize().iter().take(LENGTH).map(|byte| format!("{byte:02x}")).collect())
}

/// Lists the files at or below `path` that go into an executable, relative to `root`.
fn list_files(root: &Path, path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let found = root.join(path);
    if found.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(found)? {
        let name = entry?.file_name();
        // Tests and examples are in no executable.
        if !["tests", "examples", "benches"].iter().any(|other| name == *other) {
            list_files(root, &path.join(name), files)?;
        }
    }
    Ok(())
}

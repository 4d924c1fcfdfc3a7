//! What the compiler links into every executable besides crates: Rust's library, and the C library that
//! the target's executables are static with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Fault;
use crate::cargo::run;

/// A library.
pub(crate) struct Library {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    /// An SPDX expression.
    pub(crate) license: &'static str,
    /// Its licence, and the notices that go along.
    pub(crate) text: String,
}

/// Both of them.
pub(crate) struct Linked {
    pub(crate) rust: Library,
    pub(crate) c: Library,
}

impl Linked {
    /// Asks the tool chain.
    pub(crate) fn find(target: &str) -> Result<Self, Fault> {
        let sysroot = PathBuf::from(run("rustc", &["--print=sysroot"])?.trim());
        let c = match target.contains("-musl") {
            true => musl(&sysroot, target)?,
            false => glibc()?,
        };
        Ok(Self { rust: rust(&sysroot)?, c })
    }
}

fn rust(sysroot: &Path) -> Result<Library, Fault> {
    let said = run("rustc", &["--version", "--verbose"])?;
    let release = said.lines().find_map(|line| line.strip_prefix("release: "));
    // With the texts of all crates that the library is made of.
    let file = sysroot.join("share/doc/rust/COPYRIGHT-library.html");
    Ok(Library {
        name: "rust-std",
        version: release.ok_or("rustc names no release")?.to_owned(),
        license: "MIT OR Apache-2.0",
        text: read(&file)?,
    })
}

fn musl(sysroot: &Path, target: &str) -> Result<Library, Fault> {
    let file = sysroot.join("lib/rustlib").join(target).join("lib/self-contained/libc.a");
    let archive = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Library {
        name: "musl",
        version: musl_version(&archive).ok_or("musl's archive names no version")?,
        license: "MIT",
        // No tool chain comes with it: this is the distribution's, of its package.
        text: read(Path::new("/usr/share/doc/musl/copyright"))?,
    })
}

/// `__libc_version`: the text `1.2.5` between two zero bytes.
fn musl_version(archive: &[u8]) -> Option<String> {
    let texts = archive.split(|&byte| byte == 0).filter_map(|text| std::str::from_utf8(text).ok());
    let mut versions = texts.filter(|text| {
        let numbers: Vec<&str> = text.split('.').collect();
        let is_number = |part: &&str| {
            !part.is_empty() && part.len() < 4 && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        numbers.len() == 3 && numbers.first() == Some(&"1") && numbers.iter().all(is_number)
    });
    versions.next().map(str::to_owned)
}

/// Debian's, as its development package says.
fn glibc() -> Result<Library, Fault> {
    let format = "--showformat=${source:Upstream-Version}";
    Ok(Library {
        name: "glibc",
        version: run("dpkg-query", &["--show", format, "libc6-dev"])?,
        license: "LGPL-2.1-or-later",
        text: read(Path::new("/usr/share/doc/libc6-dev/copyright"))?,
    })
}

fn read(file: &Path) -> Result<String, Fault> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn musl_says_its_version() {
        assert_eq!(
            musl_version(b"!<arch>\n\0x1.2.5\0/usr\x001.2.5\0\xff"),
            Some("1.2.5".to_owned())
        );
        assert_eq!(musl_version(b"1.2\x001.2.3.4\x002.1.1\x00"), None);
    }
}

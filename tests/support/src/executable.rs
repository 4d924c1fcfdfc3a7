//! Where the plugins' executables are.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The suite's plugins: what `scripts/install` and the packages install.
pub const PLUGINS: [&str; 8] =
    ["bandwidth", "bridge", "firewall", "host-local", "loopback", "portmap", "static", "tuning"];

/// Where the distribution's package puts the reference plugins.
pub const REFERENCE_DIR: &str = "/usr/lib/cni";

/// The folder of the executables: `CNI_BIN_DIR` if that is set (another suite's, or release
/// builds), else where cargo put those of this build.
pub fn bin_dir() -> PathBuf {
    if let Some(dir) = env::var_os("CNI_BIN_DIR") {
        return PathBuf::from(dir);
    }
    profile_dir()
}

/// The program that measures another.
pub(crate) fn measure() -> PathBuf {
    present(profile_dir().join("measure"))
}

/// Where cargo puts what it builds: the test program is `<profile>/deps/<name>-<hash>`.
fn profile_dir() -> PathBuf {
    let test = env::current_exe().expect("the path of this test program");
    let profile = test.parent().and_then(|deps| deps.parent());
    profile.expect("a test program lies in a folder of cargo's").to_owned()
}

/// The path of a plugin's executable.
///
/// # Panics
/// When it is not there.
pub fn executable(name: &str) -> PathBuf {
    present(bin_dir().join(name))
}

/// The path of an example program of the package under test, which cargo builds with its tests.
///
/// # Panics
/// When it is not there.
pub fn example(name: &str) -> PathBuf {
    present(profile_dir().join("examples").join(name))
}

/// Writes a program that the kernel can start, as a script begins with its interpreter.
///
/// # Panics
/// When it can't be written.
pub fn write_program(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    fs::write(path, text)
        .and_then(|()| fs::set_permissions(path, PermissionsExt::from_mode(0o755)))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn present(path: PathBuf) -> PathBuf {
    assert!(
        path.is_file(),
        "{} is not there: run scripts/test, or `cargo build --workspace` before `cargo test`",
        path.display()
    );
    path
}

//! Where the plugins' executables are.

use std::env;
use std::path::PathBuf;

/// The folder of the executables: `CNI_BIN_DIR` if that is set (another suite's, or release
/// builds), else where cargo put those of this build.
pub fn bin_dir() -> PathBuf {
    if let Some(dir) = env::var_os("CNI_BIN_DIR") {
        return PathBuf::from(dir);
    }
    // A test program is <profile>/deps/<name>-<hash>, an example's <profile>/examples/<name>.
    let test = env::current_exe().expect("the path of this test program");
    let profile = test.parent().and_then(|deps| deps.parent());
    profile.expect("a test program lies in a folder of cargo's").to_owned()
}

/// The path of a plugin's executable.
///
/// # Panics
/// When it is not there.
pub fn executable(name: &str) -> PathBuf {
    let path = bin_dir().join(name);
    assert!(
        path.is_file(),
        "{} is not there: run scripts/test, or `cargo build --workspace` before `cargo test`",
        path.display()
    );
    path
}

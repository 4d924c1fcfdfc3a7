//! Where there is a shell and its tools, and neither cargo nor anything else that a script works with.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use testsupport::golden;

/// A call of a script of the checkout where of all programs only these are found, and root has no home.
pub(crate) fn call(script: &str, programs: &[&str]) -> Command {
    let mut call = Command::new(golden::path(script));
    call.env_clear().env("PATH", folder(programs)).env("HOME", "/nonexistent").current_dir("/");
    call
}

/// Commands of a shell, whose `$0` is what the scripts share.
pub(crate) fn shell(commands: &str) -> Command {
    let mut call = Command::new("bash");
    call.args(["-c", commands]).arg(golden::path("scripts/environment.sh"));
    call
}

fn folder(programs: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(programs.join("-"));
    fs::create_dir_all(&folder).unwrap();
    for program in programs {
        let places = ["/usr/bin", "/bin"].map(|place| Path::new(place).join(program));
        let found = places.iter().find(|place| place.exists()).unwrap();
        match symlink(found, folder.join(program)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => panic!("{error}"),
            _ => {}
        }
    }
    folder
}

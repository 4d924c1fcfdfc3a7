//! In the place of the IPAM plugin: hands calls on to it, but for those that the fault is about.

use std::env;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, exit};

use serde_json::{Value, json};

use crate::call::Call;

/// The IPAM plugin's name.
pub(crate) const NAME: &str = "conformance-ipam";
/// The command that is not handed on, and where the IPAM plugin is.
const SWALLOWED: &str = "WRONG_SWALLOWED";
const REAL: &str = "WRONG_PATH";

/// From now on the IPAM plugin is not called with `command`.
pub(crate) fn swallow(call: &mut Call, command: &str) {
    let folder = PathBuf::from(format!("/run/test/swallow-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("a folder");
    symlink(env::current_exe().expect("a path"), folder.join(NAME)).expect("a link");
    let real = call.variable("CNI_PATH").to_owned();
    call.set(SWALLOWED, command);
    call.set(REAL, &real);
    call.set("CNI_PATH", &folder.display().to_string());
}

/// What the IPAM plugin is called with.
pub(crate) fn answer() -> ! {
    let real = env::var(REAL).expect("the real path");
    let command = env::var("CNI_COMMAND").unwrap_or_default();
    if env::var(SWALLOWED).is_ok_and(|swallowed| swallowed == command) {
        if command == "ADD" {
            let config: Value = serde_json::from_reader(std::io::stdin()).expect("JSON");
            let ip = json!({"address": config["ipam"]["address"], "gateway": "10.77.0.1"});
            let result = json!({"cniVersion": "1.1.0", "ips": [ip],
                "routes": [{"dst": "0.0.0.0/0", "gw": "10.77.0.1"}],
                "dns": {"nameservers": ["192.0.2.53"]}});
            println!("{result}");
        }
        exit(0);
    }
    let mut programs = real.split(':').map(|folder| PathBuf::from(folder).join(NAME));
    let error = Command::new(programs.find(|path| path.exists()).expect("the IPAM plugin"))
        .env("CNI_PATH", &real)
        .env_remove(REAL)
        .env_remove(SWALLOWED)
        .exec();
    panic!("{error}");
}

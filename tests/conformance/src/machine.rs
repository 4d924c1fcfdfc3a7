//! What the executable needs of the machine: the programs that checks call, and namespaces of its own, so that
//! nothing it does reaches the machine's network. Knows nothing of plugins.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

/// The programs that checks call, and the packages that Debian has them in. What every machine has is not among
/// them: a shell, `cat`, `sed` and the like.
const PROGRAMS: [(&str, &str); 9] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("iptables-save", "iptables"),
    ("ip6tables-save", "iptables"),
    ("sysctl", "procps"),
    ("nsenter", "util-linux"),
    ("find", "findutils"),
];

/// The folders of such programs that an ordinary user's `PATH` lacks on Debian.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Makes sure of all of it. To be called before there is a second thread: the kernel gives a user namespace to
/// processes of one thread only.
///
/// # Errors
/// With what is missing, and what to do.
pub(crate) fn prepare() -> Result<(), String> {
    look_in_system_folders()?;
    has_programs()?;
    enter_namespaces()
}

/// The folders of `PATH`.
fn folders() -> Vec<PathBuf> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect()
}

/// Begins anew with a `PATH` that has the system's folders, unless this one has them.
fn look_in_system_folders() -> Result<(), String> {
    let mut folders = folders();
    let lacks = |folder: &&str| !folders.iter().any(|one| one == Path::new(folder));
    let missing: Vec<&str> = SYSTEM_FOLDERS.into_iter().filter(lacks).collect();
    if missing.is_empty() {
        return Ok(());
    }
    folders.extend(missing.into_iter().map(PathBuf::from));
    let path: OsString = env::join_paths(folders).map_err(|error| format!("PATH: {error}"))?;
    let own = env::current_exe().map_err(|error| format!("/proc/self/exe: {error}"))?;
    let error = Command::new(&own).args(env::args_os().skip(1)).env("PATH", path).exec();
    Err(format!("{}: {error}", own.display()))
}

fn has_programs() -> Result<(), String> {
    let folders = folders();
    let lacks = |program: &str| !folders.iter().any(|folder| folder.join(program).is_file());
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|(program, _)| lacks(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    let (names, packages) = (names.join(", "), packages.join(" "));
    Err(format!("missing in PATH: {names} (Debian: apt-get install {packages})"))
}

/// Leaves the machine's network and mounts; where that takes more rights, as root of a user namespace.
fn enter_namespaces() -> Result<(), String> {
    let refused = |errno: Errno| format!("namespaces of its own can't be made: {errno}");
    let own = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS;
    match unshare(own) {
        Err(Errno::EPERM) => {
            let entered = enter_user_namespace().and_then(|()| unshare(own));
            entered.map_err(|errno| {
                format!(
                    "{}; run it as root, or allow ordinary users to make user namespaces (sysctl \
                     kernel.unprivileged_userns_clone=1, or kernel.apparmor_restrict_unprivileged_userns=0)",
                    refused(errno)
                )
            })?;
        }
        done => done.map_err(refused)?,
    }
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        .map_err(|errno| format!("mounts of its own can't be made: {errno}"))
}

/// Makes the process root of a user namespace of its own, in which it has its user's rights to files only.
fn enter_user_namespace() -> nix::Result<()> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    for (file, text) in [
        // Else an ordinary user may not write the map of groups.
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {user} 1")),
        ("/proc/self/gid_map", format!("0 {group} 1")),
    ] {
        fs::write(file, text)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
    }
    Ok(())
}

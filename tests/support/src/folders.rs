//! The folders of a host that plugins and programs write to, in memory instead.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::namespace;

/// A folder for the test's own files; in memory, seen by this host alone.
pub(crate) const TEMP: &str = "/run/test";

/// Where plugins keep leases.
const LEASES: &str = "/var/lib/cni";

/// Where the machine's own `/etc` is seen.
const MACHINES_ETC: &str = "/run/etc";

/// Covers `/run`, `/var/lib/cni` and `/etc` for the calling thread's mount namespace.
pub(crate) fn cover() -> Covered {
    namespace::mount_tmpfs("/run");
    for dir in ["/run/netns", "/run/lock", MACHINES_ETC, TEMP] {
        fs::create_dir(dir).unwrap_or_else(|error| panic!("create {dir}: {error}"));
    }
    let hidden = hidden_around_leases();
    namespace::mount_tmpfs(hidden);
    fs::create_dir_all(LEASES).unwrap_or_else(|error| panic!("create {LEASES}: {error}"));
    cover_etc();
    Covered(hidden)
}

/// What was covered, for [`Covered::uncover`].
#[derive(Debug)]
pub(crate) struct Covered(&'static str);

impl Covered {
    /// Shows the machine's folders again, for a further host in the same thread.
    pub(crate) fn uncover(&self) {
        for place in ["/etc", "/run", self.0] {
            namespace::uncover(place);
        }
    }
}

/// The folder to hide. An ordinary user can't create `/var/lib/cni`, only hide what is around it.
fn hidden_around_leases() -> &'static str {
    if Path::new(LEASES).is_dir() { LEASES } else { "/var/lib" }
}

/// Puts an `/etc` in memory over the machine's, everything in it leading there: so that nobody
/// needs the right to write to the machine's, and no test leaves anything in it.
fn cover_etc() {
    // Read ahead: it may lead into the /run that is hidden now.
    let resolv_conf = fs::read("/etc/resolv.conf").unwrap_or_default();
    let names = fs::read_dir("/etc").expect("list /etc").map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.collect();
    namespace::bind("/etc".as_ref(), MACHINES_ETC.as_ref());
    namespace::mount_tmpfs("/etc");
    for name in names.into_iter().filter(|name| name != "resolv.conf" && name != "netns") {
        symlink(Path::new(MACHINES_ETC).join(&name), Path::new("/etc").join(&name))
            .unwrap_or_else(|error| panic!("link {}: {error}", name.display()));
    }
    // A file of its own, for `ip netns exec` to put a container's over it.
    fs::write("/etc/resolv.conf", resolv_conf).expect("write /etc/resolv.conf");
}

//! The system calls behind hosts and containers. Knows nothing of plugins.

use std::fs;
use std::path::Path;
use std::thread;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// The calling thread's own network namespace. (`/proc/self` would be the main thread's.)
pub(crate) const OWN: &str = "/proc/thread-self/ns/net";

const NO: Option<&str> = None;

/// Which namespace `path` is, as `net:[4026531840]`; `None` where that may not be read.
pub(crate) fn identity(path: impl AsRef<Path>) -> Option<String> {
    fs::read_link(path).ok().map(|link| link.to_string_lossy().into_owned())
}

/// Gives the calling thread namespaces of its own, and proves that it has them.
pub(crate) fn leave(flags: CloneFlags) {
    let before = identity(OWN);
    match unshare(flags) {
        Ok(()) => {}
        Err(Errno::EPERM) => panic!(
            "this test makes network namespaces, which an ordinary user may do only inside a user \
             namespace: run it through scripts/test, which enters one"
        ),
        Err(errno) => panic!("unshare {flags:?}: {errno}"),
    }
    let own = identity(OWN).expect("/proc is not mounted");
    assert!(Some(&own) != before.as_ref(), "the thread did not leave its network namespace");
    assert!(
        identity("/proc/1/ns/net").is_none_or(|machine| machine != own),
        "the thread is in the machine's own network namespace"
    );
}

/// Runs `work` on a short-lived thread that is alone in a new network namespace.
///
/// The mounts stay those of the caller.
pub(crate) fn inside_new<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    on_a_thread(|| {
        leave(CloneFlags::CLONE_NEWNET);
        work()
    })
}

/// Runs `work` on a short-lived thread that has entered the network namespace at `path`.
pub(crate) fn inside<T: Send>(path: &Path, work: impl FnOnce() -> T + Send) -> T {
    on_a_thread(|| {
        let shown = path.display();
        let file = fs::File::open(path).unwrap_or_else(|error| panic!("open {shown}: {error}"));
        setns(file, CloneFlags::CLONE_NEWNET)
            .unwrap_or_else(|errno| panic!("enter {shown}: {errno}"));
        work()
    })
}

/// Runs `work` on a thread of its own; a panic there is one here.
fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(value) => value,
        Err(panicked) => std::panic::resume_unwind(panicked),
    })
}

/// Keeps every later mount to this mount namespace.
pub(crate) fn make_mounts_private() {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NO, "/", NO, flags, NO).unwrap_or_else(|errno| panic!("make mounts private: {errno}"));
}

/// Mounts an empty file system in memory on `path`.
pub(crate) fn mount_tmpfs(path: &str) {
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some("mode=0755"))
        .unwrap_or_else(|errno| panic!("mount a tmpfs on {path}: {errno}"));
}

/// Takes the topmost mount away from `place`; content when there is none.
pub(crate) fn uncover(place: &str) {
    umount2(place, MntFlags::MNT_DETACH).ok();
}

/// Mounts `/sys` as the calling thread's network namespace has it, where the kernel allows that.
pub(crate) fn mount_sysfs() {
    // Where a container runtime has masked /sys an ordinary user may not mount it; no plugin of
    // the suite reads it, so that only `ip`'s rarer outputs differ.
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), NO).ok();
}

/// Makes `path` a name of the calling thread's network namespace, as `ip netns add` does.
pub(crate) fn bind_own(path: &Path) {
    fs::write(path, "").unwrap_or_else(|error| panic!("create {}: {error}", path.display()));
    bind(OWN.as_ref(), path);
}

/// Makes `place` show what `source` is, with all that is mounted below.
pub(crate) fn bind(source: &Path, place: &Path) {
    mount(Some(source), place, NO, MsFlags::MS_BIND | MsFlags::MS_REC, NO).unwrap_or_else(
        |errno| panic!("bind {} to {}: {errno}", source.display(), place.display()),
    );
}

/// Takes the name away; content when it is gone already, as tests do that on purpose.
pub(crate) fn unbind(path: &Path) {
    umount2(path, MntFlags::MNT_DETACH).ok();
    fs::remove_file(path).ok();
}

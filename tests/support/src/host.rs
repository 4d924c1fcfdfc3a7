//! A throw-away host: the calling test thread in namespaces of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sched::CloneFlags;

use crate::container::{Container, Outside};
use crate::folders::{self, Covered};
use crate::namespace;
use crate::process::{self, Background, Finished};

/// A host of the test's own. While it lives, the calling thread, the threads and the processes
/// that it starts see
///
/// - a network namespace with nothing but `lo`, which is up;
/// - empty `/run` (with `/run/netns` and `/run/lock`) and `/var/lib/cni`, in memory;
/// - an `/etc` that they may add to (`/etc/netns`), in memory, what it holds being the machine's;
/// - `/sys` of that namespace, where the kernel allows it.
///
/// Everything vanishes with the thread and its processes. Other threads of the test program are
/// not touched, so tests run in parallel. Do not create two at once in one thread.
#[derive(Debug)]
pub struct Host(Covered);

impl Host {
    /// Makes the calling thread a host.
    ///
    /// # Panics
    /// Without the right to make namespaces (root, or a user namespace: `scripts/test` enters one).
    #[expect(clippy::new_without_default, reason = "making a host is not a default of anything")]
    pub fn new() -> Self {
        namespace::leave(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS);
        namespace::make_mounts_private();
        namespace::mount_sysfs();
        let host = Self(folders::cover());
        host.run(["ip", "link", "set", "lo", "up"]);
        host
    }

    /// From now on an IPv6 address of a new link of this host is there at once, not after a second in which others
    /// are asked whether they have it.
    ///
    /// # Panics
    /// On a kernel without IPv6.
    pub fn skip_address_probes(&self) {
        std::fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
    }

    /// An empty folder that only this host sees.
    pub fn temp_dir(&self) -> &Path {
        Path::new(folders::TEMP)
    }

    /// A container whose namespace is `/run/netns/<name>`, as `ip netns add` makes it.
    pub fn container(&self, name: &str) -> Container {
        Container::named(name, PathBuf::from("/run/netns").join(name))
    }

    /// A container whose namespace is a bind mount at `path`, which must not exist yet.
    pub fn container_at(&self, path: impl Into<PathBuf>) -> Container {
        let path = path.into();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Container::named(&name, path)
    }

    /// A container whose namespace is `/proc/<pid>/ns/net` of a sleeping process.
    pub fn container_of_process(&self, name: &str) -> Container {
        Container::of_process(name)
    }

    /// A neighbour beyond this host; see [`Outside`].
    pub fn outside(&self) -> Outside {
        Outside::new(self)
    }

    /// The standard output of a command; fails the test, showing everything, unless it succeeds.
    pub fn run<W: AsRef<OsStr>>(&self, words: impl AsRef<[W]>) -> String {
        self.finish(words).success()
    }

    /// Runs a command to its end, whatever that is.
    pub fn finish<W: AsRef<OsStr>>(&self, words: impl AsRef<[W]>) -> Finished {
        process::finish(&mut process::command(words.as_ref()), b"", process::LIMIT)
    }

    /// Starts a command beside the test; it is killed when the guard is dropped.
    pub fn background<W: AsRef<OsStr>>(&self, words: impl AsRef<[W]>) -> Background {
        Background::start(&mut process::command(words.as_ref()))
    }

    /// Links, addresses and routes as text: the same before and after means nothing was left.
    pub fn state(&self) -> String {
        state(|words| self.run(words))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The namespaces end with the thread; a thread may make another host before that.
        self.0.uncover();
    }
}

/// The commands of which a network's state is the joint output.
pub(crate) fn state(run: impl Fn(&[&str]) -> String) -> String {
    [
        &["ip", "-details", "-oneline", "link"][..],
        &["ip", "-oneline", "address"],
        &["ip", "-4", "route", "show", "table", "all"],
        &["ip", "-6", "route", "show", "table", "all"],
    ]
    .map(run)
    .join("\n")
}

/// `nsenter` into the network namespace at `path` only, before `words`.
pub(crate) fn entered<W: AsRef<OsStr>>(path: &Path, words: &[W]) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", path.display())).arg("--").args(words);
    command
}

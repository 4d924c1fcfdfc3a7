//! What proves that an attachment is dead, and in which place the proof holds.
//!
//! A plugin that makes a pair holds the attachment's lock while it works, and the host interface lives
//! as long as the container's namespace does. So the attachment is dead when nobody holds the lock and
//! the host interface is not there. That counts only where both would be seen: in the network
//! namespace and with the lock file that the attachment was made with. An [`Attacher`] names them.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;

use super::byte_lock::ByteLock;
use crate::error::{Context, Result};
use crate::types::Attachment;

/// Every lock is a byte of this one file.
pub const LOCK_FILE: &str = "/run/cni/causeway.lock";
/// The number of the lock of all who make host ports by iptables. It and those below are behind the numbers of
/// attachments' locks, which have 44 bits, and before those of ifb devices' (`names::ifb`).
pub const IPTABLES_PORTS: i64 = 1 << 44;
/// That of the lock on `route_localnet` of all links.
pub const ROUTE_LOCALNET: i64 = IPTABLES_PORTS + 1;
/// That of the lock of whose turn it is to change nf_tables.
pub const NFTABLES_TURN: i64 = IPTABLES_PORTS + 2;
/// How long any of the locks is waited for: longer than an ADD that moves, and so short that an ADD which
/// waited first ends before the kubelet's deadline of four minutes all the same.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
/// What host interfaces are named by, before the digits that also number the lock.
const PREFIX: &str = "veth";

/// Who made an attachment: its host interface, and the namespace and lock file of the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attacher {
    host_interface: String,
    /// Device and inode.
    netns: (u64, u64),
    /// Device and inode.
    lock_file: (u64, u64),
}

impl Attacher {
    /// The one that has this host interface, in this process's namespace. `None` where it can't be
    /// said, as without a lock file.
    pub fn here(host_interface: &str) -> Option<Self> {
        lock_offset(host_interface)?;
        let netns = identity("/proc/thread-self/ns/net")?;
        let lock_file = identity(LOCK_FILE)?;
        Some(Self { host_interface: host_interface.to_owned(), netns, lock_file })
    }

    /// The inode of the namespace.
    pub fn netns(&self) -> u64 {
        self.netns.1
    }

    /// Whether its attachment is proved to be dead.
    pub fn is_dead(&self) -> bool {
        Self::here(&self.host_interface).as_ref() == Some(self) && is_dead(&self.host_interface)
    }
}

/// Whether the attachment with this host interface is dead, if it was made in this namespace and
/// with this lock file.
pub fn is_dead(host_interface: &str) -> bool {
    // In this order: what an ADD has made by its end is there when its lock is free.
    try_lock(host_interface).is_some() && if_nametoindex(host_interface) == Err(Errno::ENODEV)
}

/// The index of a link of this name. Other changes of links are not waited for, as netlink does.
pub fn link_index(host_interface: &str) -> Option<u32> {
    if_nametoindex(host_interface).ok()
}

/// Waits until nobody else holds this lock of the attachment's. `None` where there can't be a lock.
pub fn lock(offset: i64, attachment: &Attachment) -> Result<Option<ByteLock>> {
    lock_at(offset).with_context(|| format!("another ADD or DEL of {attachment}"))
}

/// Waits until nobody else holds the lock of this number. `None` where there can't be a lock.
pub fn lock_at(offset: i64) -> Result<Option<ByteLock>> {
    ByteLock::acquire(Path::new(LOCK_FILE), offset, LOCK_TIMEOUT)
}

/// The same without waiting: `None` also if it is held.
pub fn try_lock_at(offset: i64) -> Option<ByteLock> {
    ByteLock::try_acquire(Path::new(LOCK_FILE), offset)
}

/// The lock of the attachment with this host interface, unless it is held or can't be had.
pub fn try_lock(host_interface: &str) -> Option<ByteLock> {
    ByteLock::try_acquire(Path::new(LOCK_FILE), lock_offset(host_interface)?)
}

fn lock_offset(host_interface: &str) -> Option<i64> {
    i64::from_str_radix(host_interface.strip_prefix(PREFIX)?, 16).ok()
}

fn identity(path: &str) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

impl fmt::Display for Attacher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host_interface, netns, lock_file } = self;
        write!(f, "{host_interface} {} {} {} {}", netns.0, netns.1, lock_file.0, lock_file.1)
    }
}

impl FromStr for Attacher {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<&str> = text.split(' ').collect();
        let [host_interface, numbers @ ..] = words.as_slice() else { return Err(()) };
        let numbers: Vec<u64> =
            numbers.iter().map(|word| word.parse()).collect::<Result<_, _>>().map_err(|_bad| ())?;
        let [a, b, c, d] = numbers.as_slice() else { return Err(()) };
        lock_offset(host_interface).ok_or(())?;
        let host_interface = (*host_interface).to_owned();
        Ok(Self { host_interface, netns: (*a, *b), lock_file: (*c, *d) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_nothing_else() {
        let attacher = Attacher {
            host_interface: "veth6e5fcbeeefc".to_owned(),
            netns: (4, 4_026_531_840),
            lock_file: (25, 7),
        };
        assert_eq!(attacher.to_string().parse(), Ok(attacher));
        for bad in ["", "veth1", "veth1 1 2 3", "veth1 1 2 3 4 5", "eth0 1 2 3 4", "veth1 1 2 3 x"]
        {
            assert_eq!(bad.parse::<Attacher>(), Err(()), "{bad:?}");
        }
    }
}

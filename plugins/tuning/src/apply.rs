//! Changes a container's namespace, and undoes it: all or nothing.

use cni_common::skel::Made;
use cni_common::sys::sysctl::Folder;
use cni_common::sys::{Netlink, Netns};
use cni_common::types::net::Link;
use cni_common::types::{IfName, LinkAttributes};
use cni_common::undo::Journal;
use cni_common::{Code, Context, Error, Result, log};
use nix::errno::Errno;

use crate::store::Kept;
use crate::sysctl::Sysctl;

/// What was done, as it is undone.
#[derive(Clone, Debug)]
enum Step {
    /// A sysctl had this value.
    Sysctl { path: String, value: String },
    /// These values were kept, or none.
    Kept { before: Option<LinkAttributes> },
    /// The link with this index had these.
    Attributes { index: u32, before: LinkAttributes },
}

/// The namespace, and what was done in it so far.
pub(crate) struct Changes {
    netns: Netns,
    netlink: Netlink,
    kept: Kept,
    journal: Journal<Step>,
}

impl Changes {
    /// Nothing done yet in `netns`, which `netlink` is a socket of.
    pub(crate) fn new(netns: Netns, netlink: Netlink, kept: Kept) -> Self {
        Self { netns, netlink, kept, journal: Journal::default() }
    }

    /// The container's interface.
    pub(crate) fn find_link(&mut self, ifname: &IfName) -> Result<Link> {
        let found = self.netlink.find_link(ifname.as_str())?;
        found.ok_or_else(|| {
            Error::new(Code::Kernel, format!("failed to get \"{ifname}\": Link not found"))
        })
    }

    /// Writes all of `sysctls`.
    pub(crate) fn write_sysctls(&mut self, sysctls: &[Sysctl]) -> Result<()> {
        let journal = &mut self.journal;
        let write_all = || {
            let folder = Folder::open()?;
            sysctls.iter().try_for_each(|sysctl| write(&folder, sysctl, journal))
        };
        let keys = || sysctls.iter().map(|one| one.key.as_str()).collect::<Vec<_>>().join(" ");
        log::step(|| format!("set {}", keys()), || self.netns.run(write_all)?)
    }

    /// Keeps `values` for DEL instead of `before`.
    pub(crate) fn keep(
        &mut self,
        values: &LinkAttributes,
        before: Option<LinkAttributes>,
    ) -> Result<()> {
        if before.as_ref() == Some(values) {
            return Ok(());
        }
        let written = self.kept.write(values, self.netns.path());
        // Noted also when it failed, as half of it may be there.
        self.journal.note(Step::Kept { before });
        written
    }

    /// Sets `change` of the link with this index, which has `before` of it.
    pub(crate) fn set(
        &mut self,
        index: u32,
        change: &LinkAttributes,
        before: LinkAttributes,
    ) -> Result<()> {
        if change.is_empty() {
            return Ok(());
        }
        let netlink = &mut self.netlink;
        let doing = || format!("set {}", shown(change));
        let set = log::step(doing, || netlink.set_attributes(index, change));
        // Noted also when it failed: the kernel does one after the other and stops.
        self.journal.note(Step::Attributes { index, before });
        set.with_context(doing)
    }
}

impl Made for Changes {
    fn rollback(&mut self) -> Vec<Error> {
        let Self { netns, netlink, kept, journal } = self;
        journal.rollback(|step| {
            let doing = format!("undo {step:?}");
            let undo = || match step {
                Step::Sysctl { path, value } => {
                    netns.run(|| Folder::open().and_then(|folder| folder.write(&path, &value)))?
                }
                Step::Kept { before } => kept.restore(before.as_ref(), netns.path()),
                Step::Attributes { index, before } => Error::join(restore(netlink, index, &before)),
            };
            log::step(|| doing, undo)
        })
    }
}

/// Sets `values` of the link with this index; when the kernel refuses one of them, all others.
pub(crate) fn restore(netlink: &mut Netlink, index: u32, values: &LinkAttributes) -> Vec<Error> {
    let Err(_one_of_them) = netlink.set_attributes(index, values) else { return Vec::new() };
    let alone = |value: &LinkAttributes| {
        let set = netlink.set_attributes(index, value);
        set.map_err(|error| error.context(format!("restore {}", shown(value)))).err()
    };
    values.each().iter().filter_map(alone).collect()
}

fn write(folder: &Folder, sysctl: &Sysctl, journal: &mut Journal<Step>) -> Result<()> {
    let Sysctl { key, path, value } = sysctl;
    let named = |error: Error| match error.is_not_found() {
        // The words of the reference.
        true => Error::new(
            Code::UnsupportedField,
            format!("sysctl {key:?}: open /proc/sys/net/{path}: no such file or directory"),
        ),
        false => error.with_code(Code::Kernel).context(format!("sysctl {key:?}")),
    };
    let before = match folder.read(path) {
        Ok(before) => Some(before),
        // One that is only for writing, as route/flush, is an order and can't be undone.
        Err(error) if error.raw_errno() == Some(Errno::EACCES) => None,
        Err(error) => return Err(named(error)),
    };
    match folder.write(path, value) {
        Ok(()) => {}
        // It can't be written, as where /proc/sys is read-only, and is right already.
        Err(_) if before.as_deref() == Some(value) => return Ok(()),
        Err(error) => return Err(named(error)),
    }
    if let Some(value) = before {
        journal.note(Step::Sysctl { path: path.clone(), value });
    }
    Ok(())
}

/// Attributes in the words of the configuration.
fn shown(attributes: &LinkAttributes) -> String {
    let words = [
        attributes.mac.map(|mac| format!("mac {mac}")),
        attributes.promiscuous.map(|is| format!("promisc {is}")),
        attributes.mtu.map(|mtu| format!("mtu {mtu}")),
        attributes.all_multicast.map(|is| format!("allmulti {is}")),
        attributes.tx_queue_length.map(|length| format!("txQLen {length}")),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

//! What an ADD has made before its caller was told: rolled back as a whole, or settled.

use cni_common::delegate::Delegate;
use cni_common::error::Error;
use cni_common::skel::{AttachmentRequest, Made};
use cni_common::sys::byte_lock::ByteLock;
use cni_common::undo::retry_once;
use cni_common::{log, names};

use crate::apply::Machine;
use crate::rules::{Expected, Known, Rules};

/// What an ADD that has not been heard of yet has made.
pub(super) struct Unsettled {
    pub(super) machine: Machine,
    pub(super) rules: Rules,
    /// Which rules were asked for.
    pub(super) expected: Expected,
    /// The IPAM plugin, if it may have allocated something.
    pub(super) ipam: Option<Delegate>,
    pub(super) finished: Finished,
    /// Held until the process ends: then all of this is settled or undone.
    pub(super) _lock: Option<ByteLock>,
}

/// Whether there is a lease of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lease {
    /// The IPAM plugin has not been asked, or said that the lease is another's.
    None,
    /// It allocated, or whatever became of it leaves that open.
    Allocated,
}

/// What marks the host interface of a finished attachment.
pub(super) struct Finished {
    host_interface: String,
    alias: String,
}

impl Finished {
    pub(super) fn of(request: &AttachmentRequest<'_>, host_interface: String) -> Self {
        let pod = request.request.args().ok().and_then(|args| args.pod());
        Self { host_interface, alias: names::alias(&request.attachment, pod.as_deref()) }
    }
}

impl Made for Unsettled {
    /// Links first, then rules, then the lease: an address is free when nothing has it any more.
    fn rollback(&mut self) -> Vec<Error> {
        let mut failures = self.machine.rollback();
        if self.expected.any() {
            let remove = || self.rules.remove(self.expected, &Known::default());
            failures.extend(retry_once(remove).err());
        }
        let released = |ipam: &Delegate| retry_once(|| ipam.run("DEL"));
        failures.extend(self.ipam.as_ref().and_then(|ipam| released(ipam).err()));
        failures
    }

    /// Takes the mark of an unfinished ADD off the host interface. Nothing waits for the answer:
    /// the caller has been told already, and an ADD that is killed now should not count as made.
    fn settle(&mut self) {
        let Finished { host_interface: name, alias } = &self.finished;
        let finish = || self.machine.host.set_alias_unacknowledged(name, alias);
        if let Err(error) = retry_once(finish) {
            // The attachment works; only a second ADD would take it for one that was cut short.
            log::debug(|| format!("mark {name} as attached: {error}"));
        }
    }
}

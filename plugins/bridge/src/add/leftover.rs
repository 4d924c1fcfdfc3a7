//! What an ADD finds that an earlier one left: a finished attachment is refused, an unfinished one
//! is cleared away.

use cni_common::delegate::{Delegate, Running};
use cni_common::error::{Code, Error, Result};
use cni_common::log;
use cni_common::names;
use cni_common::spec::CniResult;
use cni_common::types::net::Link;

use super::Attaching;
use super::unsettled::Lease;

/// One that the killed ADD left, and one of its delegate that went on.
const MAX_STALE_LEASES: usize = 2;

/// Part of the IPAM's error when the container and interface hold an address already.
const DUPLICATE: &str = "duplicate allocation is not allowed";

impl Attaching<'_> {
    /// Refuses an ADD whose interface name is taken, in the container or on the host, unless by an
    /// ADD of the same attachment that was killed: that one's pair is removed.
    ///
    /// Comes before anything is made or asked for: a refused ADD has nothing to undo. The lock keeps
    /// an ADD that still runs from being taken for one that was killed.
    pub(super) fn refuse_taken_interface(&mut self) -> Result<()> {
        let inside = self.machine.container.find_link(&self.new_links.ends.container)?;
        let on_host = self.machine.host.find_link(&self.new_links.ends.host)?;
        match on_host {
            Some(host) if is_leftover(&host) => {
                log::debug(|| format!("remove {}, left by an ADD that was killed", host.name));
                self.machine.host.remove_link(&host.name)?;
                // Gone with its peer, unless the name inside is somebody else's.
                match inside.is_some() {
                    true => self.refuse_if_inside(),
                    false => Ok(()),
                }
            }
            Some(host) if inside.is_none() => Err(self.taken(&format!(
                "the container is attached already, by host interface {:?}, in another namespace",
                host.name
            ))),
            _ if inside.is_some() => Err(self.inside_is_taken()),
            _ => Ok(()),
        }
    }

    /// The IPAM's result. A lease that is there although the interface is not was left by an ADD that
    /// was killed: it is released, and the IPAM plugin asked again.
    ///
    /// While the lock is held it can't be that of an ADD that runs. A delegate that has outlived its
    /// killed plugin may come in between with its lease, once.
    pub(super) fn result_past_stale_lease(
        &mut self,
        running: Running<'_>,
        ipam: &Delegate,
    ) -> Result<CniResult> {
        let mut given = running.given();
        let mut result = running.result();
        for _ in 0..MAX_STALE_LEASES {
            match &result {
                Err(error) if is_duplicate(error) => {
                    log::debug(|| format!("release what an ADD that was killed holds: {error}"));
                    ipam.run("DEL")?;
                    let running = ipam.start_add()?;
                    given = running.given();
                    result = running.result();
                }
                _ => break,
            }
        }
        // Without the pool's lock `host-local` allocates nothing, and a release would wait for the same
        // lock. What another plugin means by this code is not known: it is asked to release.
        let is_pool_busy =
            |error: &Error| self.config.ipam_only_allocates() && error.is(Code::TryAgainLater);
        let is_nothing_allocated = |error: &Error| is_duplicate(error) || is_pool_busy(error);
        if !result.as_ref().is_err_and(is_nothing_allocated) {
            self.lease = Lease::Allocated;
        }
        self.given = given;
        result
    }

    fn refuse_if_inside(&mut self) -> Result<()> {
        match self.machine.container.find_link(&self.new_links.ends.container)? {
            Some(_) => Err(self.inside_is_taken()),
            None => Ok(()),
        }
    }

    fn inside_is_taken(&self) -> Error {
        let name = &self.new_links.ends.container;
        self.taken(&format!("container veth name ({name:?}) already exists"))
    }

    fn taken(&self, message: &str) -> Error {
        Error::new(Code::Conflict, message).with_details(format!(
            "CNI_IFNAME={} CNI_NETNS={}",
            self.new_links.ends.container,
            self.machine.netns.path().display()
        ))
    }
}

fn is_duplicate(error: &Error) -> bool {
    error.message().contains(DUPLICATE)
}

fn is_leftover(host: &Link) -> bool {
    host.kind == "veth" && names::is_unfinished(&host.alias)
}

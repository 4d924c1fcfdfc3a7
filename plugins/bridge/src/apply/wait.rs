//! Waiting for the kernel by listening to it. Nothing here sleeps.

use std::time::{Duration, Instant};

use cni_common::error::{Code, Error, Result};
use cni_common::sys::netlink::Group;
use cni_common::sys::{Netlink, Netns};

/// Waits until the host link `name` can pass traffic.
pub(super) fn for_port(netlink: &mut Netlink, name: &str, limit: Duration) -> Result<()> {
    if is_operational(netlink, name)? {
        return Ok(());
    }
    let deadline = Instant::now() + limit;
    // Listen first, then look again: what changes in between is heard.
    let mut notifications = Netlink::open()?;
    notifications.subscribe(Group::Link)?;
    while !is_operational(netlink, name)? {
        if notifications.notifications(deadline)?.is_none() {
            let message = format!("bridge port {name:?} is not up after {} s", limit.as_secs());
            return Err(Error::new(Code::Kernel, message));
        }
    }
    Ok(())
}

fn is_operational(netlink: &mut Netlink, name: &str) -> Result<bool> {
    match netlink.find_link(name)? {
        Some(link) => Ok(link.is_operational),
        None => Err(Error::new(Code::Kernel, format!("bridge port {name:?} is gone"))),
    }
}

/// Waits until duplicate address detection is done with all addresses of the container's `name`.
pub(super) fn for_addresses(netns: &Netns, name: &str, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    let sockets = || -> Result<(Netlink, Netlink)> {
        let mut notifications = Netlink::open()?;
        notifications.subscribe(Group::Ipv6Address)?;
        Ok((notifications, Netlink::open()?))
    };
    let (mut notifications, mut netlink) = netns.run(sockets)??;
    let index = netlink.index_of(name)?;
    loop {
        let addresses = netlink.list_addresses(index)?;
        if let Some(duplicate) = addresses.iter().find(|address| address.is_duplicate) {
            let message =
                format!("address {} is in use on this network already", duplicate.address.ip());
            return Err(Error::new(Code::Conflict, message));
        }
        let waits = |is_tentative: bool, is_link_local: bool| is_tentative && !is_link_local;
        if !addresses.iter().any(|a| waits(a.is_tentative, a.is_link_local)) {
            return Ok(());
        }
        if notifications.notifications(deadline)?.is_none() {
            let message = format!(
                "duplicate address detection on {name:?} is not done after {} s",
                limit.as_secs()
            );
            return Err(Error::new(Code::Kernel, message));
        }
    }
}

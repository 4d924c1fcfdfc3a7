//! Waiting for the kernel by listening to it. Nothing here sleeps.

use std::time::{Duration, Instant};

use cni_common::error::{Code, Error, Result};
use cni_common::sys::netlink::Group;
use cni_common::sys::{Netlink, Netns};
use ipnetwork::IpNetwork;

/// How long a port may take to pass traffic. The kernel needs a few milliseconds; under heavy load
/// its work queue lags, and while a namespace with a thousand links goes it waits for seconds.
const PORT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an address may take: duplicate address detection one second at the kernel's defaults, and as above.
const DETECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Waits until the host link `name` can pass traffic.
pub(super) fn for_port(netlink: &mut Netlink, name: &str) -> Result<()> {
    if is_operational(netlink, name)? {
        return Ok(());
    }
    let deadline = Instant::now() + PORT_TIMEOUT;
    // Listen first, then look again: what changes in between is heard.
    let mut notifications = Netlink::open()?;
    notifications.subscribe(&[Group::Link])?;
    while !is_operational(netlink, name)? {
        if notifications.notifications(deadline)?.is_none() {
            let limit = PORT_TIMEOUT.as_secs();
            let message = format!("bridge port {name:?} is not up after {limit} s");
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

/// Waits until the IPv6 `addresses` of the link `name` can be used. `netlink` is a socket of the
/// link's namespace, `netns` that namespace if it is not this one.
///
/// Also where duplicate address detection is skipped: the kernel joins the address's multicast
/// group and routes to it a little later, in a work queue.
pub(crate) fn for_addresses(
    netlink: &mut Netlink,
    netns: Option<&Netns>,
    name: &str,
    addresses: &[IpNetwork],
) -> Result<()> {
    if are_usable(netlink, addresses)? {
        return Ok(());
    }
    let deadline = Instant::now() + DETECTION_TIMEOUT;
    let listen = || -> Result<Netlink> {
        let mut notifications = Netlink::open()?;
        notifications.subscribe(&[Group::Ipv6Address, Group::Ipv6Route])?;
        Ok(notifications)
    };
    let mut notifications = match netns {
        Some(netns) => netns.run(listen)?,
        None => listen(),
    }?;
    while !are_usable(netlink, addresses)? {
        refuse_duplicates(netlink, name)?;
        if notifications.notifications(deadline)?.is_none() {
            let limit = DETECTION_TIMEOUT.as_secs();
            let message = format!("addresses of {name:?} are not usable after {limit} s");
            return Err(Error::new(Code::Kernel, message));
        }
    }
    Ok(())
}

fn are_usable(netlink: &mut Netlink, addresses: &[IpNetwork]) -> Result<bool> {
    for address in addresses {
        if !netlink.is_local(address.ip())? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn refuse_duplicates(netlink: &mut Netlink, name: &str) -> Result<()> {
    let index = netlink.index_of(name)?;
    let addresses = netlink.list_addresses(index)?;
    match addresses.iter().find(|address| address.is_duplicate) {
        None => Ok(()),
        Some(duplicate) => {
            let message =
                format!("address {} is in use on this network already", duplicate.address.ip());
            Err(Error::new(Code::Conflict, message))
        }
    }
}

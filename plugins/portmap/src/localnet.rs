//! What the host sends from 127.0.0.1 may leave for the container.

use std::net::IpAddr;

use cni_common::nft::IpVersion;
use cni_common::sys::{Netlink, sysctl};
use cni_common::{Error, Result, log};

use crate::config::{Config, Snat};
use crate::plan;
use crate::target::Targets;

/// Sets `route_localnet` of the link that leads to the container. It stays so: other containers on the
/// same link may need it.
pub fn let_out((config, targets): (&Config, &Targets)) -> Result<()> {
    let is_needed = config.snat != Snat::Nobody && plan::is_mapped(config, IpVersion::V4);
    let target = targets.iter().find(|(version, _)| *version == IpVersion::V4);
    let Some((_, target)) = target.filter(|_| is_needed) else { return Ok(()) };
    let failed = |error: Error| error.context("unable to enable route_localnet");
    // A bridge without an address, as of an internal network, has no way to the container.
    let Some(link) = outgoing_link(target.ip()).map_err(failed)? else {
        log::debug(|| format!("no route_localnet: the host has no route to {}", target.ip()));
        return Ok(());
    };
    let name = format!("ipv4/conf/{link}/route_localnet");
    // Writing it makes the kernel forget its cached routes, even when it is so already.
    if sysctl::read(&name).is_ok_and(|value| value.as_deref() == Some("1")) {
        return Ok(());
    }
    sysctl::write(&name, "1").map_err(failed)
}

fn outgoing_link(ip: IpAddr) -> Result<Option<String>> {
    let mut host = Netlink::open()?;
    let Some(index) = host.find_outgoing_link(ip)? else { return Ok(None) };
    Ok(host.find_link_by_index(index)?.map(|link| link.name))
}

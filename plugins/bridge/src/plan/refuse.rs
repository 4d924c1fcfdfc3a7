//! Refusing what the kernel would, in words of the configuration. Pure.

use std::net::IpAddr;

use cni_common::spec::{CniResult, Route};
use cni_common::{Code, Error, Result};

use super::routes::has_gateway;
use crate::config::{BridgeConfig, Gateway, mixed_families};

/// The smallest MTU of a link with IPv6 (RFC 8200, section 5).
pub(crate) const IPV6_MIN_MTU: u32 = 1280;

/// Refuses addresses and routes that no kernel takes.
pub(super) fn unusable(config: &BridgeConfig, result: &CniResult) -> Result<()> {
    let ipv6 = result.ips.iter().find(|ip| ip.address.is_ipv6());
    if let (Some(ip), Some(mtu)) = (ipv6, config.mtu.filter(|mtu| *mtu < IPV6_MIN_MTU)) {
        let message = format!(
            "mtu: {mtu} is too small for {}: IPv6 needs {IPV6_MIN_MTU} at least",
            ip.address
        );
        return Err(Error::new(Code::InvalidConfig, message));
    }
    result.routes.iter().try_for_each(mixed_families)?;
    let outside = result.ips.iter().find_map(|ip| {
        let gateway = ip.gateway.filter(|gateway| !is_on_link(*gateway, result))?;
        is_used(config, gateway, result).then_some((gateway, ip.address))
    });
    let Some((gateway, address)) = outside else { return Ok(()) };
    let message = format!("gateway {gateway} is outside the subnet of {address}");
    Err(Error::new(Code::InvalidConfig, message)
        .with_details("the container can't reach it: no address and no route leads there"))
}

/// Whether the container has the address on its link: by a subnet, or by a route without gateway.
fn is_on_link(gateway: IpAddr, result: &CniResult) -> bool {
    let is_link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
    is_link_local
        || result.ips.iter().any(|ip| ip.address.contains(gateway))
        || result
            .routes
            .iter()
            .any(|route| route.gw.is_none() && !has_gateway(route) && route.dst.contains(gateway))
}

/// Whether anything fails without it.
fn is_used(config: &BridgeConfig, gateway: IpAddr, result: &CniResult) -> bool {
    let first = result.ips.iter().filter_map(|ip| ip.gateway);
    let first = first.into_iter().find(|ip| ip.is_ipv4() == gateway.is_ipv4());
    let is_family = |route: &&Route| route.dst.is_ipv4() == gateway.is_ipv4();
    config.gateway >= Gateway::Gateway
        || result.routes.iter().filter(is_family).any(|route| {
            route.gw == Some(gateway)
                || (route.gw.is_none() && has_gateway(route) && first == Some(gateway))
        })
}

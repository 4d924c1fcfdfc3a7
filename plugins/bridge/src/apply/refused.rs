//! Why the kernel refused something, in the words of who can change it. Only asks.

use cni_common::error::Error;
use cni_common::sys::{Netlink, Netns, sysctl};
use ipnetwork::IpNetwork;

use crate::plan::IPV6_MIN_MTU;

/// The error of an address that was not added to `link`, with its cause if that can be seen.
/// `netns` is the link's namespace if it is not this one.
pub(super) fn address(
    error: Error,
    netlink: &mut Netlink,
    netns: Option<&Netns>,
    (link, address): (&str, &IpNetwork),
) -> Error {
    if !address.is_ipv6() {
        return error;
    }
    let value = |key: &str| match netns {
        Some(netns) => netns.run(|| sysctl::read(key)).and_then(|read| read).ok().flatten(),
        None => sysctl::read(key).ok().flatten(),
    };
    let mtu = netlink.find_link(link).ok().flatten().map(|link| link.mtu);
    if let Some(mtu) = mtu.filter(|mtu| *mtu < IPV6_MIN_MTU) {
        let cause = format!("{link:?} has MTU {mtu}, and IPv6 needs {IPV6_MIN_MTU} at least");
        return error.with_details(cause);
    }
    if value("ipv6/conf/all/disable_ipv6").is_none() {
        return error.with_details("IPv6 is switched off in this kernel");
    }
    if value(&format!("ipv6/conf/{link}/disable_ipv6")).as_deref() != Some("1") {
        return error;
    }
    // sysctl(8) writes the dots of a name as slashes.
    let key = format!("net.ipv6.conf.{}.disable_ipv6", link.replace('.', "/"));
    let default = "net.ipv6.conf.default.disable_ipv6";
    let place = if netns.is_some() { "in the container's namespace " } else { "" };
    error
        .with_details(format!("IPv6 is switched off: {place}{key} is 1; set it and {default} to 0"))
}

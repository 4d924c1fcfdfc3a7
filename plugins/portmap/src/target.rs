//! The container's addresses that host ports lead to, out of `prevResult`. Pure.

use cni_common::nft::IpVersion;
use cni_common::spec::{CniResult, Ip};
use cni_common::types::IfName;
use ipnetwork::IpNetwork;

/// The first address of each IP version, with its subnet's prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets(Vec<IpNetwork>);

impl Targets {
    /// Those of the container's interface. An address that names no interface, or none that is in the
    /// result, counts as its.
    pub fn of(result: &CniResult, ifname: &IfName) -> Self {
        let ips = || result.ips.iter().filter(|ip| is_of(ip, result, ifname)).map(|ip| ip.address);
        let first = [ips().find(IpNetwork::is_ipv4), ips().find(IpNetwork::is_ipv6)];
        Self(first.into_iter().flatten().collect())
    }

    /// The addresses with their versions.
    pub fn iter(&self) -> impl Iterator<Item = (IpVersion, IpNetwork)> {
        self.0.iter().map(|address| (crate::mapping::version_of(address.ip()), *address))
    }
}

fn is_of(ip: &Ip, result: &CniResult, ifname: &IfName) -> bool {
    let index = ip.interface.and_then(|index| usize::try_from(index).ok());
    match index.and_then(|index| result.interfaces.get(index)) {
        Some(interface) => interface.name == ifname.as_str() && !interface.sandbox.is_empty(),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use cni_common::spec::Interface;

    use super::*;

    #[test]
    fn an_address_of_another_interface_is_passed_over() {
        let interface = |name: &str, sandbox: &str| Interface {
            name: name.to_owned(),
            sandbox: sandbox.to_owned(),
            ..Interface::default()
        };
        let ip = |address: &str, interface| Ip {
            interface,
            address: address.parse().unwrap(),
            gateway: None,
        };
        let mut result = CniResult {
            interfaces: vec![
                interface("eth0", ""),
                interface("eth0", "/n"),
                interface("net1", "/n"),
            ],
            ips: vec![
                ip("10.0.0.2/24", Some(0)),
                ip("10.0.0.3/24", Some(2)),
                ip("10.0.0.4/24", Some(1)),
                ip("10.0.0.5/24", None),
                ip("fd00::6/64", Some(9)),
            ],
            ..CniResult::default()
        };
        let targets = |result: &CniResult| -> Vec<String> {
            let targets = Targets::of(result, &"eth0".parse().unwrap());
            targets.iter().map(|(_, address)| address.to_string()).collect()
        };
        assert_eq!(targets(&result), ["10.0.0.4/24", "fd00::6/64"]);
        result.interfaces.clear();
        assert_eq!(targets(&result), ["10.0.0.2/24", "fd00::6/64"]);
    }
}

//! Reading addresses as the reference reads them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

/// An address with a prefix length, `10.88.0.5/16`: the host part is kept, the length is required
/// and is a number (`10.0.0.0/255.0.0.0` is not CIDR notation).
pub fn parse_cidr(text: &str) -> Option<IpNetwork> {
    let (address, length) = text.split_once('/')?;
    if length.is_empty() || length.len() > 3 || !length.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    IpNetwork::new(address.parse().ok()?, length.parse().ok()?).ok()
}

/// An address; `::ffff:10.0.0.1` is the IPv4 address in it, as everywhere in CNI.
pub fn parse_ip(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// The first address after the network's own: the gateway nobody named.
///
/// `None` when the network is the last of the address space and has no next address.
pub fn first_address(network: &IpNetwork) -> Option<IpAddr> {
    match network.network() {
        IpAddr::V4(ip) => u32::from(ip).checked_add(1).map(|next| Ipv4Addr::from(next).into()),
        IpAddr::V6(ip) => u128::from(ip).checked_add(1).map(|next| Ipv6Addr::from(next).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_required_and_is_a_number() {
        assert_eq!(parse_cidr("10.88.0.5/16").unwrap().to_string(), "10.88.0.5/16");
        for bad in [
            "10.0.0.1",
            "10.0.0.0/255.0.0.0",
            "10.0.0.1/33",
            "10.0.0.1/",
            "/8",
            "x/8",
            "10.0.0.1/+8",
        ] {
            assert_eq!(parse_cidr(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_first_address_follows_the_network() {
        let first = |text| first_address(&parse_cidr(text).unwrap()).unwrap().to_string();
        assert_eq!(first("10.1.2.3/16"), "10.1.0.1");
        assert_eq!(first("fd00::/64"), "fd00::1");
    }
}

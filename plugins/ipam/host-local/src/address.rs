//! Addresses as 128-bit numbers, IPv4 in its IPv4-mapped place, so that arithmetic and comparison
//! need no family. Pure.

mod spans;

use std::net::{IpAddr, Ipv6Addr};

pub use spans::{Spans, first_overlap};

/// The place of IPv4 among 128-bit numbers: `::ffff:0:0/96`.
const IPV4_MAPPED: u128 = 0xffff_0000_0000;

/// The number of `ip`.
pub fn number_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => IPV4_MAPPED | u128::from(u32::from(ip)),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// The address with this number.
pub fn address_of(number: u128) -> IpAddr {
    Ipv6Addr::from(number).to_canonical()
}

/// Consecutive addresses, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first one's number.
    pub first: u128,
    /// The last one's number.
    pub last: u128,
}

impl Span {
    /// From `first` to `last`.
    pub fn new(first: IpAddr, last: IpAddr) -> Self {
        Self { first: number_of(first), last: number_of(last) }
    }

    /// Whether `ip` is one of them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        (self.first..=self.last).contains(&number_of(ip))
    }

    /// Whether the two have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// How many there are; `u128::MAX` also stands for one more than that.
    pub fn count(&self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_addresses_are_the_same_thing() {
        for text in ["10.88.0.5", "0.0.0.0", "fd00::5", "::1", "::1.2.3.4", "255.255.255.255"] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(address_of(number_of(ip)), ip);
        }
        // File names follow Go's text form.
        assert_eq!("::1.2.3.4".parse::<IpAddr>().unwrap().to_string(), "::102:304");
    }
}

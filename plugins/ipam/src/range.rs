//! Ranges of addresses and sets of them, checked as the reference checks them. Pure.
//!
//! An address is counted as a 128-bit number, IPv4 in its IPv4-mapped place, so that arithmetic and
//! comparison need no family.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cni_common::types::first_address;
use cni_common::{Code, Error, Result};
use ipnetwork::IpNetwork;

/// The place of IPv4 among 128-bit numbers: `::ffff:0:0/96`.
const IPV4_MAPPED: u128 = 0xffff_0000_0000;

/// The number of `ip`.
pub(crate) fn number_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => IPV4_MAPPED | u128::from(u32::from(ip)),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// The address with this number.
pub(crate) fn address_of(number: u128) -> IpAddr {
    Ipv6Addr::from(number).to_canonical()
}

/// Consecutive addresses, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first one's number.
    pub(crate) first: u128,
    /// The last one's number.
    pub(crate) last: u128,
}

impl Span {
    /// From `first` to `last`.
    pub(crate) fn new(first: IpAddr, last: IpAddr) -> Self {
        Self { first: number_of(first), last: number_of(last) }
    }

    /// Whether `ip` is one of them.
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        (self.first..=self.last).contains(&number_of(ip))
    }

    /// How many there are; `u128::MAX` also stands for one more than that.
    pub(crate) fn count(&self) -> u128 {
        (self.last - self.first).saturating_add(1)
    }
}

/// A range as it is written in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeSpec {
    /// `subnet`.
    pub(crate) subnet: IpNetwork,
    /// `rangeStart`.
    pub(crate) start: Option<IpAddr>,
    /// `rangeEnd`.
    pub(crate) end: Option<IpAddr>,
    /// `gateway`.
    pub(crate) gateway: Option<IpAddr>,
    /// `exclude`.
    pub(crate) exclude: Vec<Span>,
}

/// A checked range: every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// The network its addresses belong to.
    pub(crate) subnet: IpNetwork,
    /// First and last address.
    pub(crate) span: Span,
    /// Never given out.
    pub(crate) gateway: IpAddr,
    /// Never given out either.
    pub(crate) exclude: Vec<Span>,
}

impl Range {
    /// Checks `spec`, in the reference's order and words.
    pub(crate) fn check(spec: RangeSpec) -> Result<Self> {
        let subnet = spec.subnet;
        let network = subnet.network();
        if subnet.ip() != network {
            return Err(invalid(format!(
                "Network has host bits set. For a subnet mask of length {} the network address is {network}",
                subnet.prefix()
            )));
        }
        let longest = if subnet.is_ipv4() { 30 } else { 126 };
        if subnet.prefix() > longest {
            return Err(invalid(format!("Network {subnet} too small to allocate from")));
        }
        if is_mapped(&subnet) {
            return Err(invalid(format!("Network {subnet} is IPv4 written as IPv6")));
        }
        let first = first_address(&subnet).unwrap_or(network);
        let start = spec.start.unwrap_or(first);
        let end = spec.end.unwrap_or_else(|| last_address(&subnet));
        let span = Span::new(start, end);
        if !subnet.contains(start) || (spec.end.is_some() && span.first > span.last) {
            return Err(invalid(format!("RangeStart {start} not in network {subnet}")));
        }
        if !subnet.contains(end) || span.first > span.last {
            return Err(invalid(format!("RangeEnd {end} not in network {subnet}")));
        }
        let gateway = spec.gateway.unwrap_or(first);
        Ok(Self { subnet, span, gateway, exclude: spec.exclude })
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.span.first <= other.span.last && other.span.first <= self.span.last
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", address_of(self.span.first), address_of(self.span.last))
    }
}

/// An IPv6 network that holds nothing but IPv4 addresses: its files would be named as theirs.
fn is_mapped(subnet: &IpNetwork) -> bool {
    match subnet {
        IpNetwork::V4(_) => false,
        IpNetwork::V6(subnet) => subnet.prefix() >= 96 && subnet.ip().to_ipv4_mapped().is_some(),
    }
}

/// The last address to be given: before the broadcast address in IPv4, the very last in IPv6.
fn last_address(subnet: &IpNetwork) -> IpAddr {
    match subnet {
        IpNetwork::V4(subnet) => Ipv4Addr::from(u32::from(subnet.broadcast()) - 1).into(),
        IpNetwork::V6(subnet) => subnet.broadcast().into(),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::InvalidConfig, message)
}

/// Ranges of one family, one address of which a container gets. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangeSet {
    ranges: Vec<Range>,
}

impl RangeSet {
    /// Checks the ranges and that they are of one family and apart.
    pub(crate) fn check(specs: Vec<RangeSpec>) -> Result<Self> {
        let ranges: Vec<Range> = specs.into_iter().map(Range::check).collect::<Result<_>>()?;
        let Some(first) = ranges.first() else { return Err(invalid("empty range set")) };
        if ranges.iter().any(|range| range.subnet.is_ipv4() != first.subnet.is_ipv4()) {
            return Err(invalid("mixed address families"));
        }
        let mut pairs = ranges
            .iter()
            .enumerate()
            .flat_map(|(index, one)| ranges.iter().skip(index + 1).map(move |other| (one, other)));
        match pairs.find(|(one, other)| one.overlaps(other)) {
            Some((one, other)) => Err(invalid(format!("subnets {one} and {other} overlap"))),
            None => Ok(Self { ranges }),
        }
    }

    /// The ranges in their order.
    pub(crate) fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// Whether its addresses are IPv4.
    pub(crate) fn is_ipv4(&self) -> bool {
        self.ranges.iter().any(|range| range.subnet.is_ipv4())
    }

    /// The range that `ip` lies in.
    pub(crate) fn range_of(&self, ip: IpAddr) -> Option<&Range> {
        self.ranges.iter().find(|range| range.span.contains(ip))
    }

    /// Whether the two sets have an address in common.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.ranges.iter().any(|one| other.ranges.iter().any(|another| one.overlaps(another)))
    }
}

impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{range}")?;
        }
        Ok(())
    }
}

/// Refuses sets that overlap, naming the first two.
pub(crate) fn refuse_overlap(sets: &[RangeSet]) -> Result<()> {
    for (index, one) in sets.iter().enumerate() {
        for (other_index, other) in sets.iter().enumerate().skip(index + 1) {
            if one.overlaps(other) {
                return Err(invalid(format!("range set {index} overlaps with {other_index}")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(subnet: &str) -> RangeSpec {
        RangeSpec {
            subnet: cni_common::types::parse_cidr(subnet).unwrap(),
            start: None,
            end: None,
            gateway: None,
            exclude: Vec::new(),
        }
    }

    fn with(subnet: &str, start: &str, end: &str) -> RangeSpec {
        RangeSpec { start: start.parse().ok(), end: end.parse().ok(), ..spec(subnet) }
    }

    #[test]
    fn defaults_leave_out_network_and_broadcast() {
        let range = Range::check(spec("10.0.0.0/24")).unwrap();
        assert_eq!(range.to_string(), "10.0.0.1-10.0.0.254");
        assert_eq!(range.gateway.to_string(), "10.0.0.1");
        let range = Range::check(spec("fd00::/64")).unwrap();
        assert_eq!(range.to_string(), "fd00::1-fd00::ffff:ffff:ffff:ffff");
        assert_eq!(Range::check(spec("0.0.0.0/0")).unwrap().span.count(), 0xffff_fffe);
        assert_eq!(Range::check(spec("::/0")).unwrap().span.count(), u128::MAX);
    }

    #[test]
    fn a_fault_is_reported_in_the_words_of_the_reference() {
        let said = |spec| Range::check(spec).unwrap_err().message().to_owned();
        assert_eq!(
            said(spec("10.0.0.9/24")),
            "Network has host bits set. For a subnet mask of length 24 the network address is 10.0.0.0"
        );
        assert_eq!(said(spec("10.0.0.0/31")), "Network 10.0.0.0/31 too small to allocate from");
        assert_eq!(said(spec("fd00::/127")), "Network fd00::/127 too small to allocate from");
        assert_eq!(
            said(with("10.0.0.0/24", "10.0.1.5", "")),
            "RangeStart 10.0.1.5 not in network 10.0.0.0/24"
        );
        assert_eq!(
            said(with("10.0.0.0/24", "", "10.0.1.5")),
            "RangeEnd 10.0.1.5 not in network 10.0.0.0/24"
        );
        assert_eq!(
            said(with("10.0.0.0/24", "10.0.0.9", "10.0.0.8")),
            "RangeStart 10.0.0.9 not in network 10.0.0.0/24"
        );
        assert!(said(spec("::ffff:10.0.0.0/120")).contains("IPv4 written as IPv6"));
        assert!(Range::check(with("10.0.0.0/24", "10.0.0.8", "10.0.0.8")).is_ok());
    }

    #[test]
    fn a_set_is_of_one_family_and_its_ranges_are_apart() {
        let said = |specs: Vec<_>| RangeSet::check(specs).unwrap_err().message().to_owned();
        assert_eq!(said(vec![spec("10.0.0.0/24"), spec("fd00::/64")]), "mixed address families");
        assert_eq!(
            said(vec![spec("10.0.0.0/16"), spec("10.0.3.0/24")]),
            "subnets 10.0.0.1-10.0.255.254 and 10.0.3.1-10.0.3.254 overlap"
        );
        assert_eq!(said(Vec::new()), "empty range set");
        let halves = vec![
            with("10.0.0.0/24", "10.0.0.2", "10.0.0.9"),
            with("10.0.0.0/24", "10.0.0.10", "10.0.0.20"),
        ];
        assert_eq!(
            RangeSet::check(halves).unwrap().to_string(),
            "10.0.0.2-10.0.0.9,10.0.0.10-10.0.0.20"
        );
    }

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

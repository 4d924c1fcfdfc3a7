//! Ranges of addresses and sets of them, checked as the reference checks them. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use cni_common::types::first_address;
use cni_common::{Code, Error, Result};
use ipnetwork::IpNetwork;

use crate::address::{Span, Spans, address_of, first_overlap, number_of};

/// A range as it is written in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeSpec {
    /// `subnet`.
    pub subnet: IpNetwork,
    /// `rangeStart`.
    pub start: Option<IpAddr>,
    /// `rangeEnd`.
    pub end: Option<IpAddr>,
    /// `gateway`.
    pub gateway: Option<IpAddr>,
    /// `exclude`.
    pub exclude: Vec<Span>,
}

/// A checked range: every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The network its addresses belong to.
    pub subnet: IpNetwork,
    /// First and last address.
    pub span: Span,
    /// Never allocated.
    pub gateway: IpAddr,
    /// Never allocated either.
    pub exclude: Spans,
}

impl Range {
    /// Checks `spec`, in the reference's order and words.
    pub fn check(spec: RangeSpec) -> Result<Self> {
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
        Ok(Self { subnet, span, gateway, exclude: Spans::of(spec.exclude) })
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

/// The last address to be allocated: before the broadcast address in IPv4, the very last in IPv6.
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
pub struct RangeSet {
    ranges: Vec<Range>,
    /// Places in `ranges`, in the order of their addresses.
    sorted: Vec<usize>,
}

impl RangeSet {
    /// Checks the ranges and that they are of one family and apart.
    pub fn check(specs: Vec<RangeSpec>) -> Result<Self> {
        let ranges: Vec<Range> = specs.into_iter().map(Range::check).collect::<Result<_>>()?;
        let Some(first) = ranges.first() else { return Err(invalid("empty range set")) };
        if ranges.iter().any(|range| range.subnet.is_ipv4() != first.subnet.is_ipv4()) {
            return Err(invalid("mixed address families"));
        }
        let spans: Vec<Span> = ranges.iter().map(|range| range.span).collect();
        let of = |(one, other)| Some((ranges.get(one)?, ranges.get(other)?));
        if let Some((one, other)) = first_overlap(&spans).and_then(of) {
            return Err(invalid(format!("subnets {one} and {other} overlap")));
        }
        let mut sorted: Vec<usize> = (0..ranges.len()).collect();
        sorted.sort_unstable_by_key(|place| spans.get(*place).map(|span| span.first));
        Ok(Self { ranges, sorted })
    }

    /// Takes `everywhere` out of every range, besides what each excludes itself.
    pub fn exclude(&mut self, everywhere: &Spans) {
        for range in &mut self.ranges {
            let more: Vec<Span> = everywhere.within(range.span).collect();
            if !more.is_empty() {
                let own = range.exclude.within(range.span);
                range.exclude = Spans::of(own.chain(more).collect());
            }
        }
    }

    /// The ranges in their order.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// Whether its addresses are IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.ranges.iter().any(|range| range.subnet.is_ipv4())
    }

    /// The range that `ip` lies in.
    pub fn range_of(&self, ip: IpAddr) -> Option<&Range> {
        let at = number_of(ip);
        self.touching(Span { first: at, last: at })
    }

    /// Whether the two sets have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (few, many) = match self.ranges.len() <= other.ranges.len() {
            true => (self, other),
            false => (other, self),
        };
        few.ranges.iter().any(|range| many.touching(range.span).is_some())
    }

    /// A range that has an address in common with `span`.
    fn touching(&self, span: Span) -> Option<&Range> {
        let range = |place: &usize| self.ranges.get(*place);
        let before = |place: &usize| range(place).is_some_and(|range| range.span.last < span.first);
        let found = self.sorted.get(self.sorted.partition_point(before)).and_then(range);
        found.filter(|range| range.span.overlaps(&span))
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
pub fn refuse_overlap(sets: &[RangeSet]) -> Result<()> {
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
}

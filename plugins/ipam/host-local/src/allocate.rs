//! In which order a set's addresses are tried. Pure.
//!
//! Round robin: the address after the one allocated last comes first, then on over the set's ranges and
//! around to the one allocated last itself. Gateways and excluded addresses are left out. The order is a
//! list of spans, so that it costs the same for a /24 and a /64.

use std::net::IpAddr;

use cni_common::{Code, Error, Result};

use crate::address::{Span, Spans, number_of};
use crate::range::{Range, RangeSet};

/// The spans of `set` in the order to be tried after `last` was allocated.
pub fn order(set: &RangeSet, last: Option<IpAddr>) -> Vec<Span> {
    let ranges = set.ranges();
    let whole = |range: &Range| without(range.span, range);
    let found = last.and_then(|last| {
        let index = ranges.iter().position(|range| range.span.contains(last))?;
        Some((index, ranges.get(index)?, number_of(last)))
    });
    let Some((index, range, last)) = found else { return ranges.iter().flat_map(whole).collect() };
    let mut spans = Vec::new();
    if last < range.span.last {
        spans.extend(without(Span { first: last + 1, last: range.span.last }, range));
    }
    let others = ranges.iter().cycle().skip(index + 1).take(ranges.len() - 1);
    spans.extend(others.flat_map(whole));
    spans.extend(without(Span { first: range.span.first, last }, range));
    spans
}

/// What may be allocated of `range`, in its own order.
pub(crate) fn allocatable(range: &Range) -> Vec<Span> {
    without(range.span, range)
}

/// What is left of `spans` behind `ip`, which is in one of them.
pub fn after(spans: &[Span], ip: IpAddr) -> Vec<Span> {
    let at = number_of(ip);
    let mut left = spans.iter().skip_while(|span| !span.contains(ip));
    let rest = left.next().filter(|span| span.last > at);
    let rest = rest.map(|span| Span { first: at + 1, last: span.last });
    rest.into_iter().chain(left.copied()).collect()
}

/// The error for a set of which nothing may be allocated, whatever is held.
pub(crate) fn refuse_empty(set: &RangeSet, code: Code) -> Result<()> {
    if set.ranges().iter().any(|range| !allocatable(range).is_empty()) {
        return Ok(());
    }
    let gateways: Vec<String> =
        set.ranges().iter().map(|range| range.gateway.to_string()).collect();
    let details = format!(
        "its only addresses are the gateway ({}) and excluded ones: give it a larger range, or \
         another gateway",
        gateways.join(", ")
    );
    let message = format!("no IP addresses available in range set: {set}");
    Err(Error::new(code, message).with_details(details))
}

/// Whether `ip` is one of the addresses that may be allocated of `set`.
pub fn is_allocatable(set: &RangeSet, ip: IpAddr) -> bool {
    set.range_of(ip).is_some_and(|range| range.gateway != ip && !is_excluded(range, ip))
}

/// Whether the configuration keeps `ip` of `range` from being allocated.
pub(crate) fn is_excluded(range: &Range, ip: IpAddr) -> bool {
    range.exclude.contains(ip)
}

/// `span` without the range's gateway and its excluded addresses.
fn without(span: Span, range: &Range) -> Vec<Span> {
    let gateway = Spans::of(vec![Span::new(range.gateway, range.gateway)]);
    let left = range.exclude.cut_from(span);
    left.into_iter().flat_map(|span| gateway.cut_from(span)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::address_of;
    use crate::range::RangeSpec;
    use cni_common::types::parse_cidr;

    fn range(subnet: &str, start: &str, end: &str) -> RangeSpec {
        RangeSpec {
            subnet: parse_cidr(subnet).unwrap(),
            start: start.parse().ok(),
            end: end.parse().ok(),
            gateway: None,
            exclude: Vec::new(),
        }
    }

    fn shown(spans: &[Span]) -> String {
        let span = |span: &Span| format!("{}-{}", address_of(span.first), address_of(span.last));
        spans.iter().map(span).collect::<Vec<_>>().join(" ")
    }

    fn two_ranges() -> RangeSet {
        RangeSet::check(vec![
            range("10.0.0.0/24", "", "10.0.0.9"),
            range("10.0.1.0/24", "10.0.1.5", "10.0.1.6"),
        ])
        .unwrap()
    }

    #[test]
    fn nothing_allocated_yet_starts_at_the_first_range() {
        assert_eq!(shown(&order(&two_ranges(), None)), "10.0.0.2-10.0.0.9 10.0.1.5-10.0.1.6");
        let elsewhere = "192.168.0.1".parse().ok();
        assert_eq!(order(&two_ranges(), elsewhere), order(&two_ranges(), None));
    }

    #[test]
    fn the_order_goes_on_after_the_last_one_and_ends_with_it() {
        let after = |last: &str| shown(&order(&two_ranges(), last.parse().ok()));
        assert_eq!(after("10.0.0.4"), "10.0.0.5-10.0.0.9 10.0.1.5-10.0.1.6 10.0.0.2-10.0.0.4");
        assert_eq!(after("10.0.0.9"), "10.0.1.5-10.0.1.6 10.0.0.2-10.0.0.9");
        assert_eq!(after("10.0.1.6"), "10.0.0.2-10.0.0.9 10.0.1.5-10.0.1.6");
        assert_eq!(after("10.0.0.1"), "10.0.0.2-10.0.0.9 10.0.1.5-10.0.1.6");
    }

    #[test]
    fn excluded_addresses_are_holes() {
        let mut spec = range("10.0.0.0/24", "", "10.0.0.20");
        let hole =
            |first: &str, last: &str| Span::new(first.parse().unwrap(), last.parse().unwrap());
        spec.exclude = vec![
            hole("10.0.0.5", "10.0.0.7"),
            hole("10.0.0.7", "10.0.0.8"),
            hole("10.0.0.20", "10.0.0.30"),
            hole("9.0.0.0", "9.255.255.255"),
        ];
        let set = RangeSet::check(vec![spec]).unwrap();
        assert_eq!(shown(&order(&set, None)), "10.0.0.2-10.0.0.4 10.0.0.9-10.0.0.19");
        let after = order(&set, "10.0.0.6".parse().ok());
        assert_eq!(shown(&after), "10.0.0.9-10.0.0.19 10.0.0.2-10.0.0.4");
    }

    #[test]
    fn what_is_behind_an_address_is_left() {
        let spans = order(&two_ranges(), "10.0.0.4".parse().ok());
        let left = |ip: &str| shown(&after(&spans, ip.parse().unwrap()));
        assert_eq!(left("10.0.0.9"), "10.0.1.5-10.0.1.6 10.0.0.2-10.0.0.4");
        assert_eq!(left("10.0.1.5"), "10.0.1.6-10.0.1.6 10.0.0.2-10.0.0.4");
        assert_eq!(left("10.0.0.4"), "");
    }

    #[test]
    fn a_range_of_any_size_is_a_few_spans() {
        let set = RangeSet::check(vec![range("fd00::/8", "", "")]).unwrap();
        assert_eq!(order(&set, "fd00::5".parse().ok()).len(), 2);
        let everything = RangeSet::check(vec![range("::/0", "", "")]).unwrap();
        assert_eq!(order(&everything, None).len(), 1);
    }
}

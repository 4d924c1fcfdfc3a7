//! Many spans at once, without comparing each with each: a configuration may name thousands. Pure.

use std::net::IpAddr;

use super::{Span, number_of};

/// Addresses as spans that are sorted and apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// All addresses of `spans`, which may overlap and come in any order.
    pub fn of(mut spans: Vec<Span>) -> Self {
        spans.sort_unstable_by_key(|span| (span.first, span.last));
        let mut apart: Vec<Span> = Vec::new();
        for next in spans {
            match apart.last_mut() {
                Some(before) if next.first <= before.last.saturating_add(1) => {
                    before.last = before.last.max(next.last);
                }
                _ => apart.push(next),
            }
        }
        Self(apart)
    }

    /// Whether `ip` is one of them.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let at = number_of(ip);
        self.within(Span { first: at, last: at }).next().is_some()
    }

    /// Those that have an address in common with `span`.
    pub fn within(&self, span: Span) -> impl Iterator<Item = Span> {
        let start = self.0.partition_point(|own| own.last < span.first);
        self.0.iter().skip(start).take_while(move |own| own.first <= span.last).copied()
    }

    /// What is left of `span` without them, in order.
    pub fn cut_from(&self, span: Span) -> Vec<Span> {
        let mut left = Vec::new();
        let mut next = Some(span.first);
        for hole in self.within(span) {
            match next {
                Some(first) if first < hole.first => {
                    left.push(Span { first, last: hole.first - 1 });
                }
                _ => {}
            }
            next = hole.last.checked_add(1);
        }
        left.extend(next.filter(|first| *first <= span.last).map(|first| Span { first, ..span }));
        left
    }
}

/// The first span that has an address in common with a later one, and the first such one, as their
/// places in `spans`.
pub fn first_overlap(spans: &[Span]) -> Option<(usize, usize)> {
    let mut sorted: Vec<(usize, &Span)> = spans.iter().enumerate().collect();
    sorted.sort_unstable_by_key(|(_, span)| span.first);
    let mut least: Option<usize> = None;
    // The one that reaches furthest of those before: an overlap with any is one with it.
    let mut furthest: Option<(usize, &Span)> = None;
    for (place, span) in sorted {
        if let Some((other, reach)) = furthest {
            if reach.last >= span.first {
                least = Some(least.map_or(place, |least| least.min(place)).min(other));
            }
            if reach.last >= span.last {
                continue;
            }
        }
        furthest = Some((place, span));
    }
    // The least place that overlaps anything: its partners all come later.
    let one = spans.get(least?)?;
    let partner = |(place, other): (usize, &Span)| one.overlaps(other).then_some(place);
    let found = spans.iter().enumerate().skip(least? + 1).find_map(partner)?;
    Some((least?, found))
}

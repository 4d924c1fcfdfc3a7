//! The kernel's answers as values, and requests as the bytes that it is sent.

use std::collections::{HashMap, HashSet};

use super::message::{TrafficMessage, each, find, find_all, text};
use super::{ACTIONS, KIND, OPTIONS, ROOT, Traffic, bucket, filter, filter_request, root_request};
use crate::error::Result;
use crate::sys::socket::{append, read_datagram};
use crate::types::traffic::{Filter, FoundFilter, Hook, Qdisc, ShownBucket, TokenBucket};

/// What one datagram of answers says.
#[derive(Debug)]
pub struct Answers {
    /// Queueing disciplines.
    pub qdiscs: Vec<Qdisc>,
    /// The token buckets at the roots of links, by the links' indices.
    pub buckets: HashMap<u32, ShownBucket>,
    /// Filters.
    pub filters: Vec<FoundFilter>,
    /// The indices of the links that actions send packets by.
    pub redirect_targets: HashSet<u32>,
}

/// Reads a datagram of answers, each message as all that one can be an answer to.
pub fn read_answers(datagram: &[u8]) -> Result<Answers> {
    let messages = read_datagram::<Traffic>(datagram)?.into_iter();
    let answer: Vec<_> = messages.filter_map(|message| message.object()).collect();
    Ok(Answers {
        qdiscs: answer.iter().filter_map(read_qdisc).collect(),
        buckets: read_buckets(&answer),
        filters: read_filters(&answer),
        redirect_targets: read_redirect_targets(&answer),
    })
}

/// The bytes of the request for a token bucket at the root of a link.
pub fn write_root(index: u32, bucket: &TokenBucket) -> Vec<u8> {
    written(&root_request(index, bucket))
}

/// The bytes of the request for a filter of a link.
pub fn write_filter(index: u32, hook: Hook, filter: &Filter) -> Vec<u8> {
    written(&filter_request(index, hook, filter))
}

fn written(request: &TrafficMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    append(&mut bytes, request, (0, 0));
    bytes
}

/// The token buckets at the roots of links, by the links' indices.
pub(super) fn read_buckets(answer: &[TrafficMessage]) -> HashMap<u32, ShownBucket> {
    let at_root = |message: &TrafficMessage| {
        let head = message.head().filter(|head| head.parent == ROOT)?;
        Some((head.index, read_qdisc(message)?.bucket?))
    };
    answer.iter().filter_map(at_root).collect()
}

pub(super) fn read_filters(answer: &[TrafficMessage]) -> Vec<FoundFilter> {
    answer.iter().filter_map(read_filter).collect()
}

pub(super) fn read_redirect_targets(answer: &[TrafficMessage]) -> HashSet<u32> {
    let targets = answer.iter().flat_map(|message| {
        let actions = find_all(message.action_attributes(), ACTIONS).flat_map(each);
        actions.filter_map(|(_, action)| filter::redirected_to(action))
    });
    targets.collect()
}

pub(super) fn read_qdisc(message: &TrafficMessage) -> Option<Qdisc> {
    let attributes = message.attributes();
    let kind = text(find(attributes, KIND)?);
    let bucket = match kind.as_str() {
        "tbf" => find(attributes, OPTIONS).and_then(bucket::read),
        _ => None,
    };
    Some(Qdisc { kind, handle: message.head()?.handle, bucket })
}

/// A filter out of a message; `None` for messages that describe the list of filters itself.
fn read_filter(message: &TrafficMessage) -> Option<FoundFilter> {
    /// Of u32, the lists of filters have handles that end with so many zeros.
    const OF_FILTERS: u32 = 0xf_ffff;
    let head = message.head()?;
    let attributes = message.attributes();
    let kind = text(find(attributes, KIND)?);
    let (selector, verdict) = match kind.as_str() {
        "u32" if head.handle & OF_FILTERS == 0 => return None,
        "u32" => find(attributes, OPTIONS).map(filter::read)?,
        _ if head.handle == 0 => return None,
        _ => (None, None),
    };
    let [high, low] = u16::try_from(head.info & 0xffff).unwrap_or_default().to_ne_bytes();
    Some(FoundFilter {
        priority: u16::try_from(head.info >> 16).unwrap_or_default(),
        protocol: u16::from_be_bytes([high, low]),
        kind,
        handle: head.handle,
        selector,
        verdict,
    })
}

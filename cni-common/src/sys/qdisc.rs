//! Traffic control: queueing disciplines of links, and filters that send packets by other links. An
//! rtnetlink socket of its own, as the messages are read in another way.

mod answer;
mod bucket;
mod filter;
mod message;

use std::collections::{HashMap, HashSet};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;

pub use self::answer::{Answers, read_answers, write_filter, write_root};
use self::answer::{read_buckets, read_filters, read_qdisc, read_redirect_targets};
use self::message::{Attributes, Head, TrafficMessage};
use super::socket::{Protocol, Socket};
use crate::error::{Error, Result};
use crate::types::traffic::{
    Classifier, Filter, FoundFilter, Hook, Qdisc, ROOT_HANDLE, ShownBucket, TokenBucket,
};

/// `RTM_*` of linux/rtnetlink.h.
const NEW_QDISC: u16 = 36;
const DELETE_QDISC: u16 = 37;
const GET_QDISC: u16 = 38;
const NEW_FILTER: u16 = 44;
const DELETE_FILTER: u16 = 45;
const GET_FILTER: u16 = 46;
const GET_ACTION: u16 = 50;
/// `TCA_*`.
const KIND: u16 = 1;
const OPTIONS: u16 = 2;
/// `TCA_ROOT_TAB`, of messages about actions; their kind is in the first of it.
const ACTIONS: u16 = 1;
/// `TC_H_ROOT`, `TC_H_CLSACT`, and the handle that whatever is there has.
const ROOT: u32 = 0xffff_ffff;
const CLASSIFIER: u32 = 0xffff_fff1;
const CLASSIFIER_HANDLE: u32 = 0xffff_0000;

/// The protocol of queueing disciplines and filters.
#[derive(Debug)]
pub enum Traffic {}

impl Protocol for Traffic {
    const NUMBER: isize = NETLINK_ROUTE;
    const NAME: &'static str = "netlink";
    type Message = TrafficMessage;
}

/// A socket for queueing disciplines and filters of the namespace it was opened in.
pub type TrafficControl = Socket<Traffic>;

/// What is done where there is such a queueing discipline already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays (`EEXIST`).
    Refuse,
    /// It becomes what is asked for.
    Change,
}

impl Hook {
    /// `TC_H_MIN_INGRESS` and `TC_H_MIN_EGRESS` of `clsact`; the first also of `ingress`.
    fn parent(self) -> u32 {
        match self {
            Self::Received => 0xffff_fff2,
            Self::Sent => 0xffff_fff3,
        }
    }
}

impl TrafficControl {
    /// The queueing discipline at the root of a link; `None` if it is the kernel's own choice.
    pub fn find_root(&mut self, index: u32) -> Result<Option<Qdisc>> {
        let found = self.find_qdisc(index, ROOT)?;
        Ok(found.filter(|qdisc| qdisc.handle != 0))
    }

    /// What keeps the filters of a link.
    pub fn find_classifier(&mut self, index: u32) -> Result<Option<Classifier>> {
        let found = self.find_qdisc(index, CLASSIFIER)?;
        Ok(found.and_then(|qdisc| match qdisc.kind.as_str() {
            "clsact" => Some(Classifier::Clsact),
            "ingress" => Some(Classifier::Ingress),
            _ => None,
        }))
    }

    fn find_qdisc(&mut self, index: u32, parent: u32) -> Result<Option<Qdisc>> {
        let head = Head { index, parent, ..Head::default() };
        let request = TrafficMessage::new(GET_QDISC, head, Attributes::default());
        match self.get_echoed(&request) {
            Ok(message) => Ok(message.as_ref().and_then(read_qdisc)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The token buckets at the roots of all links, by the links' indices.
    pub fn list_buckets(&mut self) -> Result<HashMap<u32, ShownBucket>> {
        let request = TrafficMessage::new(GET_QDISC, Head::default(), Attributes::default());
        Ok(read_buckets(&self.dump(&request)?))
    }

    /// Puts a token bucket with the handle `1:` at the root of a link.
    pub fn set_root(&mut self, index: u32, bucket: &TokenBucket, existing: Existing) -> Result<()> {
        let flags = match existing {
            Existing::Refuse => NLM_F_EXCL,
            Existing::Change => NLM_F_REPLACE,
        };
        self.change(root_request(index, bucket), NLM_F_CREATE | flags)
    }

    /// Removes the queueing discipline with the handle `1:` at the root of a link; a missing one is done.
    pub fn remove_root(&mut self, index: u32) -> Result<()> {
        let head = Head { index, handle: ROOT_HANDLE, parent: ROOT, info: 0 };
        self.remove(TrafficMessage::new(DELETE_QDISC, head, Attributes::default()))
    }

    /// Makes a link's `clsact` (`EEXIST`: there is one, or `ingress`).
    pub fn create_clsact(&mut self, index: u32) -> Result<()> {
        let head = Head { index, handle: CLASSIFIER_HANDLE, parent: CLASSIFIER, info: 0 };
        let attributes = Attributes::default().with_text(KIND, "clsact");
        let request = TrafficMessage::new(NEW_QDISC, head, attributes);
        self.change(request, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Removes what keeps a link's filters, and them; a missing one is done.
    pub fn remove_classifier(&mut self, index: u32) -> Result<()> {
        let head = Head { index, handle: CLASSIFIER_HANDLE, parent: CLASSIFIER, info: 0 };
        self.remove(TrafficMessage::new(DELETE_QDISC, head, Attributes::default()))
    }

    /// The filters of a link, whoever made them; none without what would keep them.
    pub fn list_filters(&mut self, index: u32, hook: Hook) -> Result<Vec<FoundFilter>> {
        let head = Head { index, parent: hook.parent(), ..Head::default() };
        let request = TrafficMessage::new(GET_FILTER, head, Attributes::default());
        match self.dump(&request) {
            Ok(messages) => Ok(read_filters(&messages)),
            Err(error) if is_missing(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Adds a filter to a link, behind those of the same priority.
    pub fn add_filter(&mut self, index: u32, hook: Hook, filter: &Filter) -> Result<()> {
        self.change(filter_request(index, hook, filter), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Removes one filter of a link; a missing one is done.
    pub fn remove_filter(&mut self, index: u32, hook: Hook, filter: &FoundFilter) -> Result<()> {
        let info = info(filter.priority, filter.protocol);
        let head = Head { index, handle: filter.handle, parent: hook.parent(), info };
        let attributes = Attributes::default().with_text(KIND, &filter.kind);
        self.remove(TrafficMessage::new(DELETE_FILTER, head, attributes))
    }

    /// Removes all filters of a link that have the priority and protocol of this one.
    pub fn remove_filters(&mut self, index: u32, hook: Hook, like: &FoundFilter) -> Result<()> {
        let info = info(like.priority, like.protocol);
        let head = Head { index, handle: 0, parent: hook.parent(), info };
        self.remove(TrafficMessage::new(DELETE_FILTER, head, Attributes::default()))
    }

    /// The indices of all links of the namespace that a filter of any link sends packets by.
    pub fn list_redirect_targets(&mut self) -> Result<HashSet<u32>> {
        let kind = Attributes::default().with_text(KIND, filter::MIRRED);
        let actions = Attributes::default().with_nested(1, &kind);
        let attributes = Attributes::default().with_nested(ACTIONS, &actions);
        let messages = self.dump(&TrafficMessage::of_actions(GET_ACTION, attributes))?;
        Ok(read_redirect_targets(&messages))
    }

    fn remove(&mut self, request: TrafficMessage) -> Result<()> {
        match self.change(request, 0) {
            Err(error) if is_missing(&error) => Ok(()),
            other => other,
        }
    }
}

/// Whether there is no such thing, or no such link. EINVAL: what is there is another one.
fn is_missing(error: &Error) -> bool {
    error.is_not_found() || error.raw_errno() == Some(Errno::EINVAL)
}

fn info(priority: u16, protocol: u16) -> u32 {
    u32::from(priority) << 16 | u32::from(protocol.to_be())
}

/// The request for a token bucket with the handle `1:` at the root of a link.
fn root_request(index: u32, bucket: &TokenBucket) -> TrafficMessage {
    let head = Head { index, handle: ROOT_HANDLE, parent: ROOT, info: 0 };
    let attributes =
        Attributes::default().with_text(KIND, "tbf").with_nested(OPTIONS, &bucket::write(bucket));
    TrafficMessage::new(NEW_QDISC, head, attributes)
}

/// The request for a filter of a link.
fn filter_request(index: u32, hook: Hook, filter: &Filter) -> TrafficMessage {
    let info = info(filter.priority, filter.selector.protocol());
    let head = Head { index, handle: 0, parent: hook.parent(), info };
    let attributes = Attributes::default()
        .with_text(KIND, "u32")
        .with_nested(OPTIONS, &filter::write(&filter.selector, &filter.verdict));
    TrafficMessage::new(NEW_FILTER, head, attributes)
}

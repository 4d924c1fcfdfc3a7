//! What ADD does to the host, one operation at a time, printed as the `ip` and `tc` lines that would do
//! the same. Pure.

use std::fmt;

use cni_common::types::traffic::{Classifier, FoundFilter, Hook, Selector, ShownBucket};

use crate::bucket::Shape;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Makes an ifb device, up.
    CreateIfb {
        /// Its name.
        name: String,
        /// Its MTU.
        mtu: u32,
    },
    /// Says whose an ifb device is.
    SetAlias {
        /// Its name.
        name: String,
        /// What is written.
        alias: String,
    },
    /// Brings an ifb device up with an MTU.
    SetIfbUp {
        /// Its name.
        name: String,
        /// Its MTU.
        mtu: u32,
        /// The MTU it has.
        former: u32,
    },
    /// Puts a token bucket at the root of a link.
    SetRoot {
        /// The link's name.
        link: String,
        /// The bucket.
        shape: Shape,
        /// The one that is there and becomes the new one.
        former: Option<ShownBucket>,
    },
    /// Removes the token bucket at the root of a link.
    RemoveRoot {
        /// The link's name.
        link: String,
        /// The bucket.
        former: ShownBucket,
    },
    /// Makes what keeps filters of a link.
    CreateClsact {
        /// The link's name.
        link: String,
    },
    /// Removes what keeps filters of a link, and with it those that are there.
    RemoveClassifier {
        /// The link's name.
        link: String,
        /// Its kind.
        kind: Classifier,
    },
    /// Adds a filter.
    AddFilter {
        /// The link's name.
        link: String,
        /// Which packets it is to look at.
        hook: Hook,
        /// The filter.
        rule: Rule,
    },
    /// Removes filters: all at one of this plugin's places, or one.
    RemoveFilters {
        /// The link's name.
        link: String,
        /// Which packets they look at.
        hook: Hook,
        /// The filters, all of one priority.
        filters: Vec<FoundFilter>,
    },
    /// Removes an ifb device.
    RemoveIfb {
        /// Its name.
        name: String,
    },
}

/// A filter, of which the device it sends packets by may not be there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its place.
    pub priority: u16,
    /// Which packets it is for.
    pub selector: Selector,
    /// The device that they are sent by; `None`: they go their way.
    pub device: Option<String>,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prio {} u32 {}", self.priority, self.selector)?;
        match &self.device {
            Some(device) => write!(f, " action mirred egress redirect dev {device}"),
            None => f.write_str(" flowid 1:1"),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateIfb { name, mtu } => {
                write!(f, "ip link add {name} mtu {mtu} txqueuelen 0 up type ifb")
            }
            Self::SetAlias { name, alias } => write!(f, "ip link set {name} alias {alias:?}"),
            Self::SetIfbUp { name, mtu, .. } => write!(f, "ip link set {name} mtu {mtu} up"),
            Self::SetRoot { link, shape, former } => {
                let word = if former.is_some() { "change" } else { "add" };
                write!(f, "tc qdisc {word} dev {link} root handle 1: {}", shape.bucket)
            }
            Self::RemoveRoot { link, .. } => write!(f, "tc qdisc del dev {link} root handle 1:"),
            Self::CreateClsact { link } => write!(f, "tc qdisc add dev {link} clsact"),
            Self::RemoveClassifier { link, kind } => write!(f, "tc qdisc del dev {link} {kind}"),
            Self::AddFilter { link, hook, rule } => {
                write!(f, "tc filter add dev {link} {hook} {rule}")
            }
            Self::RemoveFilters { link, hook, filters } => {
                write!(f, "tc filter del dev {link} {hook}")?;
                filters.first().map_or(Ok(()), |filter| write!(f, " prio {}", filter.priority))
            }
            Self::RemoveIfb { name } => write!(f, "ip link del {name}"),
        }
    }
}

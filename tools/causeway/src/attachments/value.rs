//! What is known of an attachment. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

use causeway_host_local::store::{Described, Lease};
use cni_common::types::net::Link;
use cni_common::types::{Attachment, Mac};
use ipnetwork::IpNetwork;
use serde::Serialize;

use super::rules::Rules;
use super::state::Why;

/// Which attachment. A part that nothing tells is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The network's name.
    pub(crate) network: String,
    /// The container's ID.
    pub(crate) container: String,
    /// The interface's name in the container.
    pub(crate) ifname: String,
    /// Tells apart what says of none of these: an address, or a link.
    pub(crate) other: String,
}

impl Key {
    /// Of an attachment that is known in full.
    pub(crate) fn of(attachment: &Attachment) -> Self {
        let Attachment { network, container, ifname } = attachment;
        Self {
            network: network.to_string(),
            container: container.to_string(),
            ifname: ifname.to_string(),
            other: String::new(),
        }
    }

    /// Of an address file that says of no container that it holds the address.
    pub(crate) fn of_nobody(network: String, ip: IpAddr) -> Self {
        Self { network, other: ip.to_string(), ..Self::default() }
    }

    /// The attachment, if it is known in full.
    pub(crate) fn attachment(&self) -> Option<Attachment> {
        Some(Attachment {
            network: self.network.parse().ok()?,
            container: self.container.parse().ok()?,
            ifname: self.ifname.parse().ok()?,
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |text: &str| if text.is_empty() { "?" } else { text }.to_owned();
        if self.container.is_empty() && !self.other.is_empty() {
            return write!(f, "{}/{}", part(&self.network), self.other);
        }
        write!(f, "{}/{}/{}", part(&self.network), part(&self.container), part(&self.ifname))
    }
}

/// What is known of an attachment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attached {
    /// The Kubernetes pod, `<namespace>/<name>`.
    pub(crate) pod: Option<String>,
    /// Its address files.
    pub(crate) leases: Vec<LeaseFound>,
    /// The end of its pair on this host.
    pub(crate) host: Option<Link>,
    /// Whether this suite made the pair, or would have.
    pub(crate) is_ours: bool,
    /// Whether the pair says that its ADD has not come to its end.
    pub(crate) is_unfinished: bool,
    /// The end of its pair in the container.
    pub(crate) inside: Option<Inside>,
    /// The path of the container's namespace, as its runtime said it.
    pub(crate) netns: Option<String>,
    /// Ports of the host that lead to it.
    pub(crate) ports: Vec<Published>,
    /// Which rules there are for it.
    pub(crate) rules: BTreeSet<Rules>,
    /// What limits its traffic.
    pub(crate) limits: Limits,
    /// What its runtime keeps of it.
    pub(crate) cached: Option<cni_runtime::Cached>,
    /// What it all comes to.
    pub(crate) state: State,
    /// Why it is in this state, where there is more to be said.
    pub(crate) why: Option<Why>,
}

/// An address file.
#[derive(Clone, Debug)]
pub(crate) struct LeaseFound {
    /// The file.
    pub(crate) lease: Lease,
    /// What else is known of it.
    pub(crate) known: Described,
}

/// The end of a pair in a container.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    /// Its name.
    pub(crate) name: String,
    /// Its Ethernet address.
    pub(crate) mac: Option<Mac>,
    /// Its MTU in bytes.
    pub(crate) mtu: u32,
    /// Its addresses but those of the link.
    pub(crate) addresses: Vec<IpNetwork>,
}

/// The most that a container receives and sends, in bits a second; `None`: not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Limits {
    /// What it receives.
    #[serde(rename = "ingressRate")]
    pub(crate) ingress: Option<u64>,
    /// What it sends.
    #[serde(rename = "egressRate")]
    pub(crate) egress: Option<u64>,
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(word, rate): (&str, Option<u64>)| Some(format!("{word} {}", bits(rate?)));
        let both = [("in", self.ingress), ("out", self.egress)];
        f.write_str(&both.into_iter().filter_map(shown).collect::<Vec<_>>().join(","))
    }
}

/// Bits a second, as tc prints them.
fn bits(rate: u64) -> String {
    let units = [(1_000_000_000, "Gbit"), (1_000_000, "Mbit"), (1_000, "kbit")];
    match units.into_iter().find(|(size, _)| rate >= *size && rate.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{}{unit}", rate / size),
        None => format!("{rate}bit"),
    }
}

/// A port of the host that leads to a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Published {
    /// The host's address; `None` for all of its addresses.
    pub(crate) host_ip: Option<IpAddr>,
    /// The host's port.
    pub(crate) host_port: u16,
    /// `tcp`, `udp`, `sctp`, or a number.
    pub(crate) protocol: String,
    /// The container's address.
    pub(crate) container_ip: IpAddr,
    /// The container's port.
    pub(crate) container_port: u16,
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host_ip {
            Some(IpAddr::V6(ip)) => write!(f, "[{ip}]:")?,
            Some(ip) => write!(f, "{ip}:")?,
            None => {}
        }
        write!(f, "{}→{}/{}", self.host_port, self.container_port, self.protocol)
    }
}

/// What an attachment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Its pair is there, and so is the container's namespace, as a pair goes with it.
    #[default]
    Alive,
    /// An ADD or DEL of it is at work.
    Busy,
    /// It is proved that its namespace is gone; something of it is left.
    Gone,
    /// An ADD of it was killed.
    Unfinished,
    /// There is no link of it, and no proof that there ought to be none.
    OnlyLease,
    /// Its pair is there, but the pool has no address of it.
    OnlyLink,
    /// Rules are all that is there of it, and there is no proof that it is dead.
    OnlyRules,
}

impl State {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Alive,
        Self::Busy,
        Self::Gone,
        Self::Unfinished,
        Self::OnlyLease,
        Self::OnlyLink,
        Self::OnlyRules,
    ];

    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Busy => "busy",
            Self::Gone => "gone",
            Self::Unfinished => "unfinished",
            Self::OnlyLease => "only-lease",
            Self::OnlyLink => "only-link",
            Self::OnlyRules => "only-rules",
        }
    }
}

impl Attached {
    /// Its addresses: those that it has, else those that are kept for it. The prefix of the latter is
    /// that of one address.
    pub(crate) fn addresses(&self) -> Vec<IpNetwork> {
        match &self.inside {
            Some(inside) if !inside.addresses.is_empty() => inside.addresses.clone(),
            _ => self.leases.iter().map(|found| IpNetwork::from(found.lease.ip)).collect(),
        }
    }

    /// When the first of its leases was written.
    pub(crate) fn since(&self) -> Option<SystemTime> {
        self.leases.iter().filter_map(|found| found.known.since).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_tc_prints_them() {
        let shown = |ingress, egress| Limits { ingress, egress }.to_string();
        assert_eq!(shown(Some(8_000_000), Some(1_500_000)), "in 8Mbit,out 1500kbit");
        assert_eq!(shown(None, Some(2_000_000_000)), "out 2Gbit");
        assert_eq!(
            (shown(Some(8), None), shown(None, None)),
            ("in 8bit".to_owned(), String::new())
        );
    }
}

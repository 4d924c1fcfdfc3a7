//! Whose packets are meant: an attachment, its addresses, and where it is attached. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni_common::names;
use cni_common::packet_filter::owner;
use cni_common::spec::CniResult;
use cni_common::sys::iptables::Protocol;
use cni_common::types::{Attachment, IfName};
use cni_common::{Code, Error, Result};

use crate::config::IngressPolicy;

/// An attachment and what `prevResult` says of it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The attachment.
    pub attachment: Attachment,
    /// The name that this suite's `bridge` gives its host interface: what its entries are found by.
    pub name: String,
    /// Its addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// The interface that the result names first: the bridge, where there is one.
    pub bridge: Option<IfName>,
    /// The interface on the host that the container's interface leads to.
    pub port: Option<IfName>,
    /// The zone of firewalld that its addresses are put into.
    pub zone: Option<String>,
}

impl Subject {
    /// What is known without a result.
    pub fn of(attachment: &Attachment) -> Self {
        Self {
            attachment: attachment.clone(),
            name: names::host_interface(attachment),
            addresses: BTreeSet::new(),
            bridge: None,
            port: None,
            zone: None,
        }
    }

    /// With what the result says.
    pub fn with(attachment: &Attachment, result: &CniResult) -> Self {
        let mut subject = Self::of(attachment);
        subject.addresses = result.ips.iter().map(|ip| ip.address.ip()).collect();
        subject.bridge = result.interfaces.first().and_then(|first| first.name.parse().ok());
        let on_host = result.interfaces.iter().skip(1).filter(|one| one.sandbox.is_empty());
        let mut ports: Vec<IfName> = on_host.filter_map(|one| one.name.parse().ok()).collect();
        // Ours where it is, as another plugin of the chain may have added interfaces of its own.
        let own = ports.iter().position(|port| port.as_str() == subject.name).unwrap_or_default();
        subject.port = (own < ports.len()).then(|| ports.swap_remove(own));
        subject
    }

    /// The comment of what is its own.
    pub fn comment(&self) -> String {
        owner::comment(&self.attachment)
    }

    /// Whether this suite's `bridge` made the interface, which lives as long as the container.
    pub fn is_on_own_port(&self) -> bool {
        self.port.as_ref().is_some_and(|port| port.as_str() == self.name)
    }

    /// The protocols that it has addresses of.
    pub fn protocols(&self) -> Vec<Protocol> {
        let has = |is: fn(&IpAddr) -> bool| self.addresses.iter().any(is);
        let four = has(IpAddr::is_ipv4).then_some(Protocol::Ipv4);
        four.into_iter().chain(has(IpAddr::is_ipv6).then_some(Protocol::Ipv6)).collect()
    }

    /// Fails without a bridge, where the policy can't do without.
    pub fn require_bridge(&self, policy: IngressPolicy) -> Result<()> {
        if policy == IngressPolicy::Open || self.bridge.is_some() {
            return Ok(());
        }
        // The words of the reference.
        let message = format!(
            "interface needs to be set for ingress policy {:?}, make sure to chain \"firewall\" \
             plugin with \"bridge\"",
            policy.word()
        );
        Err(Error::new(Code::InvalidConfig, message))
    }
}

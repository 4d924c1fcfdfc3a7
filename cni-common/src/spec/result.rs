//! What an ADD made, as the newest specification has it, and its forms in every version.

mod parse;
mod print;

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::Serialize;

/// A result, in the terms of 1.1.0. [`CniResult::parse`] reads and [`CniResult::print`] writes it
/// in any version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CniResult {
    /// Interfaces that were made, or that matter to later plugins. Empty in an IPAM result.
    pub interfaces: Vec<Interface>,
    /// Addresses.
    pub ips: Vec<Ip>,
    /// Routes.
    pub routes: Vec<Route>,
    /// Name resolution.
    pub dns: Dns,
}

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its Ethernet address, as text; empty if unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac: String,
    /// Its MTU in bytes (of 1.1.0, printed from 1.0.0 on).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<i64>,
    /// The path of its network namespace, empty on the host.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sandbox: String,
    /// A socket's path, for interfaces that are one (of 1.1.0).
    #[serde(rename = "socketPath", skip_serializing_if = "String::is_empty")]
    pub socket_path: String,
    /// A PCI device's address (of 1.1.0).
    #[serde(rename = "pciID", skip_serializing_if = "String::is_empty")]
    pub pci_id: String,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Index into [`CniResult::interfaces`].
    pub interface: Option<i64>,
    /// The address with its prefix length; the host part is the address.
    pub address: IpNetwork,
    /// The gateway of its subnet.
    pub gateway: Option<IpAddr>,
}

/// One route. `dst` and `gw` are all that the specification has below 1.1.0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Where to.
    pub dst: IpNetwork,
    /// By which gateway; `None` means the first gateway of the family.
    pub gw: Option<IpAddr>,
    /// Path MTU in bytes.
    pub mtu: Option<i64>,
    /// TCP maximum segment size to advertise, in bytes.
    pub advmss: Option<i64>,
    /// Priority (metric); lower is preferred.
    pub priority: Option<i64>,
    /// Routing table.
    pub table: Option<i64>,
    /// Scope, as in `/etc/iproute2/rt_scopes`: 0 global, 253 link, 254 host.
    pub scope: Option<i64>,
}

impl Route {
    /// A plain route.
    pub fn new(dst: IpNetwork, gw: Option<IpAddr>) -> Self {
        Self { dst, gw, mtu: None, advmss: None, priority: None, table: None, scope: None }
    }

    /// Whether it leads to everything: `0.0.0.0/0` or `::/0`.
    pub fn is_default(&self) -> bool {
        self.dst.prefix() == 0 && self.dst.ip().is_unspecified()
    }
}

/// Name resolution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Dns {
    /// Name servers in the order to be asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nameservers: Vec<String>,
    /// The local domain; empty if none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// Domains to be searched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub search: Vec<String>,
    /// Options of the resolver.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

impl Dns {
    /// Whether nothing of it is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

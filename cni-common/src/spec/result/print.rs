//! Writing a result in a version: pretty, four spaces, keys in the reference's order.

use ipnetwork::IpNetwork;
use serde::Serialize;

use super::{CniResult, Dns, Interface, Ip, Route};
use crate::error::{Code, Error, Result};
use crate::spec::reply::pretty;
use crate::spec::version::Version;

impl CniResult {
    /// The JSON text in `version`. An address that the version can't say is an error.
    ///
    /// What 1.1.0 added to routes is printed in every version, and what it added to interfaces from
    /// 1.0.0 on, as the reference does: an IPAM plugin's routes would lose it otherwise on their way
    /// to the plugin that called it.
    pub fn print(&self, version: Version) -> Result<String> {
        if version < Version::V0_3_0 {
            return Ok(pretty(&old(self, version)?));
        }
        let interface = |interface: &Interface| match version >= Version::V1_0_0 {
            true => interface.clone(),
            false => Interface {
                mtu: None,
                socket_path: String::new(),
                pci_id: String::new(),
                ..interface.clone()
            },
        };
        Ok(pretty(&Current {
            cni_version: version.as_str(),
            interfaces: self.interfaces.iter().map(interface).collect(),
            ips: self.ips.iter().map(|ip| ip_json(ip, version)).collect(),
            routes: self.routes.iter().map(route_json).collect(),
            dns: dns_json(&self.dns, version),
        }))
    }
}

#[derive(Serialize)]
struct Current<'a> {
    #[serde(rename = "cniVersion")]
    cni_version: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    interfaces: Vec<Interface>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ips: Vec<IpJson>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<RouteJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<&'a Dns>,
}

#[derive(Serialize)]
struct IpJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<i64>,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
}

#[derive(Serialize)]
struct RouteJson {
    dst: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gw: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advmss: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<i64>,
}

fn ip_json(ip: &Ip, version: Version) -> IpJson {
    let family = if ip.address.is_ipv4() { "4" } else { "6" };
    IpJson {
        version: (version < Version::V1_0_0).then_some(family),
        interface: ip.interface,
        address: ip.address.to_string(),
        gateway: ip.gateway.map(|gateway| gateway.to_string()),
    }
}

fn route_json(route: &Route) -> RouteJson {
    RouteJson {
        dst: route.dst.to_string(),
        gw: route.gw.map(|gw| gw.to_string()),
        mtu: route.mtu,
        advmss: route.advmss,
        priority: route.priority,
        table: route.table,
        scope: route.scope,
    }
}

/// Below 1.0.0 an empty `dns` is printed as `{}`, from there on it is left out.
fn dns_json(dns: &Dns, version: Version) -> Option<&Dns> {
    (version < Version::V1_0_0 || !dns.is_empty()).then_some(dns)
}

#[derive(Serialize)]
struct Old<'a> {
    #[serde(rename = "cniVersion")]
    cni_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip4: Option<OldIp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip6: Option<OldIp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<&'a Dns>,
}

#[derive(Serialize)]
struct OldIp {
    ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<RouteJson>,
}

/// The form of 0.1.0 and 0.2.0: one address a family, each with the routes of its family.
fn old(result: &CniResult, version: Version) -> Result<Old<'_>> {
    if result.ips.is_empty() {
        return Err(Error::new(Code::InvalidConfig, "cannot convert: no valid IP addresses"));
    }
    Ok(Old {
        cni_version: version.as_str(),
        ip4: old_ip(result, version, IpNetwork::is_ipv4)?,
        ip6: old_ip(result, version, IpNetwork::is_ipv6)?,
        dns: dns_json(&result.dns, version),
    })
}

fn old_ip(
    result: &CniResult,
    version: Version,
    of_family: fn(&IpNetwork) -> bool,
) -> Result<Option<OldIp>> {
    let mut addresses = result.ips.iter().filter(|ip| of_family(&ip.address));
    let first = addresses.next();
    if addresses.next().is_some() {
        return Err(Error::new(
            Code::InvalidConfig,
            format!("CNI version {version} does not support more than 1 address per family"),
        ));
    }
    let routes = result.routes.iter().filter(|route| of_family(&route.dst));
    Ok(first.map(|ip| OldIp {
        ip: ip.address.to_string(),
        gateway: ip.gateway.map(|gateway| gateway.to_string()),
        routes: routes.map(route_json).collect(),
    }))
}

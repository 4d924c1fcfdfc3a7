//! Reading a result: a delegate's stdout, or `prevResult`, in the version it is written in.

use super::{CniResult, Dns, Interface, Ip, Route};
use crate::error::Result;
use crate::spec::json::{Object, Value};
use crate::spec::version::Version;
use crate::types::parse_ip;
use ipnetwork::IpNetwork;

impl CniResult {
    /// Reads `object` as a result of `version`. Its own `cniVersion`, if any, is not looked at.
    pub fn parse(object: &Object<'_>, version: Version) -> Result<Self> {
        if version < Version::V0_3_0 {
            return parse_0_2_0(object);
        }
        Ok(Self {
            interfaces: map(object, "interfaces", parse_interface)?,
            ips: map(object, "ips", parse_ip_config)?,
            routes: map(object, "routes", Route::parse)?,
            dns: object
                .object("dns")?
                .map_or_else(|| Ok(Dns::default()), |dns| Dns::parse(&dns))?,
        })
    }
}

impl Dns {
    /// Reads a `dns` object.
    pub fn parse(object: &Object<'_>) -> Result<Self> {
        Ok(Self {
            nameservers: object.strings("nameservers")?,
            domain: object.string("domain")?.unwrap_or_default(),
            search: object.strings("search")?,
            options: object.strings("options")?,
        })
    }
}

/// The elements of the list at `key`, each an object read by `read`; `null` elements are skipped.
fn map<'a, T>(
    object: &Object<'a>,
    key: &str,
    read: impl Fn(&Object<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let present = |value: &Value<'_>| value.text() != "null";
    object
        .list(key)?
        .iter()
        .filter(|value| present(value))
        .map(|value| read(&value.object()?))
        .collect()
}

fn parse_interface(object: &Object<'_>) -> Result<Interface> {
    Ok(Interface {
        name: object.string("name")?.unwrap_or_default(),
        mac: object.string("mac")?.unwrap_or_default(),
        mtu: object.integer("mtu")?,
        sandbox: object.string("sandbox")?.unwrap_or_default(),
        socket_path: object.string("socketPath")?.unwrap_or_default(),
        pci_id: object.string("pciID")?.unwrap_or_default(),
    })
}

fn parse_ip_config(object: &Object<'_>) -> Result<Ip> {
    Ok(Ip {
        interface: object.integer("interface")?,
        address: cidr(object, ("address", &["interface", "gateway", "version"]))?,
        gateway: address(object, "gateway")?,
    })
}

impl Route {
    /// Reads one element of `routes`, in a result or in an IPAM configuration.
    pub fn parse(object: &Object<'_>) -> Result<Self> {
        Ok(Self {
            dst: cidr(object, ("dst", &["gw", "mtu", "advmss", "priority", "table", "scope"]))?,
            gw: address(object, "gw")?,
            mtu: object.integer("mtu")?,
            advmss: object.integer("advmss")?,
            priority: object.integer("priority")?,
            table: object.integer("table")?,
            scope: object.integer("scope")?,
        })
    }
}

fn address(object: &Object<'_>, key: &str) -> Result<Option<std::net::IpAddr>> {
    match object.nonempty(key)? {
        None => Ok(None),
        Some(_) => object.parsed(key, parse_ip),
    }
}

/// The address with prefix length at a key that must be there, beside which others are known.
fn cidr(object: &Object<'_>, (key, others): (&str, &[&str])) -> Result<IpNetwork> {
    object.value(key).ok_or_else(|| object.missing(key, others))?.cidr()
}

fn parse_0_2_0(object: &Object<'_>) -> Result<CniResult> {
    let mut result = CniResult::default();
    for key in ["ip4", "ip6"] {
        let Some(family) = object.object(key)? else { continue };
        result.ips.push(Ip {
            interface: None,
            address: cidr(&family, ("ip", &["gateway", "routes"]))?,
            gateway: address(&family, "gateway")?,
        });
        result.routes.extend(map(&family, "routes", Route::parse)?);
    }
    if let Some(dns) = object.object("dns")? {
        result.dns = Dns::parse(&dns)?;
    }
    Ok(result)
}

//! The `ipam` object, and the addresses that a caller names instead or besides. Pure.

use std::net::IpAddr;

use cni_common::spec::json::Value;
use cni_common::spec::{CniArgs, Dns, NetworkConfig, Object, Route, Version};
use cni_common::types::{parse_cidr, parse_ip};
use cni_common::{Code, Error, Result};
use ipnetwork::IpNetwork;

/// What ADD answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The addresses, each only once.
    pub addresses: Vec<Address>,
    /// `routes`.
    pub routes: Vec<Route>,
    /// `dns`.
    pub dns: Dns,
}

/// An address of the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address with its prefix length; the host part is the address.
    pub address: IpNetwork,
    /// The gateway of its subnet.
    pub gateway: Option<IpAddr>,
}

impl Config {
    /// Reads everything. `args` are those of `CNI_ARGS`.
    pub fn parse(config: &NetworkConfig<'_>, args: &CniArgs) -> Result<Self> {
        let ipam = config
            .keys
            .object("ipam")?
            .ok_or_else(|| Error::new(Code::InvalidConfig, "IPAM config missing 'ipam' key"))?;
        let mut addresses = match replaced(config)? {
            Some(replaced) => replaced,
            None => named(&ipam, args)?,
        };
        let gateways = gateways(args)?;
        addresses.iter_mut().for_each(|address| address.choose_gateway(&gateways));
        refuse_for_version(&addresses, config.version)?;
        let routes = ipam.list("routes")?;
        let routes = routes.iter().map(|route| Route::parse(&route.object()?));
        Ok(Self {
            addresses,
            routes: routes.collect::<Result<_>>()?,
            dns: ipam.object("dns")?.map_or_else(|| Ok(Dns::default()), |dns| Dns::parse(&dns))?,
        })
    }
}

impl Address {
    /// Takes the last of `gateways` that is in its subnet, unless it has one.
    fn choose_gateway(&mut self, gateways: &[IpAddr]) {
        let reachable = |gateway: &&IpAddr| self.address.contains(**gateway);
        self.gateway = self.gateway.or_else(|| gateways.iter().rfind(reachable).copied());
    }
}

/// `runtimeConfig.ips`, else `args.cni.ips`: each stands instead of everything else.
fn replaced(config: &NetworkConfig<'_>) -> Result<Option<Vec<Address>>> {
    for object in [config.runtime_config()?, config.cni_args()?].into_iter().flatten() {
        let mut addresses = Vec::new();
        for value in object.list("ips")? {
            let text = value.string()?;
            let address = parse_cidr(&text).ok_or_else(|| {
                let fault = "an entry in the 'ips' field is NOT in CIDR notation, got: ";
                not_cidr(Code::InvalidConfig, fault, &text, &value.path())
            })?;
            add_once(&mut addresses, Address { address, gateway: None }, &value)?;
        }
        if !addresses.is_empty() {
            return Ok(Some(addresses));
        }
    }
    Ok(None)
}

/// `addresses`, and those of `CNI_ARGS` besides.
fn named(ipam: &Object<'_>, args: &CniArgs) -> Result<Vec<Address>> {
    let mut addresses = Vec::new();
    for value in ipam.list("addresses")? {
        add_once(&mut addresses, configured(&value.object()?)?, &value)?;
    }
    for text in args.get("IP").into_iter().flat_map(|list| list.split(',')).map(str::trim) {
        let address = parse_cidr(text).ok_or_else(|| {
            let fault = "the 'ip' field is expected to be in CIDR notation, got: ";
            not_cidr(Code::InvalidEnvironment, fault, text, "CNI_ARGS")
        })?;
        // The same address by two ways is one wish.
        if !holds(&addresses, &address) {
            addresses.push(Address { address, gateway: None });
        }
    }
    Ok(addresses)
}

fn configured(object: &Object<'_>) -> Result<Address> {
    let text = object.string("address")?.unwrap_or_default();
    let address = parse_cidr(&text).ok_or_else(|| {
        let fault = "the 'address' field is expected to be in CIDR notation, got: ";
        not_cidr(Code::InvalidConfig, fault, &text, "ipam.addresses")
    })?;
    let gateway = match object.nonempty("gateway")? {
        None => None,
        Some(_) => object.parsed("gateway", parse_ip)?,
    };
    Ok(Address { address, gateway })
}

fn holds(addresses: &[Address], address: &IpNetwork) -> bool {
    addresses.iter().any(|held| held.address.ip() == address.ip())
}

fn add_once(addresses: &mut Vec<Address>, address: Address, value: &Value<'_>) -> Result<()> {
    if holds(addresses, &address.address) {
        return Err(value.invalid("the same address a second time"));
    }
    addresses.push(address);
    Ok(())
}

/// The reference's words, and where to look.
fn not_cidr(code: Code, fault: &str, text: &str, place: &str) -> Error {
    let error = Error::new(code, format!("{fault}'{text}'"));
    match parse_ip(text) {
        Some(_) => error.with_details(format!("{place}: the prefix length is missing: {text}/…")),
        None => error.with_details(place),
    }
}

/// `GATEWAY` of `CNI_ARGS`.
fn gateways(args: &CniArgs) -> Result<Vec<IpAddr>> {
    let list = args.get("GATEWAY").into_iter().flat_map(|list| list.split(','));
    let gateway = |text: &str| {
        parse_ip(text.trim()).ok_or_else(|| {
            Error::new(Code::InvalidEnvironment, format!("invalid gateway address: {text}"))
                .with_details("CNI_ARGS")
        })
    };
    list.map(gateway).collect()
}

/// Below 0.3.0 a result has one address per family.
fn refuse_for_version(addresses: &[Address], version: Version) -> Result<()> {
    let of_ipv4 = addresses.iter().filter(|address| address.address.is_ipv4()).count();
    if version < Version::V0_3_0 && (of_ipv4 > 1 || addresses.len() - of_ipv4 > 1) {
        let message =
            format!("CNI version {version} does not support more than 1 address per family");
        return Err(Error::new(Code::InvalidConfig, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, args: &str) -> Result<Config> {
        let keys = Object::parse(text, "test").unwrap();
        let config = NetworkConfig::parse(keys, &Version::ALL).unwrap();
        Config::parse(&config, &CniArgs::parse(args).unwrap())
    }

    /// The addresses as text, each with its gateway.
    fn addresses(text: &str, args: &str) -> Vec<String> {
        let shown = |address: &Address| match address.gateway {
            Some(gateway) => format!("{} by {gateway}", address.address),
            None => address.address.to_string(),
        };
        parse(text, args).unwrap().addresses.iter().map(shown).collect()
    }

    const NETWORK: &str = r#"{"cniVersion":"1.0.0","name":"net","ipam":{"addresses":[
        {"address":"10.1.0.5/24","gateway":"10.1.0.254"},{"address":"fd01::5/64"}]}"#;

    #[test]
    fn the_runtime_replaces_what_arguments_replace() {
        let with = |rest: &str| addresses(&format!("{NETWORK}{rest}}}"), "IP=10.2.0.2/24");
        assert_eq!(with(""), ["10.1.0.5/24 by 10.1.0.254", "fd01::5/64", "10.2.0.2/24"]);
        let args = r#","args":{"cni":{"ips":["10.3.0.3/24"]}}"#;
        assert_eq!(with(args), ["10.3.0.3/24"]);
        let both = format!(r#"{args},"runtimeConfig":{{"ips":["10.4.0.4/24","fd04::4/64"]}}"#);
        assert_eq!(with(&both), ["10.4.0.4/24", "fd04::4/64"]);
        let empty = r#","args":{"cni":{"ips":[]}},"runtimeConfig":{"ips":[]}"#;
        assert_eq!(with(empty).len(), 3);
    }

    #[test]
    fn every_address_without_a_gateway_gets_the_one_of_its_subnet() {
        let args = "IP=10.2.0.2/24,10.3.0.3/24;GATEWAY=10.1.0.1, 10.2.0.1,10.2.0.9,fd01::1";
        assert_eq!(
            addresses(&format!("{NETWORK}}}"), args),
            [
                "10.1.0.5/24 by 10.1.0.254",
                "fd01::5/64 by fd01::1",
                "10.2.0.2/24 by 10.2.0.9",
                "10.3.0.3/24"
            ]
        );
        let runtime = r#","runtimeConfig":{"ips":["10.4.0.4/24"]}}"#;
        assert_eq!(
            addresses(&format!("{NETWORK}{runtime}"), "GATEWAY=10.4.0.1"),
            ["10.4.0.4/24 by 10.4.0.1"]
        );
    }

    #[test]
    fn an_address_is_taken_once() {
        let twice = r#"{"name":"net","cniVersion":"1.0.0","ipam":{"addresses":[
            {"address":"10.1.0.5/24"},{"address":"10.1.0.5/16"}]}}"#;
        let error = parse(twice, "").unwrap_err();
        assert!(error.is(Code::InvalidConfig));
        assert!(error.message().starts_with("ipam.addresses[1]: the same address a second time"));
        assert_eq!(addresses(&format!("{NETWORK}}}"), "IP=10.1.0.5/24,10.1.0.5/24").len(), 2);
    }
}

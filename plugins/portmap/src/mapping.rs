//! One port of the host and the container's port that it leads to. Pure.

use std::fmt;
use std::net::IpAddr;

use cni_common::nft::IpVersion;
use cni_common::spec::Object;
use cni_common::types::parse_ip;
use cni_common::{Code, Error, Result};

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// `IPPROTO_*`.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// The protocol of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Tcp, Self::Udp, Self::Sctp];
        all.into_iter().find(|one| one.to_string().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// Which addresses of the host the port is mapped at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostAddress {
    /// All of one IP version: `0.0.0.0` or `::`.
    AnyOf(IpVersion),
    /// This one.
    One(IpAddr),
}

impl HostAddress {
    /// Whether it is, or has, an address of this version.
    pub fn has(self, version: IpVersion) -> bool {
        match self {
            Self::AnyOf(one) => one == version,
            Self::One(ip) => version_of(ip) == version,
        }
    }

    /// The one address, if it is one.
    pub fn one(self) -> Option<IpAddr> {
        match self {
            Self::One(ip) => Some(ip),
            Self::AnyOf(_) => None,
        }
    }
}

/// The IP version of an address.
pub fn version_of(ip: IpAddr) -> IpVersion {
    if ip.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 }
}

/// One element of `runtimeConfig.portMappings`, as far as it is of one IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The protocol.
    pub protocol: Protocol,
    /// The addresses of the host.
    pub host: HostAddress,
    /// The port there.
    pub host_port: u16,
    /// The container's port.
    pub container_port: u16,
}

impl Mapping {
    /// Reads it: one for each IP version where no address of the host is given. Nothing is touched
    /// before all of them are valid.
    pub fn parse(keys: &Object<'_>) -> Result<Vec<Self>> {
        let container_port = port(keys, ("containerPort", "container"))?;
        let host_port = port(keys, ("hostPort", "host"))?;
        let protocol = protocol(keys)?;
        let at = |host| Self { protocol, host, host_port, container_port };
        Ok(hosts(keys)?.into_iter().map(at).collect())
    }

    /// The host's port that it takes.
    pub fn at(&self) -> (Protocol, HostAddress, u16) {
        (self.protocol, self.host, self.host_port)
    }
}

/// The port at `key`; the reference's words for one that is none.
fn port(keys: &Object<'_>, (key, whose): (&str, &str)) -> Result<u16> {
    let number = keys.integer(key)?.unwrap_or(0);
    u16::try_from(number).ok().filter(|port| *port != 0).ok_or_else(|| {
        let error =
            Error::new(Code::InvalidConfig, format!("Invalid {whose} port number: {number}"));
        match keys.value(key) {
            Some(value) => error.with_details(value.path()),
            None => error.with_details(
                keys.missing(key, &["hostPort", "containerPort", "protocol", "hostIP"]).message(),
            ),
        }
    })
}

fn protocol(keys: &Object<'_>) -> Result<Protocol> {
    let missing = || keys.missing("protocol", &["hostPort", "containerPort", "hostIP"]);
    let value = keys.value("protocol").ok_or_else(missing)?;
    Protocol::named(&value.string()?)
        .ok_or_else(|| value.invalid("must be \"tcp\", \"udp\" or \"sctp\""))
}

fn hosts(keys: &Object<'_>) -> Result<Vec<HostAddress>> {
    let all = || [IpVersion::V4, IpVersion::V6].map(HostAddress::AnyOf).to_vec();
    let Some(value) = keys.value("hostIP") else { return Ok(all()) };
    let text = value.string()?;
    if text.is_empty() {
        return Ok(all());
    }
    let ip = parse_ip(&text).ok_or_else(|| value.invalid("not valid"))?;
    if ip.is_ipv6() && ip.is_loopback() {
        let fault = "the kernel sends nothing from ::1 to a container; use 127.0.0.1";
        return Err(value.invalid(fault).with_code(Code::UnsupportedField));
    }
    if ip.is_multicast() {
        return Err(value.invalid("must be an address of the host"));
    }
    Ok(vec![match ip.is_unspecified() {
        true => HostAddress::AnyOf(version_of(ip)),
        false => HostAddress::One(ip),
    }])
}

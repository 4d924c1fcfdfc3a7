//! Operations as the `ip` command lines that would do the same. Pure.

use std::fmt;

use cni_common::types::net::{DuplicateDetection, LinkRoute, PortFlags};

use super::{HostLinkChange, Operation, Place, VlanAction};

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateBridge { name, mac, mtu, vlan_filtering } => {
                write!(f, "ip link add {name} address {mac}{} up type bridge", Mtu(*mtu))?;
                if *vlan_filtering { f.write_str(" vlan_filtering 1") } else { Ok(()) }
            }
            Self::SetHostLink { name, change } => match change {
                HostLinkChange::Up => write!(f, "ip link set {name} up"),
                HostLinkChange::Down => write!(f, "ip link set {name} down"),
                HostLinkChange::NotPromiscuous => write!(f, "ip link set {name} promisc off"),
                HostLinkChange::Promiscuous => write!(f, "ip link set {name} promisc on"),
                HostLinkChange::KeepMac(mac) => write!(f, "ip link set {name} address {mac}"),
            },
            Self::CreatePair { host, peer, bridge, mtu } => write!(
                f,
                "ip link add {} address {}{mtu} master {bridge} up \
                 type veth peer {} address {}{mtu} netns CONTAINER",
                host.0,
                host.1,
                peer.0,
                peer.1,
                mtu = Mtu(*mtu),
            ),
            Self::CreateVlanGateway { gateway, port, mtu } => write!(
                f,
                "ip link add {} address {}{mtu} up type veth peer {} address {}{mtu}",
                gateway.0,
                gateway.1,
                port.0,
                port.1,
                mtu = Mtu(*mtu),
            ),
            Self::JoinBridge { port, bridge } => {
                write!(f, "ip link set {port} master {bridge} up")
            }
            Self::MarkPort { name, alias, flags } => {
                write!(f, "ip link set {name} alias {alias:?}")?;
                port_flags(f, *flags)
            }
            Self::UnlockPort { name } => {
                write!(f, "ip link set {name} type bridge_slave locked off")
            }
            Self::PortVlans { name, first, last, action } => {
                let (verb, kind) = match action {
                    VlanAction::AddAccess => ("add", " pvid untagged"),
                    VlanAction::AddTagged => ("add", ""),
                    VlanAction::Remove => ("del", ""),
                };
                write!(f, "bridge vlan {verb} dev {name} vid {first}")?;
                if first < last {
                    write!(f, "-{last}")?
                }
                f.write_str(kind)
            }
            other => layer3(other, f),
        }
    }
}

/// Addresses, routes, values and waiting.
fn layer3(operation: &Operation, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match operation {
        Operation::Sysctl { place, name, value, .. } => {
            write!(f, "{}sysctl -w net/{name}={value}", inside(*place))
        }
        Operation::EnableForwarding { name } => write!(f, "sysctl -w net/{name}=1"),
        Operation::AddAddress { place, link, address, detection } => {
            let nodad = address.is_ipv6() && *detection == DuplicateDetection::Skipped;
            write!(f, "{}ip address add {address} dev {link}", inside(*place))?;
            if nodad { f.write_str(" nodad") } else { Ok(()) }
        }
        Operation::RemoveAddress { link, address } => {
            write!(f, "ip address del {address} dev {link}")
        }
        Operation::ContainerUp { name } => {
            write!(f, "{}ip link set {name} up", inside(Place::Container))
        }
        Operation::AddRoute { link, route } => {
            write!(f, "{}ip route add {}", inside(Place::Container), RouteText(link, route))
        }
        Operation::AwaitPort { name } => write!(f, "await {name} operationally up"),
        Operation::AwaitAddresses { place, name, addresses } => {
            let addresses: Vec<String> = addresses.iter().map(|a| a.ip().to_string()).collect();
            write!(f, "{}await {} of {name} usable", inside(*place), addresses.join(" "))
        }
        Operation::Announce { name, mac } => {
            write!(f, "{}ip link set {name} address {mac}", inside(Place::Container))
        }
        Operation::WriteResolvConf { path, text, .. } => {
            write!(f, "write {} {text:?}", path.display())
        }
        _ => Ok(()),
    }
}

fn inside(place: Place) -> &'static str {
    match place {
        Place::Host => "",
        Place::Container => "in CONTAINER: ",
    }
}

struct Mtu(Option<u32>);

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |mtu| write!(f, " mtu {mtu}"))
    }
}

struct RouteText<'a>(&'a str, &'a LinkRoute);

impl fmt::Display for RouteText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(link, route) = self;
        write!(f, "{}", route.dst)?;
        match route.gateways.as_slice() {
            [] => write!(f, " dev {link}")?,
            [only] => write!(f, " via {only} dev {link}")?,
            several => {
                for gateway in several {
                    write!(f, " nexthop via {gateway} dev {link}")?;
                }
            }
        }
        let numbers = [
            ("mtu", route.mtu),
            ("advmss", route.advmss),
            ("metric", route.priority),
            ("table", route.table),
            ("scope", route.scope.map(u32::from)),
        ];
        for (word, number) in numbers {
            number.map_or(Ok(()), |number| write!(f, " {word} {number}"))?;
        }
        Ok(())
    }
}

/// The flags that are set.
fn port_flags(f: &mut fmt::Formatter<'_>, flags: PortFlags) -> fmt::Result {
    let flags =
        [("hairpin", flags.hairpin), ("isolated", flags.isolated), ("locked", flags.locked)];
    let mut kind = " type bridge_slave";
    for (flag, _) in flags.iter().filter(|(_, is_set)| *is_set) {
        write!(f, "{kind} {flag} on")?;
        kind = "";
    }
    Ok(())
}

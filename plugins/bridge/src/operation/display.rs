//! Operations as the `ip` command lines that would do the same. Pure.

use std::fmt;

use cni_common::types::net::{DuplicateDetection, LinkRoute, PortFlags};
use cni_common::types::{Mac, VlanId};

use super::{ALL_ANNOUNCED, HostLinkChange, Operation, Place, VlanAction};

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateBridge { name, mac, mtu, vlan_filtering } => {
                let filtering = if *vlan_filtering { " vlan_filtering 1" } else { "" };
                let mtu = Mtu(*mtu);
                write!(f, "ip link add {name} address {mac}{mtu} up type bridge{filtering}")
            }
            Self::SetHostLink { name, change } => host_link(f, name, *change),
            Self::CreatePair { host, peer, bridge, mtu } => pair(f, (host, peer), bridge, *mtu),
            Self::CreateVlanGateway { gateway, port, mtu } => {
                let ((name, mac), (port, port_mac), mtu) = (gateway, port, Mtu(*mtu));
                write!(f, "ip link add {name} address {mac}{mtu} up ")?;
                write!(f, "type veth peer {port} address {port_mac}{mtu}")
            }
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
                vlans(f, name, (*first, *last), *action)
            }
            Self::Sysctl { place, name, value, .. } => {
                write!(f, "{}sysctl -w net/{name}={value}", inside(*place))
            }
            Self::EnableForwarding { name } => write!(f, "sysctl -w net/{name}=1"),
            Self::AddAddress { place, link, address, detection } => {
                let skipped = address.is_ipv6() && *detection == DuplicateDetection::Skipped;
                let nodad = if skipped { " nodad" } else { "" };
                write!(f, "{}ip address add {address} dev {link}{nodad}", inside(*place))
            }
            Self::RemoveAddress { link, address } => {
                write!(f, "ip address del {address} dev {link}")
            }
            Self::ContainerUp { name } => {
                write!(f, "{}ip link set {name} up", inside(Place::Container))
            }
            Self::AddRoute { link, route } => {
                write!(f, "{}ip route add {}", inside(Place::Container), RouteText(link, route))
            }
            Self::AwaitPort { name } => write!(f, "await {name} operationally up"),
            Self::AwaitAddresses { place, name, addresses } => {
                let addresses: Vec<String> = addresses.iter().map(|a| a.ip().to_string()).collect();
                write!(f, "{}await {} of {name} usable", inside(*place), addresses.join(" "))
            }
            Self::Announce { name, mac } => {
                write!(f, "{}ip link set {name} address {mac}", inside(Place::Container))
            }
            Self::WriteResolvConf { path, text, .. } => {
                write!(f, "write {} {text:?}", path.display())
            }
        }
    }
}

fn host_link(f: &mut fmt::Formatter<'_>, name: &str, change: HostLinkChange) -> fmt::Result {
    write!(f, "ip link set {name} ")?;
    match change {
        HostLinkChange::Up => f.write_str("up"),
        HostLinkChange::Down => f.write_str("down"),
        HostLinkChange::NotPromiscuous => f.write_str("promisc off"),
        HostLinkChange::Promiscuous => f.write_str("promisc on"),
        HostLinkChange::KeepMac(mac) => write!(f, "address {mac}"),
        HostLinkChange::AllAnnounced => write!(f, "alias {ALL_ANNOUNCED:?}"),
    }
}

/// The pair of an attachment; each end has a name and an address.
fn pair(
    f: &mut fmt::Formatter<'_>,
    (host, peer): (&(String, Mac), &(String, Mac)),
    bridge: &str,
    mtu: Option<u32>,
) -> fmt::Result {
    let ((host, host_mac), (peer, peer_mac), mtu) = (host, peer, Mtu(mtu));
    write!(f, "ip link add {host} address {host_mac}{mtu} master {bridge} up ")?;
    write!(f, "type veth peer {peer} address {peer_mac}{mtu} netns CONTAINER")
}

fn vlans(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    (first, last): (VlanId, VlanId),
    action: VlanAction,
) -> fmt::Result {
    let (verb, kind) = match action {
        VlanAction::AddAccess => ("add", " pvid untagged"),
        VlanAction::AddTagged => ("add", ""),
        VlanAction::Remove => ("del", ""),
    };
    write!(f, "bridge vlan {verb} dev {name} vid {first}")?;
    if first < last {
        write!(f, "-{last}")?;
    }
    f.write_str(kind)
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

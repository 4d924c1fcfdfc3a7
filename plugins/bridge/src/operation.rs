//! What an ADD does to the machine, one step each, and how a step is undone. Printed like the
//! `ip` command lines that would do the same. Pure.

mod display;

use std::path::PathBuf;

use cni_common::types::net::{DuplicateDetection, LinkRoute, PortFlags};
use cni_common::types::{Mac, VlanId};
use ipnetwork::IpNetwork;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Make the bridge, up.
    CreateBridge {
        /// Its name.
        name: String,
        /// Its address.
        mac: Mac,
        /// Its MTU.
        mtu: Option<u32>,
        /// Whether it filters VLANs.
        vlan_filtering: bool,
    },
    /// Bring a link of the host up, make it promiscuous, or give it an address that stays.
    SetHostLink {
        /// Its name.
        name: String,
        /// What changes.
        change: HostLinkChange,
    },
    /// Make the veth pair: the host end a port of the bridge.
    CreatePair {
        /// Name and address of the host end.
        host: (String, Mac),
        /// Name and address of the other end.
        peer: (String, Mac),
        /// The bridge's name.
        bridge: String,
        /// The MTU of both.
        mtu: Option<u32>,
    },
    /// Make the pair of a VLAN gateway interface, both ends here. Callers of the reference plugin
    /// find the port by its index: one below the interface's.
    CreateVlanGateway {
        /// Name and address of the interface.
        gateway: (String, Mac),
        /// Name and address of the end that is to be a port.
        port: (String, Mac),
        /// The MTU of both.
        mtu: Option<u32>,
    },
    /// Make a link a port of the bridge, and bring it up.
    JoinBridge {
        /// The link.
        port: String,
        /// The bridge's name.
        bridge: String,
    },
    /// Name the attachment on the host end, and set the port's flags.
    MarkPort {
        /// The host end.
        name: String,
        /// What it says.
        alias: String,
        /// The port's flags.
        flags: PortFlags,
    },
    /// Let frames from every sender into a port.
    UnlockPort {
        /// The host end.
        name: String,
    },
    /// Let VLANs pass a port, or no more.
    PortVlans {
        /// The port.
        name: String,
        /// The lowest.
        first: VlanId,
        /// The highest.
        last: VlanId,
        /// Which way.
        action: VlanAction,
    },
    /// Set a value below `/proc/sys/net` if that can be done: without IPv6 half of them are missing,
    /// and many a container has `/proc/sys` read-only.
    Sysctl {
        /// Where.
        place: Place,
        /// Which.
        name: String,
        /// To what.
        value: &'static str,
    },
    /// Turn forwarding on for a family, for the whole host.
    EnableForwarding {
        /// The value below `/proc/sys/net`.
        name: &'static str,
    },
    /// Give a link an address.
    AddAddress {
        /// Where the link is.
        place: Place,
        /// The link's name.
        link: String,
        /// The address.
        address: IpNetwork,
        /// Whether it is probed for another holder.
        detection: DuplicateDetection,
    },
    /// Take an address from a link of the host.
    RemoveAddress {
        /// The link's name.
        link: String,
        /// The address.
        address: IpNetwork,
    },
    /// Bring the container interface up.
    ContainerUp {
        /// Its name.
        name: String,
    },
    /// Add a route through the container interface.
    AddRoute {
        /// The interface's name.
        link: String,
        /// The route.
        route: LinkRoute,
    },
    /// Wait until a port passes traffic.
    AwaitPort {
        /// The port.
        name: String,
    },
    /// Wait until IPv6 addresses can be used.
    AwaitAddresses {
        /// Where the link is.
        place: Place,
        /// The link.
        name: String,
        /// The addresses.
        addresses: Vec<IpNetwork>,
    },
    /// Tell the neighbours who has the container's addresses now.
    Announce {
        /// The interface.
        name: String,
        /// Its Ethernet address.
        mac: Mac,
    },
    /// Write a resolv.conf for `ip netns exec`.
    WriteResolvConf {
        /// Where.
        path: PathBuf,
        /// Where it is until it is whole.
        unfinished: PathBuf,
        /// What.
        text: String,
    },
}

/// What changes on a link of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostLinkChange {
    /// Up.
    Up,
    /// Down.
    Down,
    /// Promiscuous.
    Promiscuous,
    /// No more promiscuous.
    NotPromiscuous,
    /// It has this address from now on, whatever ports it gets; most often the one it has.
    KeepMac(Mac),
    /// It says that it is [`ALL_ANNOUNCED`].
    AllAnnounced,
}

/// The alias of a bridge that was made while a pool's record ran, and got a container with an address that is
/// not in that record: of another pool, or of the same after its record was lost.
pub const ALL_ANNOUNCED: &str = "causeway: every address is announced";

impl HostLinkChange {
    /// What makes the link as it was before. `None` for an address: it has it as before; and for what stays
    /// true of a bridge.
    pub(crate) fn inverse(self) -> Option<Self> {
        match self {
            Self::Up => Some(Self::Down),
            Self::Down => Some(Self::Up),
            Self::Promiscuous => Some(Self::NotPromiscuous),
            Self::NotPromiscuous => Some(Self::Promiscuous),
            Self::KeepMac(_) | Self::AllAnnounced => None,
        }
    }
}

/// Which way VLANs of a port change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VlanAction {
    /// Pass without a tag: the port's own VLAN.
    AddAccess,
    /// Pass with their tag.
    AddTagged,
    /// Pass no more.
    Remove,
}

/// On which side of the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The plugin's own namespace.
    Host,
    /// The container's.
    Container,
}

/// How a step that was done is undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// Remove the attachment's pair by its host end, if it still has this address: it is random, so
    /// a pair of another ADD has another. Everything on the other end goes with it.
    RemovePair(String, Mac),
    /// Set a value of the container's back.
    RestoreSysctl(String, String),
    /// Remove the resolv.conf, and what may be left of writing it.
    RemoveResolvConf(PathBuf, PathBuf),
    /// Something that others may have come to use; undone only if nobody has.
    Shared(SharedUndo),
}

/// How a step is undone whose effect others may have come to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedUndo {
    /// Remove the bridge.
    RemoveBridge(String),
    /// Remove the VLAN gateway interface, by its port.
    RemoveVlanGateway(String),
    /// Remove an address of a host link.
    RemoveAddress(String, IpNetwork),
    /// Give a host link back an address that was in the way.
    RestoreAddress(String, IpNetwork),
    /// Change a host link back.
    ChangeLink(String, HostLinkChange),
    /// Turn forwarding off.
    DisableForwarding(&'static str),
}

//! What the kernel has in a network namespace, as values: what a plan and those that act share. Pure.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::types::{LinkAttributes, Mac, VlanId};

/// A link as the kernel shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its index in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its Ethernet address.
    pub mac: Option<Mac>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// What kind of virtual link it is (`bridge`, `veth`); empty for a physical one.
    pub kind: String,
    /// The index of the bridge it is a port of.
    pub master: Option<u32>,
    /// The index of its peer, in the peer's namespace.
    pub peer: Option<u32>,
    /// The kernel's number of the peer's namespace, as long as it has one in the link's own; `None`
    /// for a peer in the same.
    pub peer_netns: Option<i32>,
    /// What an administrator wrote on it.
    pub alias: String,
    /// Whether it is to be up.
    pub is_up: bool,
    /// Whether it can pass traffic (`operstate` is up).
    pub is_operational: bool,
    /// Whether it was set to take every frame.
    pub is_promiscuous: bool,
    /// Whether it was set to take every multicast frame.
    pub is_all_multicast: bool,
    /// The length of its transmit queue in packets.
    pub tx_queue_length: u32,
    /// Of a bridge: whether it filters VLANs.
    pub vlan_filtering: bool,
    /// Of a bridge's port: its flags.
    pub port: PortFlags,
}

impl Link {
    /// Whether it is a bridge.
    pub fn is_bridge(&self) -> bool {
        self.kind == "bridge"
    }

    /// All of its attributes that can be changed together.
    pub fn attributes(&self) -> LinkAttributes {
        LinkAttributes {
            mac: self.mac,
            promiscuous: Some(self.is_promiscuous),
            mtu: Some(self.mtu),
            all_multicast: Some(self.is_all_multicast),
            tx_queue_length: Some(self.tx_queue_length),
        }
    }
}

/// Flags of a bridge's port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortFlags {
    /// Frames may go back out of the port they came in by.
    pub hairpin: bool,
    /// No frames to or from other isolated ports.
    pub isolated: bool,
    /// Frames come in only from senders that were told to the bridge: from none. Kernels before
    /// 5.18 do not have it and ignore it.
    pub locked: bool,
}

/// VLANs of a port, from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanRange {
    /// The lowest.
    pub first: VlanId,
    /// The highest; the same as `first` for a single one.
    pub last: VlanId,
    /// How frames of them pass.
    pub kind: VlanKind,
}

/// How frames of a VLAN pass a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VlanKind {
    /// With their tag.
    Tagged,
    /// Without a tag, both ways: the port's own VLAN (PVID).
    Access,
}

/// An address of a link as the kernel shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAddress {
    /// The address with its prefix length.
    pub address: IpNetwork,
    /// Whether it can't be used yet: duplicate address detection still runs, or failed.
    pub is_tentative: bool,
    /// Whether duplicate address detection found another holder.
    pub is_duplicate: bool,
}

/// Whether an IPv6 address is probed for another holder before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateDetection {
    /// As the kernel is set for the link.
    AsSet,
    /// Not at all: usable at once.
    Skipped,
}

/// A route through one link, with none, one or several gateways (ECMP).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LinkRoute {
    /// Where to; the host part is zero.
    pub dst: IpNetwork,
    /// By which gateways; none: the destination is on the link.
    pub gateways: Vec<IpAddr>,
    /// Path MTU in bytes.
    pub mtu: Option<u32>,
    /// TCP maximum segment size to advertise, in bytes.
    pub advmss: Option<u32>,
    /// Priority (metric); lower is preferred.
    pub priority: Option<u32>,
    /// Routing table; `None` is the main one.
    pub table: Option<u32>,
    /// Scope; `None` is global with a gateway, link without.
    pub scope: Option<u8>,
}

/// The main routing table (`RT_TABLE_MAIN`), which 0 stands for too.
pub const MAIN_TABLE: u32 = 254;

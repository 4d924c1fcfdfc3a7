//! Links: what is asked of them and changed on them, whatever their kind.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet, AfSpecUnspec, InetDevConf, InfoBridge, InfoBridgePort, InfoData, InfoKind,
    InfoPortData, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage, State,
};
use nix::errno::Errno;
use rtnetlink::{LinkBridge, LinkMessageBuilder, LinkUnspec};

use super::netlink::Netlink;
use super::removal;
use crate::error::{Code, Context, Error, Result};
use crate::types::net::{Link, PortFlags};
use crate::types::{LinkAttributes, Mac};

/// `addr_assign_type` of an address that was chosen (`include/uapi/linux/netdevice.h`).
const NET_ADDR_SET: &str = "3";

/// Where the kernel shows links as folders.
const SYS: &str = "/sys/class/net";

/// A kind of virtual link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A bridge.
    Bridge,
    /// An ifb device.
    Ifb,
    /// One end of a veth pair.
    Veth,
}

impl LinkKind {
    fn info(self) -> InfoKind {
        match self {
            Self::Bridge => InfoKind::Bridge,
            Self::Ifb => InfoKind::Ifb,
            Self::Veth => InfoKind::Veth,
        }
    }
}

/// Whether a link takes every frame, also those that are not for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promiscuity {
    /// Every frame.
    On,
    /// Only its own.
    Off,
}

/// A bridge to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBridge<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its address, given explicitly so that it is not that of the lowest port.
    pub mac: Mac,
    /// Its MTU; `None` leaves it to the kernel.
    pub mtu: Option<u32>,
    /// Whether it filters VLANs; only asked for when it does, as not every kernel can.
    pub vlan_filtering: bool,
}

impl Netlink {
    /// The link of this name, if there is one.
    pub fn find_link(&mut self, name: &str) -> Result<Option<Link>> {
        let request = named(name).build();
        self.get_link(request).with_context(|| format!("look up link {name:?}"))
    }

    /// The link with this index, if there is one.
    pub fn find_link_by_index(&mut self, index: u32) -> Result<Option<Link>> {
        let request = indexed(index).build();
        self.get_link(request).with_context(|| format!("look up link {index}"))
    }

    /// The index of the link of this name, which must be there (`ENODEV` if not).
    pub fn index_of(&mut self, name: &str) -> Result<u32> {
        match self.find_link(name)? {
            Some(link) => Ok(link.index),
            None => {
                Err(Error::errno(Code::Kernel, Errno::ENODEV).context(format!("link {name:?}")))
            }
        }
    }

    /// The other end of a pair, in whatever namespace that is; `None` where there is none, or its
    /// namespace has no number here. Kernels before 4.17 do not look there.
    pub fn find_peer(&mut self, link: &Link) -> Result<Option<Link>> {
        let Some(index) = link.peer else { return Ok(None) };
        let Some(netns) = link.peer_netns else { return self.find_link_by_index(index) };
        let mut request = indexed(index).build();
        request.attributes.push(LinkAttribute::IfNetnsId(netns));
        match self.get_link(request) {
            // The namespace went with its number.
            Err(error) if error.raw_errno() == Some(Errno::EINVAL) => Ok(None),
            other => other.with_context(|| format!("look up the peer of {:?}", link.name)),
        }
    }

    fn get_link(&mut self, mut request: LinkMessage) -> Result<Option<Link>> {
        request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        match self.get(&RouteNetlinkMessage::GetLink(request)) {
            Ok(RouteNetlinkMessage::NewLink(message)) => Ok(Some(Link::from_message(message))),
            Ok(_) => Err(Error::new(Code::Kernel, "the netlink answer is not a link")),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All links of `kind`, or only those that are ports of `master`.
    pub fn list_links(&mut self, kind: LinkKind, master: Option<u32>) -> Result<Vec<Link>> {
        let kind = kind.info();
        let wanted = kind.to_string();
        let mut request = LinkMessage::default();
        request.attributes = vec![
            LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)]),
        ];
        request.attributes.extend(master.map(LinkAttribute::Controller));
        let answers = self.dump(&RouteNetlinkMessage::GetLink(request)).context("list links")?;
        // A kernel that does not filter sends them all.
        let is_wanted = |link: &Link| {
            link.kind == wanted && master.is_none_or(|master| link.master == Some(master))
        };
        Ok(links(answers).filter(is_wanted).collect())
    }

    /// Makes a bridge, up.
    pub fn create_bridge(&mut self, bridge: &NewBridge<'_>) -> Result<()> {
        let mut builder = LinkBridge::new(bridge.name).address(bridge.mac.octets().to_vec()).up();
        if let Some(mtu) = bridge.mtu {
            builder = builder.mtu(mtu);
        }
        if bridge.vlan_filtering {
            builder = builder.append_info_data(InfoBridge::VlanFiltering(true));
        }
        let request = RouteNetlinkMessage::NewLink(builder.build());
        self.change(request, NLM_F_CREATE | NLM_F_EXCL)
            .with_context(|| format!("create bridge {:?}", bridge.name))
    }

    /// Brings the link of this name up.
    pub fn set_link_up(&mut self, name: &str) -> Result<()> {
        self.set_link(named(name).up())
    }

    /// Brings the link of this name up and sets its IPv4 `arp_notify`, by one message.
    pub fn set_link_up_with_arp_notify(&mut self, name: &str) -> Result<()> {
        let mut values = InetDevConf::default();
        values.arp_notify = 1;
        // Values of 0 are not sent.
        let values = AfSpecUnspec::Inet(vec![AfSpecInet::DevConfRequest(values)]);
        let change = named(name).up();
        self.set_link(change.append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![values])))
    }

    /// Takes the link of this name down.
    pub fn set_link_down(&mut self, name: &str) -> Result<()> {
        self.set_link(named(name).down())
    }

    /// Sets whether the link of this name takes every frame.
    pub fn set_promiscuous(&mut self, name: &str, promiscuity: Promiscuity) -> Result<()> {
        self.set_link(named(name).promiscuous(promiscuity == Promiscuity::On))
    }

    /// Sets the Ethernet address of the link of this name. When that changes nothing, the kernel
    /// still announces all addresses of the link where `arp_notify` or `ndisc_notify` is set.
    pub fn set_mac(&mut self, name: &str, mac: Mac) -> Result<()> {
        self.set_link(named(name).address(mac.octets().to_vec()))
    }

    /// Sets all of `attributes` of the link with this index by one message. When the kernel refuses
    /// one of them, it may have set others.
    pub fn set_attributes(&mut self, index: u32, attributes: &LinkAttributes) -> Result<()> {
        let mut change = LinkMessageBuilder::<LinkUnspec>::new().index(index);
        if let Some(mac) = attributes.mac {
            change = change.address(mac.octets().to_vec());
        }
        if let Some(is_promiscuous) = attributes.promiscuous {
            change = change.promiscuous(is_promiscuous);
        }
        if let Some(mtu) = attributes.mtu {
            change = change.mtu(mtu);
        }
        if let Some(is_all_multicast) = attributes.all_multicast {
            change = change.allmulticast(is_all_multicast);
        }
        if let Some(length) = attributes.tx_queue_length {
            change = change.txqueuelen(length);
        }
        self.set_link(change)
    }

    /// Makes the link of this name a port of the bridge with this index, and brings it up.
    pub fn join_bridge(&mut self, name: &str, bridge: u32) -> Result<()> {
        self.set_link(named(name).controller(bridge).up())
    }

    pub(super) fn set_link(&mut self, change: LinkMessageBuilder<LinkUnspec>) -> Result<()> {
        self.change(RouteNetlinkMessage::SetLink(change.build()), 0)
    }

    /// Removes the link of this name; `false` if there was none. Both ends of a veth pair are gone
    /// then, whatever the kernel still has to do. The calling thread is in this socket's namespace.
    pub fn remove_link(&mut self, name: &str) -> Result<bool> {
        removal::remove_link(self, name).with_context(|| format!("delete link {name:?}"))
    }

    /// Removes all links of these names; one that is missing is done. No failure stops the rest.
    pub fn remove_links(&mut self, names: &[String]) -> Result<()> {
        removal::remove_links(self, names)
    }
}

/// A message about the link of this name.
pub(super) fn named(name: &str) -> LinkMessageBuilder<LinkUnspec> {
    LinkMessageBuilder::<LinkUnspec>::new().name(name)
}

/// A message about the link with this index.
pub(super) fn indexed(index: u32) -> LinkMessageBuilder<LinkUnspec> {
    LinkMessageBuilder::<LinkUnspec>::new().index(index)
}

/// The links in the answer to a dump.
pub(super) fn links(answers: Vec<RouteNetlinkMessage>) -> impl Iterator<Item = Link> {
    answers.into_iter().filter_map(|answer| match answer {
        RouteNetlinkMessage::NewLink(message) => Some(Link::from_message(message)),
        _ => None,
    })
}

impl Link {
    /// The link that a message tells of.
    pub(super) fn from_message(message: LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut link = Self {
            index: message.header.index,
            is_up: flags.contains(LinkFlags::Up),
            is_promiscuous: flags.contains(LinkFlags::Promisc),
            is_all_multicast: flags.contains(LinkFlags::Allmulti),
            ..Self::default()
        };
        for attribute in message.attributes {
            link.take(attribute);
        }
        link
    }

    fn take(&mut self, attribute: LinkAttribute) {
        match attribute {
            LinkAttribute::IfName(name) => self.name = name,
            LinkAttribute::Address(octets) => {
                self.mac = <[u8; 6]>::try_from(octets).ok().map(Mac::new);
            }
            LinkAttribute::Mtu(mtu) => self.mtu = mtu,
            LinkAttribute::TxQueueLen(length) => self.tx_queue_length = length,
            LinkAttribute::Controller(index) => self.master = Some(index),
            LinkAttribute::Link(index) => self.peer = Some(index),
            LinkAttribute::LinkNetNsId(number) => {
                self.peer_netns = Some(number).filter(|number| *number >= 0);
            }
            LinkAttribute::IfAlias(alias) => self.alias = alias,
            LinkAttribute::OperState(state) => self.is_operational = state == State::Up,
            LinkAttribute::LinkInfo(infos) => {
                infos.into_iter().for_each(|info| self.take_info(info))
            }
            _ => {}
        }
    }

    fn take_info(&mut self, info: LinkInfo) {
        match info {
            LinkInfo::Kind(kind) => self.kind = kind.to_string(),
            LinkInfo::Data(InfoData::Bridge(infos)) => {
                self.vlan_filtering = infos.contains(&InfoBridge::VlanFiltering(true));
            }
            LinkInfo::PortData(InfoPortData::BridgePort(infos)) => {
                self.port = PortFlags {
                    hairpin: infos.contains(&InfoBridgePort::HairpinMode(true)),
                    isolated: infos.contains(&InfoBridgePort::Isolated(true)),
                    locked: infos.contains(&InfoBridgePort::Locked(true)),
                };
            }
            _ => {}
        }
    }

    /// Where `/sys` shows this link, if it does: it may have been mounted in another network namespace.
    pub fn shown(&self) -> Option<ShownLink> {
        let mac = self.mac.filter(|mac| mac.is_assignable())?;
        let shown = ShownLink { folder: Path::new(SYS).join(&self.name) };
        let is_this = shown.read("ifindex")? == self.index.to_string()
            && shown.read("address")? == mac.to_string();
        is_this.then_some(shown)
    }
}

/// A link as `/sys` shows it: what rtnetlink does not tell.
#[derive(Debug)]
pub struct ShownLink {
    folder: PathBuf,
}

impl ShownLink {
    /// Whether somebody chose its Ethernet address. A bridge that has none of its own takes the
    /// lowest of its ports' instead, each time one comes or goes, and is without one when the last
    /// has left. `None` where it can't be read.
    pub fn is_mac_set(&self) -> Option<bool> {
        Some(self.read("addr_assign_type")? == NET_ADDR_SET)
    }

    /// The names of a bridge's ports; `None` where they can't be read.
    pub fn port_names(&self) -> Option<Vec<OsString>> {
        let ports = fs::read_dir(self.folder.join("brif")).ok()?;
        ports.map(|port| Some(port.ok()?.file_name())).collect()
    }

    fn read(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.folder.join(name)).ok()?;
        Some(text.trim_end().to_owned())
    }
}

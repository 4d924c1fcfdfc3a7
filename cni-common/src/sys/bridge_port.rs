//! What a bridge keeps for each of its ports: flags and VLANs.

use netlink_packet_route::link::{
    AfSpecBridge, BridgeVlanInfo, BridgeVlanInfoFlags, InfoBridgePort, InfoPortData, InfoPortKind,
    LinkAttribute, LinkExtentMask, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use super::link::{links, named};
use super::netlink::Netlink;
use crate::error::{Context, Result};
use crate::types::VlanId;
use crate::types::net::PortFlags;
use crate::types::net::{Link, VlanKind, VlanRange};

impl Netlink {
    /// Writes an alias on the port of this name and sets its flags, in one message.
    pub fn configure_port(&mut self, name: &str, alias: &str, flags: PortFlags) -> Result<()> {
        let mut infos = Vec::new();
        if flags.hairpin {
            infos.push(InfoBridgePort::HairpinMode(true));
        }
        if flags.isolated {
            infos.push(InfoBridgePort::Isolated(true));
        }
        if flags.locked {
            infos.push(InfoBridgePort::Locked(true));
        }
        let mut change = aliased(name, alias);
        if !infos.is_empty() {
            change = with_port_data(change, infos);
        }
        self.change(RouteNetlinkMessage::NewLink(change.build()), 0)
    }

    /// Lets frames of every sender into the port of this name.
    pub fn unlock_port(&mut self, name: &str) -> Result<()> {
        let change = named(name);
        let change = with_port_data(change, vec![InfoBridgePort::Locked(false)]);
        self.change(RouteNetlinkMessage::NewLink(change.build()), 0)
    }

    /// Writes an alias on the port of this name without waiting to hear how that went.
    pub fn set_alias_unacknowledged(&mut self, name: &str, alias: &str) -> Result<()> {
        self.send_unacknowledged(&RouteNetlinkMessage::SetLink(aliased(name, alias).build()))
    }

    /// The ports of the bridge with this index.
    pub fn list_ports(&mut self, index: u32) -> Result<Vec<Link>> {
        let mut request = LinkMessage::default();
        request.attributes = vec![
            LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]),
            LinkAttribute::Controller(index),
        ];
        let answers = self.dump(&RouteNetlinkMessage::GetLink(request)).context("list ports")?;
        // A kernel that does not filter sends all links.
        Ok(links(answers).filter(|link| link.master == Some(index)).collect())
    }

    /// Lets the VLANs of `range` pass the port with this index.
    pub fn add_port_vlans(&mut self, index: u32, range: VlanRange) -> Result<()> {
        self.change(RouteNetlinkMessage::SetLink(vlans(index, range)), 0)
    }

    /// Lets the VLANs of `range` pass the port no more.
    pub fn remove_port_vlans(&mut self, index: u32, range: VlanRange) -> Result<()> {
        self.change(RouteNetlinkMessage::DelLink(vlans(index, range)), 0)
    }
}

fn with_port_data(
    change: LinkMessageBuilder<LinkUnspec>,
    infos: Vec<InfoBridgePort>,
) -> LinkMessageBuilder<LinkUnspec> {
    change.set_port_kind(InfoPortKind::Bridge).set_port_data(InfoPortData::BridgePort(infos))
}

fn aliased(name: &str, alias: &str) -> LinkMessageBuilder<LinkUnspec> {
    named(name).alias(alias)
}

fn vlans(index: u32, range: VlanRange) -> LinkMessage {
    let flags = match range.kind {
        VlanKind::Tagged => BridgeVlanInfoFlags::empty(),
        VlanKind::Access => BridgeVlanInfoFlags::Pvid | BridgeVlanInfoFlags::Untagged,
    };
    let info =
        |vid: VlanId, flags| AfSpecBridge::VlanInfo(BridgeVlanInfo { flags, vid: vid.get() });
    let infos = if range.first == range.last {
        vec![info(range.first, flags)]
    } else {
        vec![
            info(range.first, flags | BridgeVlanInfoFlags::RangeBegin),
            info(range.last, flags | BridgeVlanInfoFlags::RangeEnd),
        ]
    };
    let mut message = LinkMessage::default();
    message.header.interface_family = AddressFamily::Bridge;
    message.header.index = index;
    message.attributes.push(LinkAttribute::AfSpecBridge(infos));
    message
}

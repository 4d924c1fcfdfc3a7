//! Addresses of links.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::netlink::Netlink;
use crate::error::{Context, Result};
use crate::types::net::{DuplicateDetection, Link, LinkAddress};

impl Netlink {
    /// Gives the link with this index an address.
    pub fn add_address(
        &mut self,
        index: u32,
        address: IpNetwork,
        detection: DuplicateDetection,
    ) -> Result<()> {
        let mut message = address_message(index, address);
        if address.is_ipv6() && detection == DuplicateDetection::Skipped {
            message.header.flags |= AddressHeaderFlags::Nodad;
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        self.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Takes an address from the link with this index; `false` if it did not have it.
    pub fn remove_address(&mut self, index: u32, address: IpNetwork) -> Result<bool> {
        let message = address_message(index, address);
        match self.change(RouteNetlinkMessage::DelAddress(message), 0) {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The addresses of the link with this index.
    pub fn list_addresses(&mut self, index: u32) -> Result<Vec<LinkAddress>> {
        let mut request = AddressMessage::default();
        request.header.index = index;
        self.list_addresses_by(request)
    }

    /// The addresses of a pair's other end, in whatever namespace that is; none where it is gone.
    /// Kernels before 4.20 do not look there.
    pub fn list_peer_addresses(&mut self, link: &Link) -> Result<Vec<LinkAddress>> {
        let Some(index) = link.peer else { return Ok(Vec::new()) };
        let mut request = AddressMessage::default();
        request.header.index = index;
        request.attributes.extend(link.peer_netns.map(AddressAttribute::TargetNetNsId));
        match self.list_addresses_by(request) {
            // The namespace went with its number, or the end went out of it.
            Err(error) if matches!(error.raw_errno(), Some(Errno::EINVAL | Errno::ENODEV)) => {
                Ok(Vec::new())
            }
            other => other,
        }
    }

    fn list_addresses_by(&mut self, request: AddressMessage) -> Result<Vec<LinkAddress>> {
        let index = request.header.index;
        let answers =
            self.dump(&RouteNetlinkMessage::GetAddress(request)).context("list addresses")?;
        let found = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(message) if message.header.index == index => {
                link_address(&message)
            }
            _ => None,
        });
        Ok(found.collect())
    }
}

impl Netlink {
    /// The addresses of all links of the namespace.
    pub fn list_all_addresses(&mut self) -> Result<Vec<IpAddr>> {
        let request = AddressMessage::default();
        let answers =
            self.dump(&RouteNetlinkMessage::GetAddress(request)).context("list addresses")?;
        let found = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewAddress(message) => {
                link_address(&message).map(|found| found.address.ip())
            }
            _ => None,
        });
        Ok(found.collect())
    }
}

fn address_message(index: u32, address: IpNetwork) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = address.prefix();
    message.header.scope = AddressScope::Universe;
    message.attributes.push(AddressAttribute::Local(address.ip()));
    message.attributes.push(AddressAttribute::Address(address.ip()));
    match address {
        IpNetwork::V4(v4) => {
            message.header.family = AddressFamily::Inet;
            // As `ip address add … brd +`: a broadcast address where the subnet has one.
            if v4.prefix() < 31 {
                message.attributes.push(AddressAttribute::Broadcast(v4.broadcast()));
            }
        }
        IpNetwork::V6(_) => message.header.family = AddressFamily::Inet6,
    }
    message
}

/// The address that a message tells of.
pub(super) fn link_address(message: &AddressMessage) -> Option<LinkAddress> {
    let mut address = None;
    let mut local = None;
    let mut flags = AddressFlags::empty();
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(ip) => address = Some(*ip),
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Flags(found) => flags = *found,
            _ => {}
        }
    }
    // On a point-to-point link the two differ and the local one is the link's own.
    let ip: IpAddr = local.or(address)?;
    Some(LinkAddress {
        address: IpNetwork::new(ip, message.header.prefix_len).ok()?,
        is_tentative: flags.contains(AddressFlags::Tentative),
        is_duplicate: flags.contains(AddressFlags::Dadfailed),
    })
}

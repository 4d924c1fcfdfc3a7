//! ifb devices: what is sent by one is given back to the link that it came from, after it has waited in
//! the device's queue.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkInfo};
use nix::errno::Errno;

use super::link::{indexed, named};
use super::netlink::Netlink;
use crate::error::Result;

impl Netlink {
    /// Makes an ifb device, up and without a queue of its own length. `EEXIST`: the name is taken.
    pub fn create_ifb(&mut self, name: &str, mtu: u32) -> Result<()> {
        let kind = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Ifb)]);
        let device = named(name).mtu(mtu).txqueuelen(0).up().append_extra_attribute(kind);
        let request = RouteNetlinkMessage::NewLink(device.build());
        self.change(request, NLM_F_CREATE | NLM_F_EXCL).map_err(|error| match error.raw_errno() {
            Some(Errno::EOPNOTSUPP) => error.with_details("the kernel lacks ifb (module ifb)"),
            _ => error,
        })
    }

    /// Writes an alias on the link with this index.
    pub fn set_alias(&mut self, index: u32, alias: &str) -> Result<()> {
        self.set_link(indexed(index).alias(alias))
    }

    /// Sets the MTU of the link with this index, and brings it up.
    pub fn set_mtu_and_up(&mut self, index: u32, mtu: u32) -> Result<()> {
        self.set_link(indexed(index).mtu(mtu).up())
    }
}

//! The veth pair, made in one message.

use std::fs::File;
use std::os::fd::AsRawFd;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage,
};
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use super::netlink::Netlink;
use crate::error::Result;
use crate::types::Mac;

/// One end of a pair to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEnd<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its Ethernet address.
    pub mac: Mac,
}

/// A veth pair to be made: the host end up and a port of a bridge, the other end, down, in another
/// namespace under its final name. Where both are in one namespace the other end has the lower index.
#[derive(Clone, Debug)]
pub struct NewPair<'a> {
    /// The end in this namespace.
    pub host: NewEnd<'a>,
    /// The index of the bridge that the host end becomes a port of; `None` for none.
    pub master: Option<u32>,
    /// The other end.
    pub peer: NewEnd<'a>,
    /// The other end's namespace; `None` for this one.
    pub netns: Option<&'a File>,
    /// The MTU of both; `None` leaves it to the kernel.
    pub mtu: Option<u32>,
}

impl Netlink {
    /// Makes the pair. `EEXIST`: one of the names is taken; `EXFULL`: the bridge has no port left;
    /// `ENODEV`: the bridge is gone.
    pub fn create_pair(&mut self, pair: &NewPair<'_>) -> Result<()> {
        let mut peer = end(&pair.peer, pair.mtu);
        if let Some(netns) = pair.netns {
            peer = peer.setns_by_fd(netns.as_raw_fd());
        }
        let mut host = end(&pair.host, pair.mtu).up().append_extra_attribute(veth(peer.build()));
        if let Some(master) = pair.master {
            host = host.controller(master);
        }
        self.change(RouteNetlinkMessage::NewLink(host.build()), NLM_F_CREATE | NLM_F_EXCL)
    }
}

/// With one queue each way, which is what a pair uses. Left to itself the kernel makes as many as there
/// are processors, sets all but one aside, and waits for all processors for each end (decision 46).
fn end(end: &NewEnd<'_>, mtu: Option<u32>) -> LinkMessageBuilder<LinkUnspec> {
    let message = LinkMessageBuilder::<LinkUnspec>::new()
        .name(end.name)
        .address(end.mac.octets().to_vec())
        .append_extra_attribute(LinkAttribute::NumTxQueues(1))
        .append_extra_attribute(LinkAttribute::NumRxQueues(1));
    match mtu {
        Some(mtu) => message.mtu(mtu),
        None => message,
    }
}

fn veth(peer: LinkMessage) -> LinkAttribute {
    LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ])
}

//! Connection tracking: forgetting flows that lead somewhere they no longer should. UDP has no end
//! of a connection, so a flow that goes on keeps the translation it began with.

use std::net::IpAddr;

use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Protocol, Tuple,
};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};

use super::netfilter::{Netfilter, NetfilterSocket};
use super::socket::read_datagram;
use crate::error::{Context, Error, Result};

/// UDP flows that lead to, or are answered from, an address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpFlows {
    /// Those whose first packet was sent to this port, and to this address if one is given, before
    /// any translation: those of a host port. The address's family is that of the flow.
    SentTo(Family, Option<IpAddr>, u16),
    /// Those that are answered from this address and port: those of a container, whatever address
    /// and port its clients know.
    AnsweredFrom(IpAddr, u16),
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }

    fn header(self) -> NetfilterHeader {
        let family = match self {
            Self::Ipv4 => NetfilterProtoFamily::IPv4,
            Self::Ipv6 => NetfilterProtoFamily::IPv6,
        };
        NetfilterHeader::new(family, 0, 0)
    }
}

impl UdpFlows {
    fn family(&self) -> Family {
        match self {
            Self::SentTo(family, ..) => *family,
            Self::AnsweredFrom(ip, _) => Family::of(*ip),
        }
    }

    fn has(&self, flow: &Flow) -> bool {
        match self {
            Self::SentTo(_, ip, port) => {
                flow.original.is_udp
                    && flow.original.destination_port == Some(*port)
                    && ip.is_none_or(|ip| flow.original.destination == Some(ip))
            }
            Self::AnsweredFrom(ip, port) => {
                flow.reply.is_udp
                    && flow.reply.source_port == Some(*port)
                    && flow.reply.source == Some(*ip)
            }
        }
    }
}

/// Forgets the flows in the calling thread's network namespace; says how many there were. In a
/// kernel without connection tracking there are none.
pub fn forget_udp(flows: &[UdpFlows]) -> Result<usize> {
    let mut socket = match NetfilterSocket::open() {
        Ok(socket) => socket,
        Err(error) if super::nft::is_unsupported(&error) => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut forgotten = 0;
    for family in [Family::Ipv4, Family::Ipv6] {
        let wanted: Vec<_> = flows.iter().filter(|flows| flows.family() == family).collect();
        if wanted.is_empty() {
            continue;
        }
        for flow in list(&mut socket, family)? {
            if wanted.iter().any(|wanted| wanted.has(&flow)) && forget(&mut socket, family, flow)? {
                forgotten += 1;
            }
        }
    }
    Ok(forgotten)
}

/// The flows of the family, as they were while the kernel went through them: they change all the
/// time, and one that begins meanwhile begins with the rules there are now.
fn list(socket: &mut NetfilterSocket, family: Family) -> Result<Vec<Flow>> {
    let get = ConntrackMessage::Get(Vec::new());
    let answer = match socket.dump_once(&NetfilterMessage::new(family.header(), get)) {
        Ok((answer, _whole)) => answer,
        Err(error) if is_missing(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error.context("list the tracked connections")),
    };
    Ok(answer.into_iter().filter_map(Flow::read).collect())
}

/// How many flows a datagram of answers tells of, and how many of them are any of `wanted`.
pub fn read_answers(datagram: &[u8], wanted: &[UdpFlows]) -> Result<(usize, usize)> {
    let messages = read_datagram::<Netfilter>(datagram)?.into_iter();
    let found = messages.filter_map(|message| Flow::read(message.object()?));
    let found: Vec<Flow> = found.collect();
    let is_wanted = |flow: &&Flow| wanted.iter().any(|wanted| wanted.has(flow));
    Ok((found.len(), found.iter().filter(is_wanted).count()))
}

/// Forgets a flow; `false` if it was gone already.
fn forget(socket: &mut NetfilterSocket, family: Family, flow: Flow) -> Result<bool> {
    let delete = ConntrackMessage::Delete(flow.name);
    match socket.change(NetfilterMessage::new(family.header(), delete), 0) {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error).context("forget a tracked connection"),
    }
}

/// Whether the kernel has no connection tracking: no such subsystem.
fn is_missing(error: &Error) -> bool {
    super::nft::is_unsupported(error) || error.raw_errno() == Some(nix::errno::Errno::EINVAL)
}

/// A tracked connection.
#[derive(Debug)]
struct Flow {
    original: Direction,
    reply: Direction,
    /// What the kernel knows it by: its original direction, its number, its zone.
    name: Vec<ConntrackAttribute>,
}

/// What the packets of one direction have in their headers.
#[derive(Debug, Default)]
struct Direction {
    is_udp: bool,
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    source_port: Option<u16>,
    destination_port: Option<u16>,
}

/// `CTA_ID` and `CTA_ZONE` of linux/netfilter/nfnetlink_conntrack.h.
const ID: u16 = 12;
const ZONE: u16 = 18;

impl Flow {
    fn read(message: NetfilterMessage) -> Option<Self> {
        use netlink_packet_core::Nla;
        let NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)) = message.inner
        else {
            return None;
        };
        let (mut original, mut reply) = (None, None);
        let mut name = Vec::new();
        for attribute in attributes {
            match attribute {
                ConntrackAttribute::CtaTupleOrig(parts) => {
                    original = Some(Direction::read(&parts));
                    name.push(ConntrackAttribute::CtaTupleOrig(parts));
                }
                ConntrackAttribute::CtaTupleReply(parts) => reply = Some(Direction::read(&parts)),
                ConntrackAttribute::Other(other) if [ID, ZONE].contains(&other.kind()) => {
                    name.push(ConntrackAttribute::Other(other));
                }
                _ => {}
            }
        }
        Some(Self { original: original?, reply: reply?, name })
    }
}

impl Direction {
    fn read(parts: &[Tuple]) -> Self {
        let mut read = Self::default();
        for part in parts {
            match part {
                Tuple::Ip(parts) => parts.iter().for_each(|part| match part {
                    IPTuple::SourceAddress(ip) => read.source = Some(*ip),
                    IPTuple::DestinationAddress(ip) => read.destination = Some(*ip),
                    _ => {}
                }),
                Tuple::Proto(parts) => parts.iter().for_each(|part| match part {
                    ProtoTuple::Protocol(protocol) => read.is_udp = *protocol == Protocol::Udp,
                    ProtoTuple::SourcePort(port) => read.source_port = Some(*port),
                    ProtoTuple::DestinationPort(port) => read.destination_port = Some(*port),
                    _ => {}
                }),
                _ => {}
            }
        }
        read
    }
}

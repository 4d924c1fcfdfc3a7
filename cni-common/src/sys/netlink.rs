//! The rtnetlink protocol: links, addresses, routes, and the kernel's notifications of them.

use std::time::Instant;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;

use super::address::link_address;
use super::route::link_route;
use super::socket::{Protocol, Socket, read_datagram};
use crate::error::Result;
use crate::types::net::{Link, LinkAddress, LinkRoute};

/// The protocol of links, addresses and routes.
#[derive(Debug)]
pub enum Route {}

impl Protocol for Route {
    const NUMBER: isize = NETLINK_ROUTE;
    const NAME: &'static str = "netlink";
    type Message = RouteNetlinkMessage;
}

/// An rtnetlink socket of the namespace it was opened in.
pub type Netlink = Socket<Route>;

/// A group of notifications (`RTNLGRP_*` in linux/rtnetlink.h).
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Group {
    /// Changes of links.
    Link = 1,
    /// Changes of IPv4 addresses.
    Ipv4Address = 5,
    /// Changes of IPv6 addresses.
    Ipv6Address = 9,
    /// Changes of IPv6 routes.
    Ipv6Route = 11,
}

/// What one message of the kernel's tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A link.
    Link(Link),
    /// A link that was removed.
    RemovedLink(Link),
    /// An address of the link with this index.
    Address(u32, LinkAddress),
    /// A route through the link that was asked about.
    Route(LinkRoute),
    /// Something else.
    Other,
}

/// Reads a datagram, routes as those through the link with this index.
pub fn read_answers(datagram: &[u8], index: u32) -> Result<Vec<Object>> {
    let messages = read_datagram::<Route>(datagram)?.into_iter();
    Ok(messages.map(|message| told(message.object(), index)).collect())
}

fn told(message: Option<RouteNetlinkMessage>, index: u32) -> Object {
    let found = match message {
        Some(RouteNetlinkMessage::NewLink(message)) => {
            Some(Object::Link(Link::from_message(message)))
        }
        Some(RouteNetlinkMessage::DelLink(message)) => {
            Some(Object::RemovedLink(Link::from_message(message)))
        }
        Some(RouteNetlinkMessage::NewAddress(message)) => {
            link_address(&message).map(|address| Object::Address(message.header.index, address))
        }
        Some(RouteNetlinkMessage::NewRoute(message)) => {
            link_route(&message, index).map(Object::Route)
        }
        _ => None,
    };
    found.unwrap_or(Object::Other)
}

impl Netlink {
    /// Starts the notifications of `groups` on this socket, which is then for waiting only.
    pub fn subscribe(&mut self, groups: &[Group]) -> Result<()> {
        self.join_groups(groups.iter().map(|group| *group as u32))
    }

    /// Waits for the next notifications until `deadline`; none when it has passed.
    ///
    /// An overrun of the socket's buffer, or an interruption, is returned as an empty list of
    /// notifications: ask anew.
    pub fn notifications(&mut self, deadline: Instant) -> Result<Option<Vec<Object>>> {
        let messages = self.next_objects(deadline)?;
        Ok(messages
            .map(|messages| messages.into_iter().map(|message| told(Some(message), 0)).collect()))
    }
}

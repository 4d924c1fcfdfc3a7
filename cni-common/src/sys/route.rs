//! Routes of a namespace.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_core::NLM_F_CREATE;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteNextHop, RouteProtocol,
    RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::netlink::Netlink;
use crate::error::{Code, Context, Result};
use crate::types::net::{LinkRoute, MAIN_TABLE};

impl Netlink {
    /// Adds a route through the link with this index. `EEXIST` if the namespace has the very same;
    /// one to the same destination through another link may be there and comes second to it.
    pub fn add_route(&mut self, index: u32, route: &LinkRoute) -> Result<()> {
        let message = route_message(index, route);
        self.change(RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE)
    }

    /// Whether the kernel takes what is sent to `ip` for itself.
    pub fn is_local(&mut self, ip: IpAddr) -> Result<bool> {
        Ok(self.find_route(ip)?.is_some_and(|route| route.header.kind == RouteType::Local))
    }

    /// The index of the link that the kernel sends packets to `ip` out of; `None` if it knows no way.
    pub fn find_outgoing_link(&mut self, ip: IpAddr) -> Result<Option<u32>> {
        let route = self.find_route(ip)?;
        Ok(route.and_then(|route| {
            route.attributes.iter().find_map(|attribute| match attribute {
                RouteAttribute::Oif(index) => Some(*index),
                _ => None,
            })
        }))
    }

    /// The route that the kernel takes to `ip`; `None` if it knows no way.
    fn find_route(&mut self, ip: IpAddr) -> Result<Option<RouteMessage>> {
        let mut request = RouteMessage::default();
        request.header.address_family = family(ip.is_ipv4());
        request.header.destination_prefix_length = if ip.is_ipv4() { 32 } else { 128 };
        request.attributes.push(RouteAttribute::Destination(RouteAddress::from(ip)));
        match self.get(&RouteNetlinkMessage::GetRoute(request)) {
            Ok(RouteNetlinkMessage::NewRoute(route)) => Ok(Some(route)),
            // No way to it at all.
            Err(error) if error.is(Code::Kernel) => Ok(None),
            Err(error) => Err(error.context(format!("look up the route to {ip}"))),
            Ok(_) => Ok(None),
        }
    }

    /// The routes through the link with this index, of all tables, without those the kernel made
    /// for the link's own addresses.
    pub fn list_routes(&mut self, index: u32) -> Result<Vec<LinkRoute>> {
        let mut found = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut request = RouteMessage::default();
            request.header.address_family = family;
            let answers =
                self.dump(&RouteNetlinkMessage::GetRoute(request)).context("list routes")?;
            found.extend(answers.into_iter().filter_map(|answer| match answer {
                RouteNetlinkMessage::NewRoute(message) => link_route(&message, index),
                _ => None,
            }));
        }
        Ok(found)
    }
}

fn route_message(index: u32, route: &LinkRoute) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(route.dst.is_ipv4());
    message.header.destination_prefix_length = route.dst.prefix();
    message.header.protocol = RouteProtocol::Boot;
    message.header.kind = RouteType::Unicast;
    message.header.scope = match route.scope {
        Some(scope) => RouteScope::from(scope),
        None if route.gateways.is_empty() && route.dst.is_ipv4() => RouteScope::Link,
        None => RouteScope::Universe,
    };
    let table = route.table.unwrap_or(MAIN_TABLE);
    // Tables above 255 go into the attribute alone.
    message.header.table = u8::try_from(table).unwrap_or_default();
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(table));
    if route.dst.prefix() > 0 {
        attributes.push(RouteAttribute::Destination(RouteAddress::from(route.dst.ip())));
    }
    match route.gateways.as_slice() {
        [] => attributes.push(RouteAttribute::Oif(index)),
        [only] => {
            attributes.push(RouteAttribute::Oif(index));
            attributes.push(RouteAttribute::Gateway(RouteAddress::from(*only)));
        }
        several => {
            let hops = several.iter().map(|gateway| next_hop(index, *gateway)).collect();
            attributes.push(RouteAttribute::MultiPath(hops));
        }
    }
    attributes.extend(route.priority.map(RouteAttribute::Priority));
    let metrics: Vec<RouteMetric> =
        [route.mtu.map(RouteMetric::Mtu), route.advmss.map(RouteMetric::Advmss)]
            .into_iter()
            .flatten()
            .collect();
    if !metrics.is_empty() {
        attributes.push(RouteAttribute::Metrics(metrics));
    }
    message
}

fn family(is_ipv4: bool) -> AddressFamily {
    if is_ipv4 { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn next_hop(index: u32, gateway: IpAddr) -> RouteNextHop {
    let mut hop = RouteNextHop::default();
    hop.interface_index = index;
    hop.attributes.push(RouteAttribute::Gateway(RouteAddress::from(gateway)));
    hop
}

/// Reads a route of the kernel's, if any way of it leads through `index`.
pub(super) fn link_route(message: &RouteMessage, index: u32) -> Option<LinkRoute> {
    let is_ipv4 = message.header.address_family == AddressFamily::Inet;
    let is_ours = message.header.kind == RouteType::Unicast
        && message.header.protocol != RouteProtocol::Kernel;
    if !is_ours {
        return None;
    }
    let mut dst: IpAddr = if is_ipv4 { [0; 4].into() } else { [0; 16].into() };
    let mut oif = None;
    let mut route = LinkRoute {
        dst: IpNetwork::new(dst, 0).ok()?,
        gateways: Vec::new(),
        mtu: None,
        advmss: None,
        priority: None,
        table: Some(u32::from(message.header.table)),
        scope: Some(u8::from(message.header.scope)),
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => dst = ip(address)?,
            RouteAttribute::Gateway(address) => route.gateways.push(ip(address)?),
            RouteAttribute::Oif(found) => oif = Some(*found),
            RouteAttribute::Priority(priority) => route.priority = Some(*priority),
            RouteAttribute::Table(table) => route.table = Some(*table),
            RouteAttribute::Metrics(metrics) => take_metrics(&mut route, metrics),
            RouteAttribute::MultiPath(hops) => {
                let ours = hops.iter().filter(|hop| hop.interface_index == index);
                let before = route.gateways.len();
                route.gateways.extend(ours.filter_map(hop_gateway));
                if route.gateways.len() > before {
                    oif = Some(index);
                }
            }
            _ => {}
        }
    }
    route.dst = IpNetwork::new(dst, message.header.destination_prefix_length).ok()?;
    (oif == Some(index)).then_some(route)
}

fn take_metrics(route: &mut LinkRoute, metrics: &[RouteMetric]) {
    for metric in metrics {
        match metric {
            RouteMetric::Mtu(mtu) => route.mtu = Some(*mtu),
            RouteMetric::Advmss(advmss) => route.advmss = Some(*advmss),
            _ => {}
        }
    }
}

fn hop_gateway(hop: &RouteNextHop) -> Option<IpAddr> {
    hop.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(address) => ip(address),
        _ => None,
    })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}

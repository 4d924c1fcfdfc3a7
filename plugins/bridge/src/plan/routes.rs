//! From the routes of a result to routes of the kernel's. Pure.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use cni_common::spec::{CniResult, Route};
use cni_common::types::net::LinkRoute;
use cni_common::{Code, Error, Result};
use ipnetwork::IpNetwork;

/// Scopes from link (253) on have no gateway (`/etc/iproute2/rt_scopes`).
const SCOPE_LINK: u8 = 253;

/// The routes to be added: one without a gateway gets the first of its family; several gateways to
/// one destination are one route with several next hops; what is written twice is there once.
pub fn link_routes(result: &CniResult) -> Result<Vec<LinkRoute>> {
    let gateways: Vec<IpAddr> = result.ips.iter().filter_map(|ip| ip.gateway).collect();
    let mut found: Vec<LinkRoute> = Vec::new();
    // By all but the gateways, and whether there are any; a result may have thousands of routes.
    let mut places: HashMap<(LinkRoute, bool), usize> = HashMap::new();
    let mut hops: HashSet<(usize, IpAddr)> = HashSet::new();
    for route in &result.routes {
        let next = link_route(route, &gateways)?;
        let gateway = next.gateways.first().copied();
        let bare = LinkRoute { gateways: Vec::new(), ..next.clone() };
        let place = *places.entry((bare, gateway.is_some())).or_insert(found.len());
        let is_new = gateway.is_some_and(|gateway| hops.insert((place, gateway)));
        match found.get_mut(place) {
            None => found.push(next),
            Some(before) => before.gateways.extend(gateway.filter(|_| is_new)),
        }
    }
    Ok(found)
}

/// Whether a route may have a gateway, by its scope.
pub(super) fn has_gateway(route: &Route) -> bool {
    route.scope.is_none_or(|scope| scope < i64::from(SCOPE_LINK))
}

fn link_route(route: &Route, gateways: &[IpAddr]) -> Result<LinkRoute> {
    let number = |key: &str, value: Option<i64>| match value {
        None => Ok(None),
        Some(value) => u32::try_from(value).map(Some).map_err(|_range| {
            let message =
                format!("route to {}: {key}: must be 0 to {}, got {value}", route.dst, u32::MAX);
            Error::new(Code::InvalidConfig, message)
        }),
    };
    let scope = number("scope", route.scope)?;
    let scope = match scope.map(u8::try_from).transpose() {
        Ok(scope) => scope,
        Err(_range) => {
            let message = format!("route to {}: scope: must be 0 to 255", route.dst);
            return Err(Error::new(Code::InvalidConfig, message));
        }
    };
    let of_family = gateways.iter().copied().find(|gw| gw.is_ipv4() == route.dst.is_ipv4());
    let gateway = route.gw.or_else(|| of_family.filter(|_| has_gateway(route)));
    Ok(LinkRoute {
        dst: network(route.dst),
        gateways: gateway.into_iter().collect(),
        mtu: number("mtu", route.mtu)?,
        advmss: number("advmss", route.advmss)?,
        priority: number("priority", route.priority)?,
        table: number("table", route.table)?,
        scope,
    })
}

/// The destination with its host part zero, as the kernel demands.
fn network(dst: IpNetwork) -> IpNetwork {
    IpNetwork::new(dst.network(), dst.prefix()).unwrap_or(dst)
}

//! What all attachments of a network share on the host: the bridge, its gateway addresses, forwarding. CHECK
//! asks what of it is missing; the operator's tool puts it back without touching anybody's traffic.

use cni_common::error::{Code, Context, Error, Result};
use cni_common::spec::CniResult;
use cni_common::sys::link::{NewBridge, Promiscuity};
use cni_common::sys::{Netlink, sysctl};
use cni_common::types::Attachment;
use cni_common::types::net::Link;

use crate::add::new_links;
use crate::apply::{port_vlans, wait};
use crate::config::BridgeConfig;
use crate::observe::observe;
use crate::operation::{HostLinkChange, Operation};
use crate::plan::{self, NewLinks, Observed, Recorded, Situation};

/// What an ADD with this result would have to do to what all attachments share, each with what is wrong
/// without it. Fails where something is in the way that only `forceAddress` would replace.
pub fn missing(
    host: &mut Netlink,
    config: &BridgeConfig,
    (attachment, result): (&Attachment, &CniResult),
) -> Result<Vec<(Operation, String)>> {
    let new_links = new_links(attachment, config)?;
    let observed = observe(host, config, &new_links, None)?;
    planned(config, (&new_links, &observed), result)
}

/// The same, once it is known what is there.
pub(crate) fn planned(
    config: &BridgeConfig,
    (new_links, observed): (&NewLinks, &Observed),
    result: &CniResult,
) -> Result<Vec<(Operation, String)>> {
    let result = Some(result);
    let plan = plan::plan(&Situation {
        config,
        new_links,
        observed,
        result,
        resolv_conf: None,
        recorded: Recorded::Unasked,
    })?;
    let network = plan.network.unwrap_or_default();
    let shared = [plan.bridge, network.vlan_gateway, network.gateway, network.forwarding];
    let mut missing = Vec::new();
    for operation in shared.into_iter().flatten() {
        if let Some(fault) = fault(&operation)? {
            missing.push((operation, fault));
        }
    }
    Ok(missing)
}

/// What is wrong where an ADD would have to do this.
fn fault(operation: &Operation) -> Result<Option<String>> {
    Ok(match operation {
        Operation::CreateBridge { name, .. } => Some(format!("bridge {name:?} is gone")),
        Operation::SetHostLink { name, change: HostLinkChange::Up } => {
            Some(format!("bridge {name:?} is down"))
        }
        Operation::SetHostLink { name, change: HostLinkChange::Promiscuous } => {
            Some(format!("bridge {name:?} is not promiscuous"))
        }
        Operation::CreateVlanGateway { gateway: (name, _), .. } => {
            Some(format!("VLAN gateway interface {name:?} is gone"))
        }
        Operation::JoinBridge { port, bridge } => {
            Some(format!("VLAN gateway port {port:?} is not a port of {bridge:?}"))
        }
        Operation::AddAddress { link, address, .. } => {
            Some(format!("gateway address {address} is not on {link:?}"))
        }
        Operation::EnableForwarding { name } => match sysctl::read(name)?.as_deref() {
            Some("0") => {
                Some(format!("forwarding is switched off: net.{} is 0", name.replace('/', ".")))
            }
            _ => None,
        },
        // Done along with these, or by ADD for its own attachment alone.
        Operation::SetHostLink { .. }
        | Operation::CreatePair { .. }
        | Operation::MarkPort { .. }
        | Operation::UnlockPort { .. }
        | Operation::PortVlans { .. }
        | Operation::Sysctl { .. }
        | Operation::RemoveAddress { .. }
        | Operation::ContainerUp { .. }
        | Operation::AddRoute { .. }
        | Operation::AwaitPort { .. }
        | Operation::AwaitAddresses { .. }
        | Operation::Announce { .. }
        | Operation::WriteResolvConf { .. } => None,
    })
}

/// Does what was missing.
pub fn mend(host: &mut Netlink, operation: &Operation) -> Result<()> {
    let doing = || operation.to_string();
    match operation {
        Operation::CreateBridge { name, mac, mtu, vlan_filtering } => host
            .create_bridge(&NewBridge {
                name,
                mac: *mac,
                mtu: *mtu,
                vlan_filtering: *vlan_filtering,
            })
            .and_then(|()| sysctl::write(&format!("ipv6/conf/{name}/accept_ra"), "0"))
            .with_context(doing),
        Operation::SetHostLink { name, change: HostLinkChange::Up } => {
            host.set_link_up(name).with_context(doing)
        }
        Operation::SetHostLink { name, change: HostLinkChange::Promiscuous } => {
            host.set_promiscuous(name, Promiscuity::On).with_context(doing)
        }
        Operation::JoinBridge { port, bridge } => {
            let index = host.index_of(bridge)?;
            host.join_bridge(port, index).with_context(doing)
        }
        Operation::AddAddress { link, address, detection, .. } => {
            let index = host.index_of(link)?;
            host.add_address(index, *address, *detection).with_context(doing)?;
            // On a link without a port that is up the kernel waits with it.
            let is_up = |link: Link| link.is_operational;
            if address.is_ipv6() && host.find_link(link)?.is_some_and(is_up) {
                wait::for_addresses(host, None, link, &[*address])?;
            }
            Ok(())
        }
        Operation::EnableForwarding { name } => sysctl::write(name, "1").with_context(doing),
        other => Err(Error::new(Code::Internal, format!("only an ADD can do this: {other}"))),
    }
}

/// Makes the attachment's host interface, which left it, a port of its bridge again, with the flags and
/// VLANs that it came with.
pub fn rejoin(
    host: &mut Netlink,
    config: &BridgeConfig,
    (attachment, port): (&Attachment, &str),
) -> Result<()> {
    let doing = || format!("make {port} a port of {} again", config.bridge);
    let bridge = host.index_of(config.bridge.as_str()).with_context(doing)?;
    let index = host.index_of(port).with_context(doing)?;
    let alias = host.find_link(port)?.map(|link| link.alias).unwrap_or_default();
    let new_links = new_links(attachment, config)?;
    let observed = observe(host, config, &new_links, None)?;
    let (config, new_links, observed) = (config, &new_links, &observed);
    let situation = Situation {
        config,
        new_links,
        observed,
        result: None,
        resolv_conf: None,
        recorded: Recorded::Unasked,
    };
    let pair = plan::plan(&situation)?.pair;
    host.join_bridge(port, bridge).with_context(doing)?;
    host.configure_port(port, &alias, config.port).with_context(doing)?;
    for operation in pair {
        if let Operation::PortVlans { first, last, action, .. } = operation {
            port_vlans(host, index, (first, last, action)).with_context(doing)?;
        }
    }
    Ok(())
}

//! Rules of an attachment: which it is to have, whether they are there, and putting them back, all by the plugins'
//! own code.

use std::net::IpAddr;

use causeway_bridge::filter::{Subject, masquerade, spoofcheck};
use causeway_firewall::put_back as firewall;
use causeway_portmap::put_back as portmap;
use cni_common::packet_filter::table;
use cni_common::skel::Plugin as _;
use cni_common::types::Attachment;
use cni_common::{Code, Error, Result, names};
use ipnetwork::IpNetwork;
use serde_json::Value;

use crate::attachments::{Attached, Rules};
use crate::networks::Network;
use crate::plugins;

/// Which rules the network list asks for.
pub(super) fn wanted(network: &Network, attached: &Attached) -> Vec<Rules> {
    let mut wanted = Vec::new();
    if let Some(config) = network.bridge.as_ref().filter(|_| attached.is_ours) {
        wanted.extend(config.masquerade.map(|_| Rules::Masquerading));
        wanted.extend(config.mac_spoof_check.then_some(Rules::MacCheck));
    }
    let has = |kind: &str| network.list.as_ref().is_some_and(|(_, list)| list.find(kind).is_some());
    let cached = attached.cached.as_ref().filter(|cached| cached.result.is_some());
    if let Some(cached) = cached {
        let has_ports = cached.attachment.capability_args.contains_key("portMappings");
        wanted.extend(
            (has_ports && has("portmap") && plugins::is_ours("portmap")).then_some(Rules::Ports),
        );
        wanted.extend((has("firewall") && plugins::is_ours("firewall")).then_some(Rules::Firewall));
        wanted.extend((has("bandwidth") && plugins::is_ours("bandwidth")).then_some(Rules::Limits));
    }
    wanted
}

/// Whether a fault is that there is no table at all, which is so for whoever needs it.
pub(super) fn is_without_table(fault: &str) -> bool {
    [table::INET, table::BRIDGE]
        .iter()
        .any(|one| fault.ends_with(&format!(": table {one}: missing")))
}

/// Whether an attachment that is to have these rules is sure to need the table that they are in.
pub(super) fn needs(attached: &Attached, rules: Rules) -> bool {
    match rules {
        Rules::Masquerading => {
            attached.inside.as_ref().is_some_and(|one| !one.addresses.is_empty())
        }
        Rules::MacCheck => attached.inside.as_ref().is_some_and(|one| one.mac.is_some()),
        Rules::Ports => {
            let of_runtime = attached.cached.as_ref().and_then(|cached| {
                cached.attachment.capability_args.get("portMappings")?.as_array()
            });
            let is_mapped = |one: &Value| one.get("hostPort").and_then(Value::as_u64) > Some(0);
            of_runtime.is_some_and(|all| all.iter().any(is_mapped))
        }
        // The reference's rules are elsewhere.
        Rules::Firewall => attached.is_ours && !of_result(attached).is_empty(),
        Rules::Limits => false,
    }
}

/// The addresses that its result tells.
pub(super) fn of_result(attached: &Attached) -> Vec<IpAddr> {
    let result = attached.cached.as_ref().and_then(|cached| cached.result.as_ref());
    let ips = result.and_then(|result| result.get("ips")?.as_array()).into_iter().flatten();
    let text = ips.filter_map(|ip| ip.get("address")?.as_str());
    text.filter_map(|text| text.split('/').next()?.parse().ok()).collect()
}

/// Whether the rules are all there, by the plugin's CHECK; the inner error says what is missing.
pub(super) fn check(
    network: &Network,
    (attachment, attached): (&Attachment, &Attached),
    rules: Rules,
) -> Result<Result<()>> {
    let port = names::host_interface(attachment);
    let subject = Subject { attachment, port: &port };
    let config = network.bridge.as_ref();
    Ok(match rules {
        Rules::Masquerading => match config.and_then(|config| config.masquerade) {
            Some(backend) => {
                masquerade::check(backend, &subject, &own_addresses(network, attached))
            }
            None => Ok(()),
        },
        Rules::MacCheck => match attached.inside.as_ref().and_then(|inside| inside.mac) {
            Some(mac) => spoofcheck::check(&subject, mac),
            None => Ok(()),
        },
        Rules::Ports => plugins::request((network, attached), "portmap", |request| {
            causeway_portmap::Portmap.check(request)
        })?,
        Rules::Firewall => plugins::request((network, attached), "firewall", |request| {
            causeway_firewall::Firewall.check(request)
        })?,
        Rules::Limits => {
            let found = plugins::request((network, attached), "bandwidth", |request| {
                causeway_bandwidth::Bandwidth.check(request)
            })?;
            // Anything else says that it could not look: the path of a namespace may be another
            // mount namespace's.
            found.or_else(|error| if error.is(Code::CheckFailed) { Err(error) } else { Ok(()) })
        }
    })
}

/// The addresses that an ADD gave: those that are kept for it, with the prefix that the container has;
/// without a pool all that it has.
pub(super) fn own_addresses(network: &Network, attached: &Attached) -> Vec<IpNetwork> {
    let held = |ip: IpAddr| attached.leases.iter().any(|found| found.lease.ip == ip);
    let all = attached.addresses();
    let is_kept = network.pool.is_some() && !attached.leases.is_empty();
    all.into_iter().filter(|address| !is_kept || held(address.ip())).collect()
}

/// The subnets of its addresses: what rules are shared by.
pub(super) fn subnets(network: &Network, attached: &Attached) -> Vec<IpNetwork> {
    let addresses = own_addresses(network, attached).into_iter();
    let subnet = |one: IpNetwork| IpNetwork::new(one.network(), one.prefix()).unwrap_or(one);
    let mut subnets: Vec<IpNetwork> = addresses.map(subnet).collect();
    subnets.sort_unstable();
    subnets
}

/// Puts them back.
pub(super) fn ensure(
    network: &Network,
    (attachment, attached): (&Attachment, &Attached),
    rules: Rules,
) -> Result<()> {
    let port = names::host_interface(attachment);
    let subject = Subject { attachment, port: &port };
    match rules {
        Rules::Masquerading => match network.bridge.as_ref().and_then(|config| config.masquerade) {
            Some(backend) => {
                masquerade::ensure(backend, &subject, &own_addresses(network, attached))
            }
            None => Ok(()),
        },
        Rules::MacCheck => match attached.inside.as_ref().and_then(|inside| inside.mac) {
            Some(mac) => spoofcheck::ensure(&subject, mac),
            None => Ok(()),
        },
        // What ADD makes it makes once however often it is called. Nothing of it is rolled back.
        Rules::Ports => plugins::request((network, attached), "portmap", |request| {
            causeway_portmap::Portmap.add(request).map(drop)
        })?,
        Rules::Firewall => plugins::request((network, attached), "firewall", |request| {
            // Its ADD would wait for the lock that is held here.
            firewall::one(request)
        })?,
        Rules::Limits => plugins::request((network, attached), "bandwidth", |request| {
            causeway_bandwidth::Bandwidth.add(request).map(drop)
        })?,
    }
}

/// Puts them back for many attachments of the network in few transactions, if that is all there is to do; the
/// locks of them all are held. Where it fails, each is to be put back by itself.
pub(super) fn ensure_together(
    network: &Network,
    all: &[(&Attachment, &Attached)],
    rules: Rules,
) -> Result<()> {
    let ports: Vec<String> = all.iter().map(|(one, _)| names::host_interface(one)).collect();
    let subjects = all
        .iter()
        .zip(&ports)
        .map(|((attachment, attached), port)| (Subject { attachment, port }, *attached));
    match rules {
        Rules::Masquerading => match network.bridge.as_ref().and_then(|config| config.masquerade) {
            Some(backend) => {
                let own = |(subject, attached)| (subject, own_addresses(network, attached));
                masquerade::ensure_together(backend, &subjects.map(own).collect::<Vec<_>>())
            }
            None => Ok(()),
        },
        Rules::MacCheck => {
            let with_mac = subjects
                .filter_map(|(subject, attached)| Some((subject, attached.inside.as_ref()?.mac?)));
            spoofcheck::ensure_together(&with_mac.collect::<Vec<_>>())
        }
        Rules::Ports => {
            let ports = all.iter().map(|(_, attached)| {
                plugins::request((network, attached), "portmap", portmap::Ports::of)?
            });
            portmap::together(&ports.collect::<Result<Vec<_>>>()?)
        }
        Rules::Firewall => {
            let passages = all.iter().map(|(_, attached)| {
                plugins::request((network, attached), "firewall", firewall::Passage::of)?
            });
            firewall::together(&passages.collect::<Result<Vec<_>>>()?)
        }
        Rules::Limits => {
            let message = "no transaction of the kernel limits many attachments";
            Err(Error::new(Code::Internal, message))
        }
    }
}

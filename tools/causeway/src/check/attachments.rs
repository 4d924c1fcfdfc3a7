//! What is wrong with an attachment.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cni_common::{Error, Result};

use super::{Finding, Seen};
use crate::attachments::{Attached, Key, State};
use crate::lacks::{self, What};

/// Looks at all of them.
pub(super) fn look(seen: &Seen, findings: &mut Vec<Finding>) -> Result<()> {
    for (key, attached) in &seen.attachments.all {
        findings.extend(state(key, attached, seen));
        findings.extend(mtu(key, attached));
    }
    shared_addresses(seen, findings);
    findings.extend(seen.attachments.unread.iter().map(|(name, error)| not_checked(name, error)));
    lacking(seen, findings)
}

fn state(key: &Key, attached: &Attached, seen: &Seen) -> Option<Finding> {
    let network = &key.network;
    let gc = || format!("causeway gc {network}").trim_end().to_owned();
    let why = attached.why.as_ref().map(ToString::to_string).unwrap_or_default();
    let left = left_of(attached);
    let (kind, fault, means, mend) = match attached.state {
        State::Alive | State::Busy => return None,
        State::Gone if attached.leases.is_empty() => (
            "rules-without-attachment",
            format!("{why}; left: {left}"),
            "no container has these rules any more, and a published port stays held",
            gc(),
        ),
        State::Gone => (
            "dead-attachment",
            format!("{why}; left: {left}"),
            "its addresses are allocated to nobody else until they are released",
            gc(),
        ),
        State::Unfinished => (
            "unfinished-attachment",
            format!("{why}; left: {left}"),
            "nobody uses it, and it keeps an address and a port of the bridge",
            gc(),
        ),
        // A note that keeps an address from being given is no fault.
        State::OnlyLease if key.container.is_empty() => return None,
        State::OnlyLease => (
            "lease-without-interface",
            format!("no link has its {left}, and nothing proves that the container is gone"),
            "if the container is gone, the address is lost until its file is removed",
            format!("if it is gone: rm {}", files(key, attached, seen)),
        ),
        // What can be told of it is said by what it lacks.
        State::OnlyLink if key.attachment().is_some() => return None,
        State::OnlyLink => (
            "interface-without-lease",
            format!(
                "link {} is on the network's bridge, and no address is kept for it",
                attached.host_name().unwrap_or_default()
            ),
            "its addresses, if it has any, may be given to somebody else",
            format!(
                "if nobody needs it: ip link set dev {} nomaster",
                attached.host_name().unwrap_or_default()
            ),
        ),
        State::OnlyRules => (
            "rules-without-attachment",
            format!("there is no link and no address of it; left: {left}"),
            "no container has these rules, unless another plugin attached it",
            "have its runtime call DEL".to_owned(),
        ),
    };
    let (network, subject) = (network.clone(), key.to_string());
    Some(Finding { kind, network, subject, fault: fault.into(), means, mend })
}

/// What there still is of it, in words.
fn left_of(attached: &Attached) -> String {
    let addresses = attached.leases.iter().map(|found| found.lease.ip.to_string());
    let link = attached.host_name().map(|name| format!("link {name}"));
    let rules = attached.rules.iter().map(|rules| format!("rules of {}", rules.word()));
    addresses.chain(link).chain(rules).collect::<Vec<String>>().join(", ")
}

fn files(key: &Key, attached: &Attached, seen: &Seen) -> String {
    let network = seen.networks.all.get(&key.network);
    let folder = network.and_then(|network| network.pool.as_ref()).map(|pool| pool.folder());
    let path = |ip: IpAddr| folder.clone().unwrap_or_default().join(ip.to_string());
    let paths = attached.leases.iter().map(|found| path(found.lease.ip).display().to_string());
    paths.collect::<Vec<String>>().join(" ")
}

/// The ends of a pair with different MTUs: what is longer than the shorter one is lost without a word.
fn mtu(key: &Key, attached: &Attached) -> Option<Finding> {
    let (link, inside) = (attached.host.as_ref()?, attached.inside.as_ref()?);
    (link.mtu != inside.mtu).then(|| Finding {
        kind: "mtu-mismatch",
        network: key.network.clone(),
        subject: key.to_string(),
        fault: format!(
            "{} in the container takes {} bytes, its end on the host, {}, {}",
            inside.name, inside.mtu, link.name, link.mtu
        )
        .into(),
        means: "packets that one end sends are too long for the other, and vanish",
        mend: format!("ip link set dev {} mtu {}", link.name, inside.mtu),
    })
}

/// Addresses that two containers on one bridge have.
fn shared_addresses(seen: &Seen, findings: &mut Vec<Finding>) {
    let mut holders: BTreeMap<(Option<u32>, IpAddr), Vec<&Key>> = BTreeMap::new();
    for (key, attached) in &seen.attachments.all {
        let (Some(link), Some(inside)) = (&attached.host, &attached.inside) else { continue };
        for address in &inside.addresses {
            holders.entry((link.master, address.ip())).or_default().push(key);
        }
    }
    for ((_, ip), keys) in holders {
        let [first, second, ..] = keys.as_slice() else { continue };
        findings.push(Finding {
            kind: "address-on-two",
            network: first.network.clone(),
            subject: ip.to_string(),
            fault: format!("{first} and {second} both have it, on one bridge").into(),
            means: "which of the two is reached depends on the ARP cache of each neighbour",
            mend: format!("have the runtime remove one of the two and start it anew: {second}"),
        });
    }
}

/// What attachments that are alive lack.
fn lacking(seen: &Seen, findings: &mut Vec<Finding>) -> Result<()> {
    let (lacks, errors) = lacks::find(&seen.networks, &seen.attachments)?;
    for lack in lacks {
        let means = match &lack.what {
            What::Shared(_) => "containers of the network do not get beyond their bridge",
            What::Port(_) => "the container reaches nobody",
            What::Rules(_) => "what these rules are for does not happen for the container",
            What::Lease(_) => "the address may be given to a second container",
        };
        findings.push(Finding {
            kind: lack.what.word(),
            network: lack.network.clone(),
            subject: lack.key.as_ref().map_or(lack.network.clone(), Key::to_string),
            mend: format!("causeway repair {}", lack.network),
            fault: lack.fault,
            means,
        });
    }
    findings.extend(errors.iter().map(|error| not_checked("", error)));
    Ok(())
}

fn not_checked(network: &str, error: &Error) -> Finding {
    Finding {
        kind: "not-checked",
        network: network.to_owned(),
        subject: "this check".to_owned(),
        fault: error.to_string().into(),
        means: "not everything could be looked at",
        mend: "see what stands in the way".to_owned(),
    }
}

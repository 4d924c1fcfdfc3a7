//! Backend `iptables`: mapped ports in the reference's chains, one `iptables-restore` for each IP
//! version. Removing needs no program where iptables keeps its rules in nf_tables.

use std::collections::BTreeSet;
use std::path::Path;

use cni_common::nft::IpVersion;
use cni_common::packet_filter::iptables_text::input;
use cni_common::packet_filter::{Report, iptables};
use cni_common::sys::attacher::{self, IPTABLES_PORTS};
use cni_common::sys::iptables::Protocol;
use cni_common::sys::netns;
use cni_common::sys::nft::Nft;
use cni_common::types::Attachment;
use cni_common::{Code, Context, Error, Result};

use crate::chains;
use crate::config::{Config, Snat};
use crate::holder::{self, Held};
use crate::target::Targets;
use crate::text::{self, DNAT, GUARD_TABLE, Owner, TABLE, Wanted};

/// Makes the attachment's rules. A port that another attachment has is an error, unless that is
/// proved to be dead; then nothing is changed.
pub fn ensure(
    attachment: &Attachment,
    (config, targets): (&Config, &Targets),
    netns: &Path,
) -> Result<()> {
    let doing = || format!("map the ports of {attachment} by iptables");
    // Between the look for who has a port and its own rules no other ADD may come.
    let _lock = attacher::lock_at(IPTABLES_PORTS).with_context(doing)?;
    let mut tables = Vec::new();
    for (protocol, wanted) in wanted(attachment, (config, targets), netns) {
        let save = iptables::save(protocol, TABLE).with_context(doing)?;
        // Nothing is changed before this is known of both IP versions.
        changes(&wanted, &save).with_context(doing)?;
        tables.push((protocol, wanted, save));
    }
    let changed = tables.into_iter().try_for_each(|(protocol, wanted, save)| {
        let plan = |save: &str| changes(&wanted, save).map(Some);
        iptables::change((protocol, TABLE), save, plan)?;
        let is_guarded = protocol == Protocol::Ipv4 && config.snat != Snat::Nobody;
        if is_guarded { guard() } else { Ok(()) }
    });
    changed.with_context(doing).map_err(|error| {
        let removed = Nft::open().and_then(|mut nft| chains::remove(&mut nft, attachment));
        error.with_undo_failures(removed.err().into_iter().collect())
    })
}

/// What a container sends to 127.0.0.0/8 is dropped, before anything lets it in.
fn guard() -> Result<()> {
    let place = (Protocol::Ipv4, GUARD_TABLE);
    let save = iptables::save(place.0, place.1)?;
    iptables::change(place, save, |save| Ok(text::guarding(save)))
}

fn wanted<'a>(
    attachment: &'a Attachment,
    (config, targets): (&'a Config, &Targets),
    netns: &Path,
) -> Vec<(Protocol, Wanted<'a>)> {
    let all = targets.iter().map(|(version, target)| {
        let protocol = match version {
            IpVersion::V4 => Protocol::Ipv4,
            IpVersion::V6 => Protocol::Ipv6,
        };
        (protocol, Wanted::new(attachment, (config, target), netns))
    });
    all.filter(|(_, wanted)| wanted.mappings().next().is_some()).collect()
}

fn changes(wanted: &Wanted<'_>, save: &str) -> Result<String> {
    if let Some(chain) = wanted.missing_chain(save) {
        let message =
            format!("externalSetMarkChain: table {TABLE} of iptables has no chain {chain:?}");
        return Err(Error::new(Code::InvalidConfig, message));
    }
    let mut dead = BTreeSet::new();
    for held in holder::held(save, wanted) {
        require_dead(&held, wanted)?;
        dead.insert(held.holder.chain);
    }
    let removals = dead.iter().flat_map(|chain| text::removal(save, DNAT, chain));
    let mut lines: Vec<String> = removals.collect();
    lines.extend(wanted.changes(save));
    Ok(input(TABLE, lines))
}

fn require_dead(held: &Held, wanted: &Wanted<'_>) -> Result<()> {
    let is_gone = held.holder.owner.as_ref().is_some_and(is_gone);
    // Or its address has been given away.
    if is_gone || held.target == Some(wanted.target()) {
        return Ok(());
    }
    let mapping = &held.mapping;
    let host = mapping.host.one().map(|ip| format!("{ip} ")).unwrap_or_default();
    let (protocol, port, name) = (mapping.protocol, mapping.host_port, held.holder.name());
    let message = format!("host port {host}{protocol} {port} is held by {name}");
    Err(Error::new(Code::Conflict, message)
        .with_details(format!("chain {} of iptables table {TABLE}", held.holder.chain)))
}

fn is_gone(owner: &Owner) -> bool {
    !owner.netns.is_empty() && netns::is_gone(Path::new(&owner.netns))
}

/// Says what is missing or not as ADD made it. This suite's and the reference's rules are the same.
pub fn check(
    attachment: &Attachment,
    (config, targets): (&Config, &Targets),
    report: &mut Report,
) -> Result<()> {
    for (protocol, wanted) in wanted(attachment, (config, targets), Path::new("")) {
        let save = iptables::save(protocol, TABLE)?;
        let version = if protocol == Protocol::Ipv4 { "ipv4" } else { "ipv6" };
        let mut faults = wanted.faults(&save);
        let chain = wanted.chain(&save);
        if faults.is_empty() && wanted.is_conditional() {
            let jumps = wanted.jump_rules(&chain);
            if !iptables::has_rules((protocol, TABLE), &jumps)? {
                let rules = jumps.join(", ");
                faults.push(format!("not all of the rules {rules} found in table {TABLE}"));
            }
        }
        // The reference makes no guard.
        let has_guard = protocol == Protocol::Ipv4 && config.snat != Snat::Nobody;
        if has_guard && Owner::of_chain(&save, &chain).is_some() {
            faults.extend(text::guard_fault(&iptables::save(protocol, GUARD_TABLE)?));
        }
        for fault in faults {
            report.fault(format!("could not check {version} dnat: {fault}"));
        }
    }
    Ok(())
}

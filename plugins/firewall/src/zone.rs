//! The zone of firewalld that containers' addresses are in: put there, put back after a reload, taken
//! out, and compared. Which attachment is in which zone is recorded in the packet filter, so that DEL
//! needs to know neither addresses nor zone.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni_common::sys::nft::Nft;
use cni_common::{Code, Error, Result, log};

use crate::config::{Backend, Config};
use crate::firewalld::{Firewalld, source};
use crate::subject::Subject;
use crate::{foreign, nftables};

/// firewalld, where the configuration leaves it to the plugin to find it or asks for it, and it runs.
/// Fails (with this code) where it is needed and can't be asked.
pub fn find(nft: &mut Nft, config: &Config, code: Code) -> Result<Option<Firewalld>> {
    match config.backend {
        Backend::Firewalld => Firewalld::required(code).map(Some),
        Backend::Nftables | Backend::Iptables => Ok(None),
        Backend::Automatic => {
            let found = Firewalld::find()?;
            if found.is_none() {
                foreign::require_no_firewalld(nft, code)?;
            }
            Ok(found)
        }
    }
}

/// Puts the attachment's addresses into the zone that it is recorded in, or none of them.
pub fn bind(firewalld: &mut Firewalld, nft: &mut Nft, subject: &Subject) -> Result<()> {
    let Some(zone) = &subject.zone else { return Ok(()) };
    let present = firewalld.sources(zone)?;
    let is_absent = |ip: &&IpAddr| !present.contains(&source(**ip));
    let mut bound = Vec::new();
    for ip in subject.addresses.iter().filter(is_absent) {
        if let Err(error) = firewalld.bind(zone, *ip) {
            let released = bound.iter().filter_map(|ip| firewalld.release(zone, *ip).err());
            return Err(error.with_undo_failures(released.collect()));
        }
        bound.push(*ip);
    }
    let others = nftables::addresses_in_zone(nft, zone)?;
    let others = others.iter().filter(|ip| !subject.addresses.contains(ip)).filter(is_absent);
    for ip in others {
        if let Err(error) = restore(firewalld, nft, (zone, *ip)) {
            // It is not this attachment's.
            log::debug(|| format!("not put back: {error}"));
            break;
        }
    }
    Ok(())
}

/// Puts back what a reload of firewalld has forgotten.
fn restore(firewalld: &mut Firewalld, nft: &mut Nft, (zone, ip): (&str, IpAddr)) -> Result<()> {
    log::debug(|| format!("{ip} was no longer in zone {zone}: put back"));
    firewalld.bind(zone, ip)?;
    // Its container may have been detached since.
    match nftables::owner_of(nft, ip)? {
        Some(_owner) => Ok(()),
        None => firewalld.release(zone, ip),
    }
}

/// Takes the addresses out of the zones; where firewalld does not run they are in none.
pub fn release(zones: &BTreeSet<String>, addresses: &BTreeSet<IpAddr>) -> Vec<Error> {
    if zones.is_empty() || addresses.is_empty() {
        return Vec::new();
    }
    let mut firewalld = match Firewalld::find() {
        Ok(Some(firewalld)) => firewalld,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![error],
    };
    let pairs = zones.iter().flat_map(|zone| addresses.iter().map(move |ip| (zone, *ip)));
    pairs.filter_map(|(zone, ip)| firewalld.release(zone, ip).err()).collect()
}

/// Which addresses are not in the zone of the configuration; `None` where it need not be looked.
pub fn faults(nft: &mut Nft, subject: &Subject, config: &Config) -> Result<Option<Vec<String>>> {
    let Some(mut firewalld) = find(nft, config, Code::CheckFailed)? else { return Ok(None) };
    let mut faults = Vec::new();
    for ip in &subject.addresses {
        if !firewalld.has(&config.zone, *ip)? {
            faults.push(format!("{} is not in zone {} of firewalld", source(*ip), config.zone));
        }
    }
    Ok(Some(faults))
}

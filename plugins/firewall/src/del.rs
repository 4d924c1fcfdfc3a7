//! DEL: whatever is the attachment's goes. Nothing that is missing, and no failure, is an error: one
//! would stop the DEL of all plugins behind this one.

use cni_common::skel::AttachmentRequest;
use cni_common::sys::nft::Nft;
use cni_common::undo::retry_once;
use cni_common::{Error, Result, log};

use crate::config::{self, Backend, Config};
use crate::nftables::Removed;
use crate::subject::Subject;
use crate::{accept, nftables, reference, zone};

/// Removes it, found by network, container and interface; the reference's by the addresses in
/// `prevResult`, as its rules name nobody.
pub fn del(request: &AttachmentRequest<'_>) -> Result<()> {
    let subject = match request.known_prev_result() {
        Some(result) => Subject::with(&request.attachment, &result),
        None => Subject::of(&request.attachment),
    };
    // Without it an ADD that still runs would go on making what this removes.
    let lock = request.lock();
    let zone = zone_of_reference(request);
    let removed = remove(&subject, zone.as_deref());
    let failures = lock.as_ref().err().cloned().into_iter().chain(removed);
    for error in failures {
        log::debug(|| format!("not removed: {error}"));
    }
    Ok(())
}

/// The zone that the reference puts addresses into with this configuration; it records nothing.
fn zone_of_reference(request: &AttachmentRequest<'_>) -> Option<String> {
    let keys = &request.request.config;
    match Config::parse(keys) {
        Ok(config) if matches!(config.backend, Backend::Nftables | Backend::Iptables) => None,
        Ok(config) => Some(config.zone),
        Err(_) => config::zone(&keys.keys).ok(),
    }
}

/// Removes all that is the attachment's; says what failed. Each step is tried once more: what was in the
/// way may have passed, and nobody comes after a DEL. `zone` is the zone of firewalld that its
/// addresses may be in if nothing is recorded of it.
pub fn remove(subject: &Subject, zone: Option<&str>) -> Vec<Error> {
    let mut nft = match retry_once(Nft::open) {
        Ok(nft) => nft,
        Err(error) => return vec![error],
    };
    let mut failures = Vec::new();
    let mut gone = match retry_once(|| nftables::remove(&mut nft, subject)) {
        Ok(Some(recorded)) => recorded,
        Ok(None) => {
            Removed { zones: zone.map(str::to_owned).into_iter().collect(), ..Removed::default() }
        }
        Err(error) => {
            failures.push(error);
            Removed::default()
        }
    };
    gone.addresses.extend(&subject.addresses);
    failures.extend(remove_unrecorded(&mut nft, gone));
    failures
}

/// Removes what else there is of those addresses that are nobody's now: the reference's rules, the
/// zone of firewalld; and with the last container the rule that accepts what is marked.
pub fn remove_unrecorded(nft: &mut Nft, mut gone: Removed) -> Vec<Error> {
    // Another container may have got an address before this one was detached.
    gone.addresses.retain(|ip| matches!(retry_once(|| nftables::owner_of(nft, *ip)), Ok(None)));
    let mut failures = zone::release(&gone.zones, &gone.addresses);
    failures.extend(retry_once(|| reference::remove(nft, &gone.addresses)).err());
    failures.extend(retry_once(|| accept::remove_if_unused(nft)).err());
    failures
}

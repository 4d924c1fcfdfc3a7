//! DEL: whatever is the attachment's goes. Nothing that is missing, and no failure, is an error: one
//! would stop the DEL of all plugins behind this one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni_common::skel::AttachmentRequest;
use cni_common::sys::nft::Nft;
use cni_common::undo::retry_once;
use cni_common::{Error, Result, log};

use crate::subject::Subject;
use crate::{accept, native, reference};

/// Removes it, found by network, container and interface; the reference's by the addresses in
/// `prevResult`, as its rules name nobody.
pub fn del(request: &AttachmentRequest<'_>) -> Result<()> {
    let subject = match request.known_prev_result() {
        Some(result) => Subject::with(&request.attachment, &result),
        None => Subject::of(&request.attachment),
    };
    for error in remove(&subject) {
        log::debug(|| format!("not removed: {error}"));
    }
    Ok(())
}

/// Removes all that is the attachment's; says what failed. Each step is tried once more: what was in the
/// way may have passed, and nobody comes after a DEL.
pub fn remove(subject: &Subject) -> Vec<Error> {
    let mut nft = match retry_once(Nft::open) {
        Ok(nft) => nft,
        Err(error) => return vec![error],
    };
    let mut failures = Vec::new();
    let mut addresses = subject.addresses.clone();
    match retry_once(|| native::remove(&mut nft, subject)) {
        Ok(found) => addresses.extend(found),
        Err(error) => failures.push(error),
    }
    failures.extend(remove_rules(&mut nft, addresses));
    failures
}

/// Removes the reference's rules of those addresses that are nobody's now, and with the last
/// container the rule that accepts what is marked.
pub fn remove_rules(nft: &mut Nft, mut addresses: BTreeSet<IpAddr>) -> Vec<Error> {
    // Another container may have got an address before this one was detached.
    addresses.retain(|ip| matches!(retry_once(|| native::owner_of(nft, *ip)), Ok(None)));
    let removed = retry_once(|| reference::remove(nft, &addresses)).err();
    removed.into_iter().chain(retry_once(|| accept::remove_if_unused(nft)).err()).collect()
}

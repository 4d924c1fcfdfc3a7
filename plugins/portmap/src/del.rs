//! DEL: the ports of the host lead to the container no more. It never fails: the runtime would not call
//! the other plugins of the chain, and GC finds what is left.

use cni_common::nft::{Element, IpVersion, Set};
use cni_common::packet_filter::reference::host_port;
use cni_common::skel::AttachmentRequest;
use cni_common::sys::nft::Nft;
use cni_common::types::Attachment;
use cni_common::{Error, log};

use crate::config::Config;
use crate::target::Targets;
use crate::{chains, flows, nftables, plan};

/// Removes what is there, whichever backend and suite made it. The owner alone is needed; what
/// configuration and `prevResult` say saves the search.
pub fn del(request: &AttachmentRequest<'_>) {
    let config = Config::parse(&request.request.config).ok();
    let known = config.as_ref().map(|config| known(request, config)).unwrap_or_default();
    let mut forget = || {
        if let Some(config) = &config {
            flows::forget_sent_to(config, [IpVersion::V4, IpVersion::V6]);
        }
    };
    for error in remove_with(&request.attachment, &known, &mut forget) {
        log::debug(|| format!("not removed: {error}"));
    }
}

/// Removes what is the attachment's; says what failed.
pub fn remove(attachment: &Attachment, known: &[(Set, Element)]) -> Vec<Error> {
    remove_with(attachment, known, &mut || {})
}

/// The same, and once more if something failed: what was in the way may have passed, and nobody comes
/// after a DEL. `forget` is called when chains were removed, which do not tell where they led.
fn remove_with(
    attachment: &Attachment,
    known: &[(Set, Element)],
    forget: &mut dyn FnMut(),
) -> Vec<Error> {
    match try_to_remove(attachment, known, forget) {
        none if none.is_empty() => none,
        _first => try_to_remove(attachment, known, forget),
    }
}

fn try_to_remove(
    attachment: &Attachment,
    known: &[(Set, Element)],
    forget: &mut dyn FnMut(),
) -> Vec<Error> {
    let mut nft = match Nft::open() {
        Ok(nft) => nft,
        Err(error) => return vec![error],
    };
    let mut failures = Vec::new();
    match nftables::remove(&mut nft, attachment, known) {
        Ok(removed) => flows::forget_removed(&removed),
        Err(error) => failures.push(error),
    }
    match chains::remove(&mut nft, attachment) {
        Ok(true) => forget(),
        Ok(false) => {}
        Err(error) => failures.push(error),
    }
    failures.extend(host_port::remove(&mut nft, attachment).err());
    failures
}

/// The elements that an ADD with this configuration and `prevResult` makes.
fn known(request: &AttachmentRequest<'_>, config: &Config) -> Vec<(Set, Element)> {
    let Some(result) = request.known_prev_result() else { return Vec::new() };
    let targets = Targets::of(&result, &request.attachment.ifname);
    plan::elements(&request.attachment, config, &targets)
}

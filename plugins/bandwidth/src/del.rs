//! DEL: the limits go. What is missing is done, and no failure but of a removal is one: it would stop the
//! DEL of all plugins behind this one.

use cni_common::names::ifb;
use cni_common::skel::AttachmentRequest;
use cni_common::sys::attacher;
use cni_common::types::net::Link;
use cni_common::types::traffic::{FoundFilter, Hook};
use cni_common::undo::retry_once;
use cni_common::{Error, Result, log};

use crate::observe::{Sockets, has_own_name, is_own_plain};
use crate::{apply, plan, target};

/// Removes what is there, by whichever suite it was made.
pub(crate) fn del(request: &AttachmentRequest<'_>) -> Result<()> {
    let attachment = &request.attachment;
    let _lock = attacher::lock(ifb::lock_offset(attachment), attachment)?;
    let mut sockets = Sockets::open()?;
    let host = retry_once(|| target::find_known(request, &mut sockets.host));
    let host = host.unwrap_or_else(|error| {
        report(&error);
        None
    });
    let received = host.as_ref().and_then(|host| {
        let found = retry_once(|| sockets.traffic.list_filters(host.index, Hook::Received));
        found.inspect_err(report).ok()
    });
    let devices = devices(&mut sockets, request, received.as_deref())?;
    if let Some(host) = &host {
        let received = received.unwrap_or_default();
        // Nobody comes after a DEL that succeeds.
        let done = retry_once(|| unlimit(&mut sockets, (host, &devices), &received));
        done.err().iter().for_each(report);
    }
    remove(&mut sockets, &devices)
}

/// The devices of the attachment.
fn devices(
    sockets: &mut Sockets,
    request: &AttachmentRequest<'_>,
    received: Option<&[FoundFilter]>,
) -> Result<Vec<Link>> {
    let attachment = &request.attachment;
    let mut devices = Vec::new();
    for name in [ifb::with_ifname(attachment), ifb::received(attachment)] {
        let found = sockets.host.find_link(&name)?;
        devices.extend(found.filter(|link| has_own_name(link, attachment)));
    }
    let has_own = devices.first().is_some_and(|link| link.name == ifb::with_ifname(attachment));
    if let Some(link) = sockets.host.find_link(&ifb::plain(attachment))? {
        // One that has no alias is another interface's, if this one has its own name.
        let is_own = match link.alias.is_empty() && has_own {
            true => false,
            false => is_own_plain(sockets, attachment, (&link, received))?,
        };
        devices.extend(is_own.then_some(link));
    }
    Ok(devices)
}

/// Removes the filters before their devices: what would be sent by one that is gone would be lost. The
/// pair goes with the plugins that made it, or stays.
fn unlimit(
    sockets: &mut Sockets,
    (host, devices): (&Link, &[Link]),
    received: &[FoundFilter],
) -> Result<()> {
    let traffic = &mut sockets.traffic;
    let sent = traffic.list_filters(host.index, Hook::Sent)?;
    for (hook, filters) in [(Hook::Received, received), (Hook::Sent, &sent)] {
        let is_own = |filter: &&FoundFilter| {
            let is_by = |device: &Link| filter.redirects_to(device.index);
            devices.iter().any(is_by) || plan::is_own(filter, None)
        };
        let own = filters.iter().filter(is_own).cloned().collect();
        for filters in plan::grouped(own) {
            apply::remove_filters(traffic, (host.index, hook), &filters)?;
        }
    }
    let root = traffic.find_root(host.index)?;
    if root.as_ref().and_then(plan::own_root).is_some() {
        traffic.remove_root(host.index)?;
    }
    Ok(())
}

fn remove(sockets: &mut Sockets, devices: &[Link]) -> Result<()> {
    let names: Vec<String> = devices.iter().map(|device| device.name.clone()).collect();
    sockets.host.remove_links(&names)
}

fn report(error: &Error) {
    log::debug(|| format!("not removed: {error}"));
}

//! The host interface of an attachment: the other end of the container interface's veth pair.

use cni_common::skel::AttachmentRequest;
use cni_common::spec::CniResult;
use cni_common::sys::Netlink;
use cni_common::types::net::Link;
use cni_common::{Code, Error, Result, names};

const VETH: &str = "veth";

/// The host interface, for ADD and CHECK: by the container interface's peer, which `prevResult` has to
/// name as one of the host's.
pub(crate) fn find(
    request: &AttachmentRequest<'_>,
    result: &CniResult,
    host: &mut Netlink,
) -> Result<Link> {
    if result.interfaces.is_empty() {
        return Err(fault("no interfaces provided"));
    }
    let ifname = request.attachment.ifname.as_str();
    let (_netns, mut container) = request.open_netns()?;
    let link = container.find_link(ifname)?.ok_or_else(|| {
        Error::new(Code::Kernel, format!("failed to get \"{ifname}\": Link not found"))
    })?;
    let peer = link.peer.filter(|_| link.kind == VETH).ok_or_else(|| {
        let kind = if link.kind.is_empty() { "not virtual" } else { &link.kind };
        fault(format!("container interface {ifname} has no veth peer: it is {kind}"))
    })?;
    let found = host.find_link_by_index(peer)?;
    // In a third namespace it may be any link's index.
    let found = found.filter(|found| found.kind == VETH && found.peer == Some(link.index));
    let found =
        found.ok_or_else(|| fault(format!("veth peer with index {peer} is not in host ns")))?;
    match is_named(result, &found) {
        true => Ok(found),
        false => Err(fault("no veth peer of container interface found in host ns")
            .with_details(format!("prevResult does not name {:?}", found.name))),
    }
}

fn fault(message: impl Into<String>) -> Error {
    Error::new(Code::InvalidConfig, message)
}

/// Whether the result names the link as one of the host's.
fn is_named(result: &CniResult, link: &Link) -> bool {
    let mut of_host = result.interfaces.iter().filter(|one| one.sandbox.is_empty());
    of_host.any(|interface| interface.name == link.name)
}

/// The host interface, for a DEL, if that can be said for sure: the one that `bridge` gives a name of
/// the attachment's, or the container interface's peer if that is no other attachment's.
pub(crate) fn find_known(
    request: &AttachmentRequest<'_>,
    host: &mut Netlink,
) -> Result<Option<Link>> {
    if let Some(link) = host.find_link(&names::host_interface(&request.attachment))? {
        return Ok(Some(link));
    }
    let Some(result) = request.known_prev_result() else { return Ok(None) };
    let Some(netns) = request.open_netns_if_present()? else { return Ok(None) };
    let Some(mut container) = netns.netlink_if_netns()? else { return Ok(None) };
    let link = container.find_link(request.attachment.ifname.as_str())?;
    let Some(link) = link.filter(|link| link.kind == VETH) else { return Ok(None) };
    let Some(peer) = link.peer else { return Ok(None) };
    let found = host.find_link_by_index(peer)?;
    Ok(found.filter(|found| {
        found.kind == VETH
            && found.peer == Some(link.index)
            && is_named(&result, found)
            && !names::is_host_interface(&found.name, &found.alias)
    }))
}

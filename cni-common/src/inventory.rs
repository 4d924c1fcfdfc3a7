//! What of this suite is on this host and whose it is, as far as the host's links tell. Asks, and changes nothing.

use crate::error::Result;
use crate::names;
use crate::spec::ValidAttachments;
use crate::sys::Netlink;
use crate::sys::link::LinkKind;
use crate::types::net::Link;
use crate::types::{Attachment, NetworkName};

/// The host interfaces of a network's attachments, finished or not.
pub fn list_host_interfaces(host: &mut Netlink, network: &NetworkName) -> Result<Vec<Link>> {
    let mut links = host.list_links(LinkKind::Veth, None)?;
    links.retain(|link| names::is_host_interface_of(network.as_str(), &link.name, &link.alias));
    Ok(links)
}

/// The attachments of a network that a GC's list names; what can't be an attachment is none.
pub fn list_valid<'a>(
    network: &'a NetworkName,
    valid: &'a ValidAttachments<'_>,
) -> impl Iterator<Item = Attachment> + 'a {
    valid.iter().filter_map(|(container, ifname)| {
        Some(Attachment {
            network: network.clone(),
            container: container.parse().ok()?,
            ifname: ifname.parse().ok()?,
        })
    })
}

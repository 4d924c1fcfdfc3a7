//! What of this suite is on this host and whose it is, as far as the host's links and the packet
//! filter tell: the one reading of GC, CHECK and the operator's tool. Asks, and changes nothing.

use crate::error::Result;
use crate::names;
use crate::spec::ValidAttachments;
use crate::sys::Netlink;
use crate::sys::link::LinkKind;
use crate::types::net::Link;
use crate::types::{Attachment, NetworkName};

/// The host end of a pair that this suite made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostInterface {
    /// The link.
    pub link: Link,
    /// Whose it is; `None` where the alias does not say all of it: a long container ID was cut, or
    /// the ADD was killed before it could write any.
    pub attachment: Option<Attachment>,
    /// The Kubernetes pod, `<namespace>/<name>`, if the runtime named one.
    pub pod: Option<String>,
    /// Whether the ADD that made it has not come to its end, be it that it still runs or was killed.
    pub is_unfinished: bool,
}

impl HostInterface {
    /// What a link is, if it is the host end of one of this suite's pairs.
    pub fn of(link: &Link) -> Option<Self> {
        let Link { name, alias, .. } = link;
        if !names::is_host_interface(name, alias) && !names::is_being_attached(name, alias) {
            return None;
        }
        Some(Self {
            attachment: names::attachment_of(name, alias),
            pod: names::pod_of(alias).map(str::to_owned),
            is_unfinished: names::is_unfinished(alias),
            link: link.clone(),
        })
    }
}

/// All links of the kind that attachments' host interfaces are of, whoever made them.
pub fn list_pairs(host: &mut Netlink) -> Result<Vec<Link>> {
    host.list_links(LinkKind::Veth, None)
}

/// The host interfaces of a network's attachments, finished or not.
pub fn list_host_interfaces(host: &mut Netlink, network: &NetworkName) -> Result<Vec<Link>> {
    let mut links = list_pairs(host)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str, alias: &str) -> Link {
        Link { name: name.to_owned(), alias: alias.to_owned(), ..Link::default() }
    }

    #[test]
    fn a_host_interface_says_whose_it_is_and_whether_its_add_came_to_its_end() {
        let attachment = Attachment {
            network: "net".parse().unwrap(),
            container: "c1".parse().unwrap(),
            ifname: "eth0".parse().unwrap(),
        };
        let name = names::host_interface(&attachment);
        let found = HostInterface::of(&link(&name, "net/c1/eth0 pod shop/web-0")).unwrap();
        assert_eq!(found.attachment.as_ref(), Some(&attachment));
        assert_eq!((found.pod.as_deref(), found.is_unfinished), (Some("shop/web-0"), false));
        let found = HostInterface::of(&link(&name, "")).unwrap();
        assert_eq!((found.attachment, found.is_unfinished), (None, true));
        assert_eq!(HostInterface::of(&link("veth0", "net/c1/eth0")), None);
    }
}

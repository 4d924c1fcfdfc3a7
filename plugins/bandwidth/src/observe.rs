//! What there is of an attachment on the host. Asks, and changes nothing.

use cni_common::names::ifb;
use cni_common::sys::{Netlink, TrafficControl};
use cni_common::types::Attachment;
use cni_common::types::net::Link;
use cni_common::types::traffic::{Classifier, FoundFilter, Hook};
use cni_common::{Code, Context, Error, Result};

use crate::plan::{Device, FoundDevice, Observed};

const IFB: &str = "ifb";

/// Both sockets of the host.
pub(crate) struct Sockets {
    pub host: Netlink,
    pub traffic: TrafficControl,
}

impl Sockets {
    pub(crate) fn open() -> Result<Self> {
        Ok(Self { host: Netlink::open()?, traffic: TrafficControl::open()? })
    }
}

/// Looks at the host interface and at the devices of the attachment.
pub(crate) fn observe(
    sockets: &mut Sockets,
    attachment: &Attachment,
    host: Link,
) -> Result<Observed> {
    let about = |what: &str| format!("{what} of {:?}", host.name);
    let traffic = &mut sockets.traffic;
    let root = traffic.find_root(host.index).with_context(|| about("queueing discipline"))?;
    let classifier = traffic.find_classifier(host.index).with_context(|| about("clsact"))?;
    let mut list = |hook| traffic.list_filters(host.index, hook).with_context(|| about("filters"));
    let (received, sent) = match classifier {
        None => (Vec::new(), Vec::new()),
        // Asked for those of what is sent, it tells the others.
        Some(Classifier::Ingress) => (list(Hook::Received)?, Vec::new()),
        Some(Classifier::Clsact) => (list(Hook::Received)?, list(Hook::Sent)?),
    };
    let alias = ifb::alias(attachment, &host.name);
    let egress = egress_device(sockets, attachment, &received)?;
    let ingress = Found { name: ifb::received(attachment), link: None };
    let ingress = match sockets.host.find_link(&ingress.name)? {
        Some(link) if !has_own_name(&link, attachment) => return Err(taken(&link)),
        link => Found { link, ..ingress },
    };
    let mut device = |found: Found| {
        let root_of = |link: Link| {
            let root = sockets.traffic.find_root(link.index);
            let root = root.with_context(|| format!("queueing discipline of {:?}", link.name))?;
            Ok::<_, Error>(FoundDevice { link, root })
        };
        let found_device = found.link.map(root_of).transpose()?;
        Ok::<_, Error>(Device { name: found.name, alias: alias.clone(), found: found_device })
    };
    let (egress, ingress) = (device(egress)?, device(ingress)?);
    Ok(Observed { host, root, classifier, received, sent, egress, ingress })
}

/// A device's name, and the link if it is there.
struct Found {
    name: String,
    link: Option<Link>,
}

/// The device for what the container sends: that of the plain name, unless another interface of the
/// container has it.
fn egress_device(
    sockets: &mut Sockets,
    attachment: &Attachment,
    received: &[FoundFilter],
) -> Result<Found> {
    let own = ifb::with_ifname(attachment);
    if let Some(link) = sockets.host.find_link(&own)? {
        return match has_own_name(&link, attachment) {
            true => Ok(Found { name: own, link: Some(link) }),
            false => Err(taken(&link)),
        };
    }
    let plain = ifb::plain(attachment);
    let found = sockets.host.find_link(&plain)?;
    let is_usable = match &found {
        None => true,
        Some(link) => is_own_plain(sockets, attachment, (link, Some(received)))?,
    };
    match is_usable {
        true => Ok(Found { name: plain, link: found }),
        false => Ok(Found { name: own, link: None }),
    }
}

/// Whether a link with a name that is the attachment's alone is its device. Without an alias the ADD
/// that made it was killed.
pub(crate) fn has_own_name(link: &Link, attachment: &Attachment) -> bool {
    link.kind == IFB && (link.alias.is_empty() || ifb::is_of(&link.alias, attachment))
}

fn taken(link: &Link) -> Error {
    let message = format!("{:?} is there already", link.name);
    Error::new(Code::Conflict, message).with_details(format!("its alias is {:?}", link.alias))
}

/// Whether a device of the plain name is the attachment's, or nobody's: the name is that of all
/// interfaces of the container. The reference writes no alias; then it is told by the filters of what
/// the host interface receives, if there is one, and else no other interface's filter may need it.
pub(crate) fn is_own_plain(
    sockets: &mut Sockets,
    attachment: &Attachment,
    (link, received): (&Link, Option<&[FoundFilter]>),
) -> Result<bool> {
    if link.kind != IFB || !link.alias.is_empty() {
        return Ok(link.kind == IFB && ifb::is_of(&link.alias, attachment));
    }
    let Some(received) = received else { return Ok(true) };
    if received.iter().any(|filter| filter.redirects_to(link.index)) {
        return Ok(true);
    }
    let targets = sockets.traffic.list_redirect_targets().context("list redirections")?;
    Ok(!targets.contains(&link.index))
}

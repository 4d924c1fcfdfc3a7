//! The limits of `bandwidth` that the kernel has for attachments: what a container receives waits at the root of
//! its host interface, or of an ifb device; what it sends at the root of another one.

use std::collections::BTreeMap;

use cni_common::Result;
use cni_common::names::ifb;
use cni_common::sys::link::LinkKind;
use cni_common::sys::{Netlink, TrafficControl};
use cni_common::types::Attachment;
use cni_common::types::net::Link;

use super::Attachments;
use super::value::Limits;

/// Adds them, by one look at all queueing disciplines.
pub(super) fn read(found: &mut Attachments, host: &mut Netlink) -> Result<()> {
    let buckets = TrafficControl::open()?.list_buckets()?;
    if buckets.is_empty() {
        return Ok(());
    }
    let devices = host.list_links(LinkKind::Ifb, None)?;
    let devices: BTreeMap<&str, &Link> =
        devices.iter().map(|link| (link.name.as_str(), link)).collect();
    // A bucket says bytes.
    let rate = |index: u32| Some(buckets.get(&index)?.rate.saturating_mul(8));
    for (key, attached) in &mut found.all {
        let Some(attachment) = key.attachment() else { continue };
        let of = |name: String| {
            let device = devices.get(name.as_str())?;
            rate(device.index).filter(|_| is_its(device, &attachment))
        };
        let at_host = attached.host.as_ref().and_then(|link| rate(link.index));
        attached.limits = Limits {
            ingress: at_host.or_else(|| of(ifb::received(&attachment))),
            egress: of(ifb::with_ifname(&attachment)).or_else(|| of(ifb::plain(&attachment))),
        };
    }
    Ok(())
}

/// Whether a device is that of an attachment. The reference writes no alias, and has one device for all
/// interfaces of a container in a network.
fn is_its(device: &Link, attachment: &Attachment) -> bool {
    device.alias.is_empty() || ifb::is_of(&device.alias, attachment)
}

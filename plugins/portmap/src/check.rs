//! CHECK: the ports lead to the container, by this suite's rules or by the reference's.

use cni_common::packet_filter::Report;
use cni_common::packet_filter::reference::host_port;
use cni_common::skel::AttachmentRequest;
use cni_common::sys::iptables::Protocol;
use cni_common::sys::nft::Nft;
use cni_common::types::Attachment;
use cni_common::{Result, log};

use crate::config::{Backend, Config};
use crate::target::Targets;
use crate::{chains, iptables, nftables, plan};

/// What CHECK says without a `prevResult`.
const NO_PREV_RESULT: &str = "Required prevResult missing";
/// What the faults are of.
const WHAT: &str = "mapped ports";

/// Compares the packet filter with the configuration. Changes nothing.
pub fn check(request: &AttachmentRequest<'_>) -> Result<()> {
    let config = Config::parse(&request.request.config)?;
    let result = request.required_prev_result(NO_PREV_RESULT)?;
    let attachment = &request.attachment;
    let targets = Targets::of(&result, &attachment.ifname);
    if !plan::is_any_mapped(&config, &targets) {
        return Ok(());
    }
    let mut nft = Nft::open()?;
    let mut report = Report::default();
    let is_chosen = config.backend == Backend::Automatic && nft.generation()?.is_none();
    if config.backend == Backend::Iptables || is_chosen {
        iptables::check(attachment, (&config, &targets), &mut report)?;
        return report.into_result(WHAT);
    }
    nftables::check(&mut nft, attachment, (&config, &targets), &mut report)?;
    if report.is_empty() {
        return Ok(());
    }
    if is_mapped_otherwise(&mut nft, attachment, (&config, &targets))? {
        log::debug(|| "CHECK: the ports are mapped by the reference plugin, or by iptables");
        return Ok(());
    }
    report.into_result(WHAT)
}

/// Whether the reference has as many rules as are expected for each of the container's addresses, on
/// nftables or on iptables.
fn is_mapped_otherwise(
    nft: &mut Nft,
    attachment: &Attachment,
    (config, targets): (&Config, &Targets),
) -> Result<bool> {
    let mut any = false;
    for (version, target) in targets.iter() {
        let count = config.mappings.iter().filter(|mapping| mapping.host.has(version)).count();
        if count == 0 {
            continue;
        }
        any = true;
        let protocol = if target.is_ipv4() { Protocol::Ipv4 } else { Protocol::Ipv6 };
        let is_there = host_port::has_rules(nft, target.ip(), (attachment, count))?
            || chains::has_rules(nft, protocol, (attachment, count))?;
        if !is_there {
            return Ok(false);
        }
    }
    Ok(any)
}

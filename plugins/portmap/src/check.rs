//! CHECK: the ports lead to the container, by this suite's rules or by the reference's.

use cni_common::packet_filter::Report;
use cni_common::packet_filter::reference::host_port;
use cni_common::skel::AttachmentRequest;
use cni_common::sys::nft::Nft;
use cni_common::{Result, log};

use crate::config::Config;
use crate::native;
use crate::target::Targets;

/// What CHECK says without a `prevResult`.
const NO_PREV_RESULT: &str = "Required prevResult missing";

/// Compares the packet filter with the configuration. Changes nothing.
pub fn check(request: &AttachmentRequest<'_>) -> Result<()> {
    let config = Config::parse(&request.request.config)?;
    let result = request.required_prev_result(NO_PREV_RESULT)?;
    if config.mappings.is_empty() {
        return Ok(());
    }
    let attachment = &request.attachment;
    let targets = Targets::of(&result, &attachment.ifname);
    let mut nft = Nft::open()?;
    let mut report = Report::default();
    native::check(&mut nft, attachment, (&config, &targets), &mut report)?;
    if report.is_empty() {
        return Ok(());
    }
    let wanted = targets.iter().map(|(version, target)| {
        let mapped = config.mappings.iter().filter(|mapping| mapping.host.has(version));
        (target.ip(), mapped.count())
    });
    if host_port::is_complete(&mut nft, attachment, &wanted.collect::<Vec<_>>())? {
        log::debug(|| "CHECK: the ports are mapped by the reference plugin");
        return Ok(());
    }
    report.into_result("mapped ports")
}

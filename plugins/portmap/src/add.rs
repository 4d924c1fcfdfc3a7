//! ADD: the ports of the host lead to the container. `prevResult` is the result.

use std::cell::Cell;
use std::path::Path;

use cni_common::packet_filter::first_supported;
use cni_common::packet_filter::reference::host_port;
use cni_common::skel::{Added, AttachmentRequest, Made};
use cni_common::spec::CniResult;
use cni_common::sys::nft::Nft;
use cni_common::types::Attachment;
use cni_common::{Error, Result, log};

use crate::config::{Backend, Config};
use crate::localnet::Guard;
use crate::target::Targets;
use crate::{chains, del, flows, iptables, localnet, nftables, plan};

/// What ADD and CHECK say without a `prevResult`.
pub const NO_PREV_RESULT: &str = "must be called as chained plugin";

/// Maps the ports. Without any nothing is touched, but for those of an earlier ADD.
pub fn add(request: &AttachmentRequest<'_>) -> Result<Added> {
    let (result, config, targets) = read(request)?;
    let attachment = request.attachment.clone();
    if !plan::is_any_mapped(&config, &targets) {
        if !config.mappings.is_empty() {
            log::debug(|| "no mapped port is of an IP version that the container has");
        }
        del::remove(&attachment, &[]).iter().for_each(log_failure);
        return Ok(Added::new(result, Vec::new));
    }
    let netns = request.netns.as_deref().unwrap_or(Path::new(""));
    Added::attempt(Mapped { attachment, is_mapped: false }, |mapped| {
        mapped.map((&config, &targets), netns)?;
        Ok(result)
    })
}

/// What the request says.
pub(crate) fn read(request: &AttachmentRequest<'_>) -> Result<(CniResult, Config, Targets)> {
    let config = log::configuration_step(|| Config::parse(&request.request.config))?;
    let result = request.required_prev_result(NO_PREV_RESULT)?;
    let targets = Targets::of(&result, &request.attachment.ifname);
    Ok((result, config, targets))
}

/// What an ADD has mapped. What an earlier one has mapped stays when this one is refused.
struct Mapped {
    attachment: Attachment,
    /// Whether this ADD may have.
    is_mapped: bool,
}

impl Made for Mapped {
    fn rollback(&mut self) -> Vec<Error> {
        if self.is_mapped { del::remove(&self.attachment, &[]) } else { Vec::new() }
    }
}

impl Mapped {
    fn map(&mut self, what: (&Config, &Targets), netns: &Path) -> Result<()> {
        let (config, targets) = what;
        // Until it is known that it was refused: a panic tells nothing.
        self.is_mapped = true;
        let guard = map(&self.attachment, what, netns).inspect_err(|_| self.is_mapped = false)?;
        localnet::let_out(what, guard)?;
        flows::forget_sent_to(config, targets.iter().map(|(version, _)| version));
        Ok(())
    }
}

fn map(attachment: &Attachment, what: (&Config, &Targets), netns: &Path) -> Result<Guard> {
    let guard = Cell::new(Guard::Nftables);
    let doing = |backend: &str| format!("map the ports of {attachment} by {backend}");
    let by_nftables =
        || log::step(|| doing("nftables"), || map_by_nftables(attachment, what, netns));
    let by_iptables = || {
        guard.set(Guard::Iptables);
        log::step(|| doing("iptables"), || map_by_iptables(attachment, what, netns))
    };
    match what.0.backend {
        Backend::Nftables => {
            by_nftables().map_err(|error| match cni_common::sys::nft::is_unsupported(&error) {
                true => error.with_details("the kernel lacks nf_tables, or its NAT"),
                false => error,
            })?
        }
        Backend::Iptables => by_iptables()?,
        Backend::Automatic => first_supported(by_nftables, by_iptables)?,
    }
    Ok(guard.get())
}

fn map_by_nftables(attachment: &Attachment, what: (&Config, &Targets), netns: &Path) -> Result<()> {
    let mut nft = Nft::open()?;
    let wanted = plan::wanted(attachment, what, netns);
    nftables::ensure(&mut nft, attachment, &wanted)?;
    // What the reference or the other backend made for the attachment would come first, or second.
    chains::remove(&mut nft, attachment).err().iter().for_each(log_failure);
    host_port::remove(&mut nft, attachment).err().iter().for_each(log_failure);
    Ok(())
}

fn map_by_iptables(attachment: &Attachment, what: (&Config, &Targets), netns: &Path) -> Result<()> {
    // Before there are rules, which would stay if it failed.
    let mut nft = Nft::open()?;
    iptables::ensure(attachment, what, netns)?;
    nftables::remove(&mut nft, attachment, &[]).err().iter().for_each(log_failure);
    host_port::remove(&mut nft, attachment).err().iter().for_each(log_failure);
    Ok(())
}

fn log_failure(error: &Error) {
    log::debug(|| error.to_string());
}

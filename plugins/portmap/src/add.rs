//! ADD: the ports of the host lead to the container. `prevResult` is the result.

use std::cell::Cell;
use std::path::Path;

use cni_common::packet_filter::first_supported;
use cni_common::packet_filter::reference::host_port;
use cni_common::skel::{Added, AttachmentRequest};
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
    let parse = || Config::parse(&request.request.config);
    let config = log::step(|| "read the configuration", parse)?;
    let result = request.required_prev_result(NO_PREV_RESULT)?;
    let attachment = request.attachment.clone();
    let targets = Targets::of(&result, &attachment.ifname);
    let is_mapped = targets.iter().any(|(version, _)| plan::is_mapped(&config, version));
    if !is_mapped {
        if !config.mappings.is_empty() {
            log::debug(|| "no mapped port is of an IP version that the container has");
        }
        del::remove(&attachment, &[]).iter().for_each(log_failure);
        return Ok(Added::new(result, Vec::new));
    }
    let netns = request.netns.as_deref().unwrap_or(Path::new(""));
    map(&attachment, (&config, &targets), netns)?;
    let rollback = move || del::remove(&attachment, &[]);
    Ok(Added::new(result, rollback))
}

fn map(attachment: &Attachment, what: (&Config, &Targets), netns: &Path) -> Result<()> {
    let (config, targets) = what;
    let doing = |backend: &str| format!("map the ports of {attachment} by {backend}");
    let is_guarded_by = Cell::new(Guard::Nftables);
    let by_nftables =
        || log::step(|| doing("nftables"), || map_by_nftables(attachment, what, netns));
    let by_iptables = || {
        is_guarded_by.set(Guard::Iptables);
        log::step(|| doing("iptables"), || map_by_iptables(attachment, what, netns))
    };
    match config.backend {
        Backend::Nftables => {
            by_nftables().map_err(|error| match cni_common::sys::nft::is_unsupported(&error) {
                true => error.with_details("the kernel lacks nf_tables, or its NAT"),
                false => error,
            })?
        }
        Backend::Iptables => by_iptables()?,
        Backend::Automatic => first_supported(by_nftables, by_iptables)?,
    }
    if let Err(error) = localnet::let_out(what, is_guarded_by.get()) {
        return Err(error.with_undo_failures(del::remove(attachment, &[])));
    }
    flows::forget_sent_to(config, targets.iter().map(|(version, _)| version));
    Ok(())
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
    iptables::ensure(attachment, what, netns)?;
    let mut nft = Nft::open()?;
    nftables::remove(&mut nft, attachment, &[]).err().iter().for_each(log_failure);
    host_port::remove(&mut nft, attachment).err().iter().for_each(log_failure);
    Ok(())
}

fn log_failure(error: &Error) {
    log::debug(|| error.to_string());
}

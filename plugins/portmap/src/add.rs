//! ADD: the ports of the host lead to the container. `prevResult` is the result.

use std::net::IpAddr;
use std::path::Path;

use cni_common::nft::IpVersion;
use cni_common::packet_filter::reference::host_port;
use cni_common::skel::{Added, AttachmentRequest};
use cni_common::sys::nft::{Nft, is_unsupported};
use cni_common::sys::{Netlink, sysctl};
use cni_common::types::Attachment;
use cni_common::{Error, Result, log};

use crate::config::{Config, Snat};
use crate::target::Targets;
use crate::{flows, native, plan};

/// What ADD and CHECK say without a `prevResult`.
pub const NO_PREV_RESULT: &str = "must be called as chained plugin";

/// Maps the ports. Without any nothing is touched.
pub fn add(request: &AttachmentRequest<'_>) -> Result<Added> {
    let config = Config::parse(&request.request.config)?;
    let result = request.required_prev_result(NO_PREV_RESULT)?;
    let attachment = request.attachment.clone();
    let targets = Targets::of(&result, &attachment.ifname);
    let is_mapped = targets.iter().any(|(version, _)| plan::is_mapped(&config, version));
    if !is_mapped {
        if !config.mappings.is_empty() {
            log::debug(|| "no mapped port is of an IP version that the container has");
        }
        return Ok(Added::new(result, Vec::new));
    }
    let netns = request.netns.as_deref().unwrap_or(Path::new(""));
    map(&attachment, (&config, &targets), netns)?;
    let rollback = move || remove(&attachment);
    Ok(Added::new(result, rollback))
}

fn map(attachment: &Attachment, what: (&Config, &Targets), netns: &Path) -> Result<()> {
    let mut nft = Nft::open()?;
    let wanted = plan::wanted(attachment, what, netns);
    native::ensure(&mut nft, attachment, &wanted).map_err(|error| {
        match is_unsupported(&error) {
            true => error.with_details("the kernel lacks nf_tables, or its NAT"),
            false => error,
        }
    })?;
    // What the reference made for the same attachment would come first, or second.
    host_port::remove(&mut nft, attachment).err().iter().for_each(log_failure);
    if let Err(error) = let_localhost_out(what) {
        return Err(error.with_undo_failures(remove(attachment)));
    }
    let (config, targets) = what;
    flows::forget_before_mapped(config, targets);
    Ok(())
}

/// Lets what the host sends from 127.0.0.1 leave for the container. It stays so: other containers
/// on the same link may need it.
fn let_localhost_out((config, targets): (&Config, &Targets)) -> Result<()> {
    let is_needed = config.snat != Snat::Nobody && plan::is_mapped(config, IpVersion::V4);
    let target = targets.iter().find(|(version, _)| *version == IpVersion::V4);
    let Some((_, target)) = target.filter(|_| is_needed) else { return Ok(()) };
    let failed = |error: Error| error.context("unable to enable route_localnet");
    // A bridge without an address, as of an internal network, has no way to the container.
    let Some(link) = outgoing_link(target.ip()).map_err(failed)? else {
        log::debug(|| format!("no route_localnet: the host has no route to {}", target.ip()));
        return Ok(());
    };
    let name = format!("ipv4/conf/{link}/route_localnet");
    // Writing it makes the kernel forget its cached routes, even when it is so already.
    if sysctl::read(&name).is_ok_and(|value| value.as_deref() == Some("1")) {
        return Ok(());
    }
    sysctl::write(&name, "1").map_err(failed)
}

fn outgoing_link(ip: IpAddr) -> Result<Option<String>> {
    let mut host = Netlink::open()?;
    let Some(index) = host.find_outgoing_link(ip)? else { return Ok(None) };
    Ok(host.find_link_by_index(index)?.map(|link| link.name))
}

fn remove(attachment: &Attachment) -> Vec<Error> {
    let removed = Nft::open().and_then(|mut nft| native::remove(&mut nft, attachment, &[]));
    removed.err().into_iter().collect()
}

fn log_failure(error: &Error) {
    log::debug(|| error.to_string());
}

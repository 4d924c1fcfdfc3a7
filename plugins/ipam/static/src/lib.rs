//! The plugin `static`: the addresses that the configuration or the caller names.
//!
//! It keeps no state, takes no lock and opens no namespace: whether an address is in use elsewhere
//! is for whoever writes the configuration to know.
//!
//! - `config`: the `ipam` object and the addresses that a caller names. Pure.

pub mod config;

use cni_common::skel::{Added, AttachmentRequest, Plugin, Request};
use cni_common::spec::{CniResult, Ip, ValidAttachments};
use cni_common::types::IfName;
use cni_common::{Code, Error, Result, log};

use config::{Address, Config};

/// The plugin.
pub struct Static;

impl Plugin for Static {
    fn name(&self) -> &'static str {
        "static"
    }

    fn purpose(&self) -> &'static str {
        env!("CARGO_PKG_DESCRIPTION")
    }

    fn add(&self, request: &AttachmentRequest<'_>) -> Result<Added> {
        Ok(Added::new(add(request)?, Vec::new))
    }

    fn del(&self, _: &AttachmentRequest<'_>) -> Result<()> {
        // ADD made nothing.
        Ok(())
    }

    fn check(&self, request: &AttachmentRequest<'_>) -> Result<()> {
        let config = Config::parse(&request.request.config, &request.request.args()?)?;
        let previous = request.required_prev_result("Required prevResult missing")?;
        let ifname = &request.attachment.ifname;
        config.addresses.iter().try_for_each(|address| compare(address, &previous, ifname))
    }

    fn gc(&self, _: &Request<'_>, _: Option<&ValidAttachments<'_>>) -> Result<()> {
        // Nothing is ever held.
        Ok(())
    }

    fn status(&self, request: &Request<'_>) -> Result<()> {
        Config::parse(&request.config, &request.args()?).map(|_valid| ())
    }
}

/// Nothing is ever made that would have to be undone.
fn add(request: &AttachmentRequest<'_>) -> Result<CniResult> {
    let config = log::configuration_step(|| {
        Config::parse(&request.request.config, &request.request.args()?)
    })?;
    let ip = |Address { address, gateway }| Ip { interface: None, address, gateway };
    Ok(CniResult {
        ips: config.addresses.into_iter().map(ip).collect(),
        routes: config.routes,
        dns: config.dns,
        ..CniResult::default()
    })
}

/// The attachment has the address, with the gateway if one is configured: the plugin that called may
/// have chosen one where none is.
fn compare(expected: &Address, previous: &CniResult, ifname: &IfName) -> Result<()> {
    let ip = expected.address.ip();
    let found = previous.ips.iter().find(|found| found.address.ip() == ip);
    let fault = match (found, expected.gateway) {
        (None, _) => "prevResult does not have it".to_owned(),
        (Some(found), _) if found.address.prefix() != expected.address.prefix() => {
            format!("prevResult has it as {}, configured is {}", found.address, expected.address)
        }
        (Some(found), Some(gateway)) if found.gateway != expected.gateway => match found.gateway {
            Some(other) => format!("its gateway in prevResult is {other}, configured is {gateway}"),
            None => format!("it has no gateway in prevResult, configured is {gateway}"),
        },
        _ => return Ok(()),
    };
    let message = format!("static: Failed to match addr {ip} on interface {ifname}");
    Err(Error::new(Code::CheckFailed, message).with_details(fault))
}

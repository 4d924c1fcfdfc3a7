//! ADD: the limits, behind the plugins that made the container's interface.

use cni_common::names::ifb;
use cni_common::skel::{Added, AttachmentRequest, Made};
use cni_common::spec::{CniResult, Interface};
use cni_common::sys::attacher;
use cni_common::{Result, log};

use crate::apply::Machine;
use crate::config::Config;
use crate::observe::{Sockets, observe};
use crate::operation::Operation;
use crate::plan::plan;
use crate::target;

/// What ADD says without a `prevResult`.
const NO_PREV_RESULT: &str = "must be called as chained plugin";

/// Limits the attachment. Without a limit nothing is touched.
pub(crate) fn add(request: &AttachmentRequest<'_>) -> Result<Added> {
    let parse = || Config::parse(&request.request.config);
    let config = log::step(|| "read the configuration", parse)?;
    let mut result = request.required_prev_result(NO_PREV_RESULT)?;
    if config.is_empty() {
        return Ok(Added::new(result, Vec::new));
    }
    let attachment = &request.attachment;
    let lock = attacher::lock(ifb::lock_offset(attachment), attachment)?;
    let mut sockets = Sockets::open()?;
    let host = target::find(request, &result, &mut sockets.host)?;
    let observed = observe(&mut sockets, attachment, host)?;
    let operations = plan(&config, &observed)?;
    let mut machine = Machine::new(sockets, &observed, lock);
    if let Err(error) = machine.apply(&operations) {
        return Err(error.with_undo_failures(machine.rollback()));
    }
    log::debug(|| format!("limits set by {} operations", operations.len()));
    for device in [&observed.egress.name, &observed.ingress.name] {
        let is_removed = operations.contains(&Operation::RemoveIfb { name: device.clone() });
        if let Some(link) = machine.link(device).filter(|_| !is_removed) {
            let mac = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
            append(&mut result, device, mac);
        }
    }
    Ok(Added::new(result, machine))
}

/// Appends a device of the host, behind all interfaces that addresses may tell by their number.
fn append(result: &mut CniResult, name: &str, mac: String) {
    let is_there = result.interfaces.iter().any(|one| one.name == name && one.sandbox.is_empty());
    if !is_there {
        result.interfaces.push(Interface { name: name.to_owned(), mac, ..Interface::default() });
    }
}

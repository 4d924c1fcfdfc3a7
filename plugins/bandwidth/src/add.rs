//! ADD: the limits, behind the plugins that made the container's interface.

use cni_common::names::ifb;
use cni_common::skel::{Added, AttachmentRequest};
use cni_common::spec::{CniResult, Interface};
use cni_common::sys::attacher;
use cni_common::{Code, Result, log};

use crate::apply::Machine;
use crate::config::Config;
use crate::observe::{Sockets, observe};
use crate::operation::Operation;
use crate::plan::{Observed, plan};
use crate::target;

/// What ADD says without a `prevResult`.
const NO_PREV_RESULT: &str = "must be called as chained plugin";

/// Limits the attachment, or takes away what an earlier ADD limited.
pub(crate) fn add(request: &AttachmentRequest<'_>) -> Result<Added> {
    let config = log::configuration_step(|| Config::parse(&request.request.config))?;
    let mut result = request.required_prev_result(NO_PREV_RESULT)?;
    let attachment = &request.attachment;
    let lock = attacher::lock(ifb::lock_offset(attachment), attachment)?;
    let mut sockets = Sockets::open()?;
    let observed = match config.is_empty() {
        false => {
            let host = target::find(request, &result, &mut sockets.host)?;
            observe(&mut sockets, attachment, host)?
        }
        true => match find_limited(request, &mut sockets)? {
            Some(observed) => observed,
            None => return Ok(Added::new(result, Vec::new)),
        },
    };
    let operations = plan(&config, &observed)?;
    Added::attempt(Machine::new(sockets, &observed, lock), |machine| {
        machine.apply(&operations)?;
        log::debug(|| format!("limits set by {} operations", operations.len()));
        for device in [&observed.egress.name, &observed.ingress.name] {
            let is_removed = operations.contains(&Operation::RemoveIfb { name: device.clone() });
            if let Some(link) = machine.link(device).filter(|_| !is_removed) {
                let mac = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
                append(&mut result, device, mac);
            }
        }
        Ok(result)
    })
}

/// What there is of an attachment that may have been limited. Whatever can't be limited was not.
fn find_limited(
    request: &AttachmentRequest<'_>,
    sockets: &mut Sockets,
) -> Result<Option<Observed>> {
    let Some(host) = target::find_known(request, &mut sockets.host)? else { return Ok(None) };
    match observe(sockets, &request.attachment, host) {
        Err(error) if error.is(Code::Conflict) => Ok(None),
        observed => observed.map(Some),
    }
}

/// Appends a device of the host, behind all interfaces that addresses may tell by their number.
fn append(result: &mut CniResult, name: &str, mac: String) {
    let is_there = result.interfaces.iter().any(|one| one.name == name && one.sandbox.is_empty());
    if !is_there {
        result.interfaces.push(Interface { name: name.to_owned(), mac, ..Interface::default() });
    }
}

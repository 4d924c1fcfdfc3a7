//! CHECK: what ADD made is there, or what the reference made. Changes nothing.

use cni_common::packet_filter::Report;
use cni_common::skel::AttachmentRequest;
use cni_common::sys::nft::Nft;
use cni_common::{Code, Error, Result};

use crate::config::{Backend, Config};
use crate::subject::Subject;
use crate::{accept, add, iptables, native, reference};

/// Compares it.
pub fn check(request: &AttachmentRequest<'_>) -> Result<()> {
    let config = Config::parse(&request.request.config)?;
    let result = request.required_prev_result(crate::NO_PREV_RESULT)?;
    let subject = Subject::with(&request.attachment, &result);
    subject.require_bridge(config.policy)?;
    let is_chosen = config.backend == Backend::Automatic && add::has_old_table(&subject);
    if config.backend == Backend::Iptables || is_chosen {
        return result_of(iptables::faults(&subject, &config)?);
    }
    let mut nft = Nft::open()?;
    let mut report = Report::default();
    native::check(&mut nft, (&subject, &config), &mut report)?;
    for protocol in subject.protocols() {
        let faults = accept::faults(&mut nft, protocol, &config)?;
        faults.into_iter().for_each(|fault| report.fault(fault));
    }
    // A container of the reference goes on when the executables are replaced.
    if !report.is_empty()
        && !native::is_registered(&mut nft, &subject)?
        && reference::has_all(&mut nft, &subject)?
    {
        let mut faults = Vec::new();
        for protocol in subject.protocols() {
            faults.extend(accept::jump_faults(&mut nft, protocol, &config)?);
        }
        return result_of(faults);
    }
    report.into_result("firewall")
}

fn result_of(faults: Vec<String>) -> Result<()> {
    let errors = faults.into_iter().map(|fault| Error::new(Code::CheckFailed, fault));
    Error::join(errors)
}

//! CHECK: what ADD made is there, or what the reference made. Changes nothing.

use cni_common::packet_filter::Report;
use cni_common::packet_filter::table::INET;
use cni_common::skel::AttachmentRequest;
use cni_common::sys::nft::Nft;
use cni_common::{Code, Error, Result};

use crate::config::{Backend, Config};
use crate::subject::Subject;
use crate::{accept, add, iptables, nftables, reference, zone};

/// Compares it.
pub fn check(request: &AttachmentRequest<'_>) -> Result<()> {
    let config = Config::parse(&request.request.config)?;
    let result = request.required_prev_result(crate::NO_PREV_RESULT)?;
    let mut subject = Subject::with(&request.attachment, &result);
    subject.require_bridge(config.policy)?;
    let mut nft = Nft::open()?;
    let in_zone = zone::faults(&mut nft, &subject, &config)?;
    let is_chosen = config.backend != Backend::Nftables && add::has_old_table(&subject);
    if config.backend == Backend::Iptables || is_chosen {
        let faults = iptables::faults(&subject, &config)?;
        return result_of(faults.into_iter().chain(in_zone.into_iter().flatten()));
    }
    subject.zone = nftables::zone_of(&mut nft, &subject)?;
    let mut report = Report::default();
    if report.table(&mut nft, INET)? {
        nftables::check(&mut nft, (&subject, &config), &mut report)?;
        for protocol in subject.protocols() {
            let faults = accept::faults(&mut nft, protocol, &config)?;
            faults.into_iter().for_each(|fault| report.fault(fault));
        }
    }
    // A container of the reference goes on when the executables are replaced.
    if !report.is_empty() && !nftables::is_registered(&mut nft, &subject)? {
        if in_zone.as_ref().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        if reference::has_all(&mut nft, &subject)? {
            let mut faults = in_zone.unwrap_or_default();
            for protocol in subject.protocols() {
                faults.extend(accept::jump_faults(&mut nft, protocol, &config)?);
            }
            return result_of(faults);
        }
    }
    in_zone.into_iter().flatten().for_each(|fault| report.fault(fault));
    report.into_result("firewall")
}

fn result_of(faults: impl IntoIterator<Item = String>) -> Result<()> {
    let errors = faults.into_iter().map(|fault| Error::new(Code::CheckFailed, fault));
    Error::join(errors)
}

//! ADD: what the container sends and is sent is let through, or nothing is left of it.

use cni_common::skel::{Added, AttachmentRequest};
use cni_common::sys::nft::Nft;
use cni_common::{Code, Error, Result, log};

use crate::config::Config;
use crate::subject::Subject;
use crate::{accept, del, foreign, native};

/// Lets packets through and keeps bridges apart.
pub fn add(request: &AttachmentRequest<'_>) -> Result<Added> {
    let config = Config::parse(&request.request.config)?;
    let result = request.required_prev_result(crate::NO_PREV_RESULT)?;
    let subject = Subject::with(&request.attachment, &result);
    subject.require_bridge(config.policy)?;
    if let Err(error) = make(&subject, &config) {
        return Err(error.with_undo_failures(del::remove(&subject)));
    }
    Ok(Added::new(result, move || del::remove(&subject)))
}

fn make(subject: &Subject, config: &Config) -> Result<()> {
    log::debug(|| format!("let through: {:?}", subject.addresses));
    let mut nft = Nft::open()?;
    // What an earlier ADD made may be for an address, or of a policy, that it has no more.
    if native::is_registered(&mut nft, subject)? {
        let failures = del::remove(&Subject::of(&subject.attachment));
        Error::join(failures).map_or(Ok(()), Err)?;
    }
    let protocols = subject.protocols();
    foreign::require_none(&mut nft, &protocols, Code::Conflict)?;
    native::ensure(&mut nft, subject, config)?;
    accept::ensure(&mut nft, &protocols, config)
}

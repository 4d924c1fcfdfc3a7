//! Putting back what an ADD makes, for who holds the attachment's lock: of one attachment, or of many at once.
//! Nothing is undone where that fails: the containers live on with what there is.

use cni_common::skel::AttachmentRequest;
use cni_common::sys::nft::Nft;
use cni_common::{Code, Error, Result};

use crate::config::{Backend, Config};
use crate::foreign::{self, Senders};
use crate::subject::Subject;
use crate::{accept, add, nftables, plan, zone};

/// Makes again what is missing of it.
pub fn one(request: &AttachmentRequest<'_>) -> Result<()> {
    let (_result, mut subject, config) = add::read(request)?;
    add::make(&mut subject, &config)
}

/// What an ADD would let through.
#[derive(Clone, Debug)]
pub struct Passage {
    subject: Subject,
    config: Config,
}

impl Passage {
    /// What an ADD with this request would.
    pub fn of(request: &AttachmentRequest<'_>) -> Result<Self> {
        let (_result, subject, config) = add::read(request)?;
        Ok(Self { subject, config })
    }
}

/// Lets them through by few transactions. Whatever is not simple is refused: then each is to be put back by itself.
pub fn together(all: &[Passage]) -> Result<()> {
    let Some(Passage { config, .. }) = all.first() else { return Ok(()) };
    let subjects: Vec<&Subject> = all.iter().map(|one| &one.subject).collect();
    let mut nft = Nft::open()?;
    let senders = Senders::of_all(subjects.iter().copied())?;
    let is_simple = all.iter().all(|one| one.config == *config)
        && config.backend != Backend::Iptables
        && foreign::require_no_old_table(&senders.protocols).is_ok()
        && zone::find(&mut nft, config, Code::TryAgainLater)?.is_none();
    // What is there of an attachment may be for an address, or of a policy, that it has no more.
    let owners = plan::attachments().list_owners(&mut nft)?;
    if !is_simple || subjects.iter().any(|one| owners.contains(&one.comment())) {
        let message = "there is more to do than to add to the suite's own tables";
        return Err(Error::new(Code::Internal, message));
    }
    foreign::require_none(&mut nft, &senders, Code::Conflict)?;
    nftables::ensure_together(&mut nft, &subjects, config)?;
    accept::ensure(&mut nft, &senders.protocols, config)
}

//! ADD: what the container sends and is sent is let through, or nothing is left of it.

use cni_common::skel::{Added, AttachmentRequest, Made};
use cni_common::spec::CniResult;
use cni_common::sys::byte_lock::ByteLock;
use cni_common::sys::iptables::has_legacy_table;
use cni_common::sys::nft::{Nft, is_unsupported};
use cni_common::{Code, Error, Result, log};

use crate::config::{Backend, Config};
use crate::foreign::Senders;
use crate::subject::Subject;
use crate::text::TABLE;
use crate::{accept, del, foreign, iptables, nftables, zone};

/// Lets packets through and keeps bridges apart.
pub fn add(request: &AttachmentRequest<'_>) -> Result<Added> {
    let (result, subject, config) = read(request)?;
    // Held to the end of the process: until the result is printed an ADD can still be undone.
    let lock = request.lock()?;
    Added::attempt(Making { subject, is_made: false, _lock: lock }, |making| {
        make(&mut making.subject, &config)?;
        making.is_made = true;
        Ok(result)
    })
}

/// What is made for an attachment.
struct Making {
    subject: Subject,
    /// Whether all of it is there; before, only what is recorded of zones is to be undone.
    is_made: bool,
    _lock: Option<ByteLock>,
}

impl Made for Making {
    fn rollback(&mut self) -> Vec<Error> {
        del::remove(&self.subject, self.subject.zone.as_deref().filter(|_| self.is_made))
    }
}

/// What the request says.
pub(crate) fn read(request: &AttachmentRequest<'_>) -> Result<(CniResult, Subject, Config)> {
    let config = log::configuration_step(|| Config::parse(&request.request.config))?;
    let result = request.required_prev_result(crate::NO_PREV_RESULT)?;
    let subject = Subject::with(&request.attachment, &result);
    subject.require_bridge(config.policy)?;
    Ok((result, subject, config))
}

/// Makes all of it.
pub(crate) fn make(subject: &mut Subject, config: &Config) -> Result<()> {
    log::debug(|| format!("let through: {:?}", subject.addresses));
    let mut nft = Nft::open()?;
    // What an earlier ADD made may be for an address, or of a policy, that it has no more.
    if nftables::is_registered(&mut nft, subject)? {
        let failures = del::remove(&Subject::of(&subject.attachment), None);
        Error::join(failures)?;
    }
    let firewalld = zone::find(&mut nft, config, Code::TryAgainLater)?;
    let senders = Senders { have_zone: firewalld.is_some(), ..Senders::of(subject)? };
    foreign::require_none(&mut nft, &senders, Code::Conflict)?;
    subject.zone = firewalld.as_ref().map(|_runs| config.zone.clone());
    by_rules(&mut nft, subject, config)?;
    match firewalld {
        Some(mut firewalld) => log::step(
            || format!("firewalld: put {:?} into zone {}", subject.addresses, config.zone),
            || zone::bind(&mut firewalld, &mut nft, subject),
        ),
        None => Ok(()),
    }
}

fn by_rules(nft: &mut Nft, subject: &Subject, config: &Config) -> Result<()> {
    match config.backend {
        Backend::Nftables => by_nftables(nft, subject, config),
        Backend::Iptables => by_iptables(nft, subject, config),
        Backend::Automatic | Backend::Firewalld if has_old_table(subject) => {
            by_iptables(nft, subject, config)
        }
        Backend::Automatic | Backend::Firewalld => match by_nftables(nft, subject, config) {
            Err(error) if is_unsupported(&error) => by_iptables(nft, subject, config)
                .map_err(|second| second.with_details(format!("without it: {error}"))),
            made => made,
        },
    }
}

/// Whether iptables keeps what drops in the old kind of tables.
pub fn has_old_table(subject: &Subject) -> bool {
    subject.protocols().iter().any(|protocol| has_legacy_table(*protocol, TABLE))
}

fn by_nftables(nft: &mut Nft, subject: &Subject, config: &Config) -> Result<()> {
    let protocols = subject.protocols();
    foreign::require_no_old_table(&protocols)?;
    nftables::ensure(nft, subject, config)?;
    accept::ensure(nft, &protocols, config)
}

fn by_iptables(nft: &mut Nft, subject: &Subject, config: &Config) -> Result<()> {
    match nftables::record(nft, subject) {
        // Then DEL finds the rules by prevResult, as the reference does.
        Err(error) if is_unsupported(&error) => log::debug(|| format!("no record: {error}")),
        recorded => recorded?,
    }
    iptables::ensure(subject, config)
}

//! GC: the addresses of attachments that are gone become free again.

use std::net::IpAddr;

use cni_common::spec::ValidAttachments;
use cni_common::{Error, Result, log};

use crate::store::{Holder, Lease, Location, Pool};

/// Frees what is held by none of `valid`, in whatever boot it was allocated. Without a list: what is
/// proved to be nobody's any more.
pub(crate) fn gc(location: &Location, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
    let Some(mut pool) = Pool::open(location)? else { return Ok(()) };
    let leases = pool.leases()?;
    let is_stale = |lease: &&Lease| match valid {
        Some(valid) => !lives(&lease.holder, valid),
        None => pool.proof_of(lease).is_some(),
    };
    let stale: Vec<&Lease> = leases.iter().filter(is_stale).collect();
    for Lease { ip, holder } in &stale {
        log::debug(|| format!("collecting {ip} of container {}", holder.name()));
    }
    let stale: Vec<IpAddr> = stale.iter().map(|lease| lease.ip).collect();
    let mut failures = pool.reclaim(&stale)?;
    // Nothing proves of these that they are nobody's.
    failures.extend(pool.unread());
    pool.save();
    Error::join(failures)
}

/// Whether the holder of a file is to keep it. An operator's note stays: it names no attachment
/// that could be missing from the list.
fn lives(holder: &Holder, valid: &ValidAttachments<'_>) -> bool {
    match holder {
        Holder::Attachment(id, ifname) => valid.contains(id.as_str(), ifname.as_str()),
        Holder::Container(id) | Holder::HalfWritten(id) => valid.contains_container(id.as_str()),
        Holder::Nobody => false,
        Holder::Unknown => true,
    }
}

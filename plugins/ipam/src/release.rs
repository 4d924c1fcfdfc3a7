//! DEL and GC: addresses become free again.

use std::net::IpAddr;

use cni_common::spec::ValidAttachments;
use cni_common::types::Attachment;
use cni_common::{Error, Result, log};

use crate::config::Place;
use crate::store::{Holder, Lease, Pool};

/// Frees what the attachment holds. Nothing held, or no pool at all, is done already.
pub fn release(place: &Place, attachment: &Attachment) -> Result<()> {
    let Some(mut pool) = Pool::open(place)? else { return Ok(()) };
    let (container, ifname) = (&attachment.container, &attachment.ifname);
    let held = pool.held_by(container, ifname)?;
    let failures = held.into_iter().filter_map(|ip| pool.release(ip, container, ifname).err());
    let failures = failures.collect();
    pool.settle();
    Error::join(failures).map_or(Ok(()), Err)
}

/// Frees what is held by none of `valid`, in whatever boot it was given.
pub fn collect(place: &Place, valid: &ValidAttachments<'_>) -> Result<()> {
    let Some(mut pool) = Pool::open(place)? else { return Ok(()) };
    let leases = pool.leases()?;
    let stale: Vec<&Lease> = leases.iter().filter(|lease| !lives(&lease.holder, valid)).collect();
    for Lease { ip, holder } in &stale {
        log::debug(|| format!("collecting {ip} of container {}", holder.name()));
    }
    let stale: Vec<IpAddr> = stale.iter().map(|lease| lease.ip).collect();
    let failures = pool.reclaim(&stale)?;
    pool.settle();
    Error::join(failures).map_or(Ok(()), Err)
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

//! DEL and GC: addresses become free again.

use std::net::IpAddr;

use cni_common::spec::ValidAttachments;
use cni_common::types::Attachment;
use cni_common::{Error, Result, log};

use crate::config::Place;
use crate::store::{Holder, Pool};

/// Frees what the attachment holds. Nothing held, or no pool at all, is done already.
pub(crate) fn release(place: &Place, attachment: &Attachment) -> Result<()> {
    let Some(mut pool) = Pool::open(place)? else { return Ok(()) };
    let (container, ifname) = (&attachment.container, &attachment.ifname);
    let held = pool.held_by(container, ifname)?;
    let failures = held.into_iter().filter_map(|ip| pool.release(ip, container, ifname).err());
    let failures = failures.collect();
    pool.settle();
    Error::join(failures).map_or(Ok(()), Err)
}

/// Frees what is held by none of `valid`, in whatever boot it was given.
pub(crate) fn collect(place: &Place, valid: &ValidAttachments<'_>) -> Result<()> {
    let Some(mut pool) = Pool::open(place)? else { return Ok(()) };
    let leases = pool.survey()?;
    let stale = leases.iter().filter(|(_, holder)| !lives(holder, valid));
    let failures = stale.filter_map(|lease| collect_one(&mut pool, lease).err()).collect();
    let counted = pool.survey();
    pool.settle();
    Error::join(failures).map_or_else(|| counted.map(drop), Err)
}

fn collect_one(pool: &mut Pool, (ip, holder): &(IpAddr, Holder)) -> Result<()> {
    log::debug(|| format!("collecting {ip} of container {}", holder.name()));
    pool.reclaim(*ip)
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

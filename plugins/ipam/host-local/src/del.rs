//! DEL: the addresses of an attachment become free again.

use cni_common::types::Attachment;
use cni_common::{Error, Result};

use crate::store::{Location, Pool};

/// Frees what the attachment holds. Nothing held, or no pool at all, is done already.
pub fn del(location: &Location, attachment: &Attachment) -> Result<()> {
    let Some(mut pool) = Pool::open(location)? else { return Ok(()) };
    let (container, ifname) = (&attachment.container, &attachment.ifname);
    let held = pool.held_by(container, ifname)?;
    let failures = held.into_iter().filter_map(|ip| pool.release(ip, container, ifname).err());
    let failures = failures.collect();
    pool.save();
    Error::join(failures).map_or(Ok(()), Err)
}

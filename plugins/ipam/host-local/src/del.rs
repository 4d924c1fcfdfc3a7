//! DEL and rollback: addresses of an attachment become free again.

use std::net::IpAddr;

use cni_common::types::Attachment;
use cni_common::{Error, Result};

use crate::store::{Location, Pool};

/// Frees what the attachment holds. Nothing held, or no pool at all, is done already.
pub(crate) fn del(location: &Location, attachment: &Attachment) -> Result<()> {
    release(location, attachment, |_ip| true)
}

/// Frees what an ADD has allocated whose result could not be printed: `addresses`, and no others
/// that the attachment may hold.
pub(crate) fn rollback(
    location: &Location,
    attachment: &Attachment,
    addresses: &[IpAddr],
) -> Result<()> {
    release(location, attachment, |ip| addresses.contains(&ip))
}

fn release(
    location: &Location,
    attachment: &Attachment,
    is_wanted: impl Fn(IpAddr) -> bool,
) -> Result<()> {
    let Some(mut pool) = Pool::open(location)? else { return Ok(()) };
    let (container, ifname) = (&attachment.container, &attachment.ifname);
    let held = pool.held_by(container, ifname)?;
    // A file that nothing tells the owner of is told of only where nothing else was found: or no container of
    // the network could be detached while one file can't be read.
    let unread = match held.is_empty() {
        true => pool.unread_perhaps_of(attachment),
        false => pool.unread_of(attachment),
    };
    let wanted = held.into_iter().filter(|ip| is_wanted(*ip));
    let failures = wanted.filter_map(|ip| pool.release(ip, container, ifname).err());
    let failures: Vec<Error> = failures.chain(unread).collect();
    pool.save();
    Error::join(failures)
}

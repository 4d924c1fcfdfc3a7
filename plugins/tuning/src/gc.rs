//! GC: what is kept for attachments of this network that live no more is removed.

use std::collections::HashSet;

use cni_common::skel::Request;
use cni_common::spec::ValidAttachments;
use cni_common::{Error, Result, log};

use crate::{config, store};

/// Removes it. What the reference kept says of no network and is left to DEL. Without a list nothing
/// goes: no file proves that its attachment is dead.
pub fn gc(request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
    let Some(valid) = valid else { return Ok(()) };
    let living: HashSet<String> =
        valid.iter().map(|(container, ifname)| store::file_name(container, ifname)).collect();
    let mut failures = Vec::new();
    let data_dir = config::data_dir(&request.config);
    for (name, kept, _netns) in store::list(&data_dir, &request.config.name)? {
        if !living.contains(&name) {
            log::debug(|| format!("remove stale {name}"));
            failures.extend(kept.remove().err());
        }
    }
    Error::join(failures).map_or(Ok(()), Err)
}

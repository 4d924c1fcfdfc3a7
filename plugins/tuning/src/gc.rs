//! GC: what is kept for attachments of this network that live no more is removed.

use std::collections::HashSet;

use cni_common::skel::Request;
use cni_common::spec::ValidAttachments;
use cni_common::sys::netns;
use cni_common::{Error, Result, log};

use crate::{config, store};

/// Removes it; without a list, what is of containers whose namespace is gone. What the reference kept
/// says of no network and is left to DEL.
pub(crate) fn gc(request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
    let living: Option<HashSet<String>> = valid.map(|valid| {
        valid.iter().map(|(container, ifname)| store::file_name(container, ifname)).collect()
    });
    let mut failures = Vec::new();
    let data_dir = config::data_dir(&request.config);
    for (name, kept, path) in store::list(&data_dir, &request.config.name)? {
        let is_stale = match &living {
            Some(living) => !living.contains(&name),
            None => netns::is_gone(&path),
        };
        if is_stale {
            log::debug(|| format!("remove stale {name}"));
            failures.extend(kept.remove().err());
        }
    }
    Error::join(failures)
}

//! GC: the ports of attachments of this network that live no more are free again.

use cni_common::packet_filter::owner::Living;
use cni_common::packet_filter::reference::host_port;
use cni_common::skel::Request;
use cni_common::spec::ValidAttachments;
use cni_common::sys::nft::Nft;
use cni_common::types::Attachment;
use cni_common::{Error, Result};

use crate::{flows, native};

/// Removes them; without a list, those of containers whose namespace is gone.
pub fn gc(request: &Request<'_>, valid: Option<&ValidAttachments<'_>>) -> Result<()> {
    let network = &request.config.name;
    let mut nft = Nft::open()?;
    let swept = match valid {
        Some(valid) => native::sweep(&mut nft, network, &Living::of(network, valid)),
        None => {
            let dead = native::dead(&mut nft, network)?;
            let is_dead = |attachment: &Attachment| dead.contains(attachment);
            native::sweep(&mut nft, network, &Living::unless(network, &is_dead))
        }
    };
    if let Ok(removed) = &swept {
        flows::forget_removed(removed);
    }
    // Nothing proves of the reference's rules whose container is dead.
    let reference = valid.map(|valid| host_port::sweep(&mut nft, network, valid));
    let errors = [swept.err(), reference.and_then(Result::err)];
    Error::join(errors.into_iter().flatten())
}

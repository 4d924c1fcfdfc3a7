//! DEL: the interface gets back what was kept of it. Whatever is missing or can't be restored is no
//! error: one would stop the DEL of all plugins behind this one.

use cni_common::skel::AttachmentRequest;
use cni_common::types::LinkAttributes;
use cni_common::undo::retry_once;
use cni_common::{Code, Error, Result, log};

use crate::apply;
use crate::config;
use crate::store::Kept;

/// Restores the interface and removes what was kept. Fails (code 8) only for the plugin's own
/// namespace.
pub(crate) fn del(request: &AttachmentRequest<'_>) -> Result<()> {
    let kept = Kept::of(&config::data_dir(&request.request.config), &request.attachment);
    let values = match retry_once(|| kept.read()) {
        // The other suite may have removed its part.
        Ok(found) => found.unwrap_or_default(),
        Err(error) => {
            report(&error);
            LinkAttributes::default()
        }
    };
    match retry_once(|| restore(request, &values)) {
        Err(error) if error.is(Code::InvalidNetns) => return Err(error),
        restored => restored.err().iter().for_each(report),
    }
    retry_once(|| kept.remove()).err().iter().for_each(report);
    Ok(())
}

fn restore(request: &AttachmentRequest<'_>, values: &LinkAttributes) -> Result<()> {
    if values.is_empty() {
        return Ok(());
    }
    let Some(netns) = request.open_netns_if_present()? else { return Ok(()) };
    let Some(mut netlink) = netns.netlink_if_netns()? else { return Ok(()) };
    let Some(link) = netlink.find_link(request.attachment.ifname.as_str())? else { return Ok(()) };
    let change = values.differing_from(&link.attributes());
    let failures = match change.is_empty() {
        true => Vec::new(),
        false => apply::restore(&mut netlink, link.index, &change),
    };
    Error::join(failures)
}

fn report(error: &Error) {
    log::debug(|| format!("not restored: {error}"));
}

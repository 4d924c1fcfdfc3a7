//! CHECK: what is there is compared with what should be, and nothing is changed.

use cni_common::spec::CniResult;
use cni_common::types::Attachment;
use cni_common::{Code, Error, Result};

use crate::config::Config;
use crate::store::{Holder, Pool};

/// Fails unless the attachment holds an address, and every one that `previous` reports of its
/// sets.
pub(crate) fn check(
    config: &Config,
    attachment: &Attachment,
    previous: Option<&CniResult>,
) -> Result<()> {
    let (container, ifname) = (&attachment.container, &attachment.ifname);
    let missing = || {
        let message = format!("host-local: Failed to find address added by container {container}");
        Error::new(Code::CheckFailed, message)
    };
    let Some(mut pool) = Pool::open(&config.location)? else {
        let path = config.location.folder();
        return Err(missing().with_details(format!("there is no {}", path.display())));
    };
    let held = pool.held_by(container, ifname)?;
    pool.save();
    Error::join(pool.unread_of(attachment))?;
    let reported = previous.iter().flat_map(|result| &result.ips).map(|ip| ip.address.ip());
    let ours = |ip: &std::net::IpAddr| config.sets.iter().any(|set| set.range_of(*ip).is_some());
    let Some(ip) = reported.filter(ours).find(|ip| !held.contains(ip)) else {
        return if held.is_empty() { Err(missing()) } else { Ok(()) };
    };
    let holder = pool.holder(ip)?;
    let instead = holder.as_ref().map_or("nobody", Holder::name);
    Err(missing().with_details(format!("{ip} is held by {instead}")))
}

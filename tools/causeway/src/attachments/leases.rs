//! The address files of all pools.

use causeway_host_local::store::{Holder, Lease, View};
use cni_common::{Context, Result};

use super::Attachments;
use super::value::{Key, LeaseFound};
use crate::networks::Networks;
use crate::progress;

/// Reads them. A pool that is not there has none.
pub(super) fn read(found: &mut Attachments, networks: &Networks) -> Result<()> {
    for (network, pool) in
        networks.all.values().filter_map(|one| Some((&one.name, one.pool.as_ref()?)))
    {
        let doing = || format!("network {network}");
        let Some(view) = View::open(pool).with_context(doing)? else { continue };
        let words = format!("read of {network}");
        for lease in progress::each((&words, "address files"), view.leases().with_context(doing)?) {
            let lease = look_at(&view, lease);
            let attached = found.all.entry(key(network.as_str(), &lease.lease)).or_default();
            attached.is_ours |= lease.known.is_ours;
            attached.leases.push(lease);
        }
    }
    Ok(())
}

/// What there is to be known of a lease.
pub(super) fn look_at(view: &View, lease: Lease) -> LeaseFound {
    LeaseFound { known: view.described(&lease), lease }
}

/// Whose a lease is.
fn key(network: &str, lease: &Lease) -> Key {
    let network = network.to_owned();
    let (container, ifname, other) = match &lease.holder {
        Holder::Attachment(container, ifname) => {
            (container.to_string(), ifname.to_string(), String::new())
        }
        // The old form: for whatever interface.
        Holder::Container(container) => (container.to_string(), String::new(), String::new()),
        Holder::HalfWritten(container) => {
            (container.to_string(), String::new(), lease.ip.to_string())
        }
        Holder::Nobody | Holder::Unknown => (String::new(), String::new(), lease.ip.to_string()),
    };
    Key { network, container, ifname, other }
}

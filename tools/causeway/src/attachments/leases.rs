//! The address files of all pools.

use causeway_host_local::store::{Holder, Lease, View};
use cni_common::{Error, Result};

use super::Attachments;
use super::value::{Key, LeaseFound};
use crate::networks::{Network, Networks};
use crate::progress;

/// Reads them. A pool that is not there has none; what can't be read keeps nothing else from being read.
pub(super) fn read(found: &mut Attachments, networks: &Networks) {
    for network in networks.all.values() {
        let (leases, faults) = of(network).unwrap_or_else(|error| (Vec::new(), vec![error]));
        let name = network.name.to_string();
        let said = |error: Error| (name.clone(), error.context(format!("network {name}")));
        found.unread.extend(faults.into_iter().map(said));
        for lease in leases {
            let attached = found.all.entry(key(network.name.as_str(), &lease.lease)).or_default();
            attached.is_ours |= lease.known.is_ours;
            attached.leases.push(lease);
        }
    }
}

fn of(network: &Network) -> Result<(Vec<LeaseFound>, Vec<Error>)> {
    let view = network.pool.as_ref().map(View::open).transpose()?.flatten();
    let Some(view) = view else { return Ok((Vec::new(), Vec::new())) };
    let (leases, faults) = view.leases()?;
    let words = format!("read of {}", network.name);
    let leases = progress::each((&words, "address files"), leases);
    Ok((leases.map(|lease| look_at(&view, lease)).collect(), faults))
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
        Holder::Nobody | Holder::Unknown => return Key::of_nobody(network, lease.ip),
    };
    Key { network, container, ifname, other }
}

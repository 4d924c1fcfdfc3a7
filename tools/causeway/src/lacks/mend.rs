//! Putting back what is missing, under the locks that an ADD or DEL of each attachment would take.
//!
//! Attachments of a network are mended many at once, as rules of many are one transaction for the kernel. Where it
//! refuses that, each is mended by itself, so that one that can't be is in nobody's way. Links join their
//! bridge, and limits are set, one after the other: for these the kernel has no transaction.

use std::net::IpAddr;

use causeway_bridge::shared;
use causeway_host_local::store::Pool;
use cni_common::sys::Netlink;
use cni_common::sys::attacher::{self, Attacher};
use cni_common::sys::byte_lock::ByteLock;
use cni_common::types::Attachment;
use cni_common::{Code, Error, Result, log, names};

use super::{Lack, What, rules};
use crate::attachments::{Attached, Attachments, Rules};
use crate::networks::{Network, Networks};
use crate::progress;

/// How many attachments' locks are held at once: their ADDs and DELs wait meanwhile, and each is an open file.
const MAX_AT_ONCE: usize = 100;

/// What could not be put back, and why.
type Failed<'a> = Vec<(&'a Lack, Error)>;

/// Puts back all of it that can be.
pub(crate) fn mend_all<'a>(
    found: &'a [Lack],
    networks: &'a Networks,
    attachments: &'a Attachments,
) -> Failed<'a> {
    let mut failed = Vec::new();
    let (shared, own): (Vec<&Lack>, Vec<&Lack>) = found.iter().partition(|one| one.key.is_none());
    // First: an attachment may need what all share.
    for lack in progress::each(("mended", "faults of all"), shared) {
        failed.extend(mend_shared(lack).err().map(|error| (lack, error)));
    }
    let mut done = 0;
    for of_network in own.chunk_by(|one, other| one.network == other.network) {
        let network = of_network.first().and_then(|one| networks.all.get(&one.network));
        let Some(network) = network else { continue };
        let each: Vec<&[&Lack]> = of_network.chunk_by(|one, other| one.key == other.key).collect();
        for some in each.chunks(MAX_AT_ONCE) {
            progress::say(&format!("mended {done} of {} faults", own.len()));
            mend_some(network, (some, attachments), &mut failed);
            done += some.iter().map(|lacks| lacks.len()).sum::<usize>();
        }
    }
    failed
}

fn mend_shared(lack: &Lack) -> Result<()> {
    match &lack.what {
        What::Shared(operation) => shared::mend(&mut Netlink::open()?, operation),
        _ => Ok(()),
    }
}

/// An attachment whose lock is held.
struct Held<'a> {
    attachment: Attachment,
    attached: &'a Attached,
    lacks: Vec<&'a Lack>,
    /// `None` where there can't be a lock.
    _lock: Option<ByteLock>,
}

/// Mends attachments of a network, each with all that it lacks.
fn mend_some<'a>(
    network: &Network,
    (some, attachments): (&[&[&'a Lack]], &'a Attachments),
    failed: &mut Failed<'a>,
) {
    let (mut held, mut busy) = (Vec::new(), Vec::new());
    for lacks in some {
        let Some(key) = lacks.first().and_then(|one| one.key.as_ref()) else { continue };
        let Some(attached) = attachments.all.get(key) else { continue };
        let Some(attachment) = key.attachment() else {
            let message = format!("{key}: nothing says of which attachment it is");
            fail(failed, lacks, &Error::new(Code::Internal, message));
            continue;
        };
        // Nobody waits for a lock who holds another one.
        match attacher::try_lock_at(names::lock_offset(&attachment)) {
            Some(lock) => {
                held.push(Held { attachment, attached, lacks: lacks.to_vec(), _lock: Some(lock) });
            }
            None => busy.push((attachment, attached, lacks.to_vec())),
        }
    }
    mend(network, held, failed);
    for (attachment, attached, lacks) in busy {
        match attacher::lock(names::lock_offset(&attachment), &attachment) {
            Ok(_lock) => mend(network, vec![Held { attachment, attached, lacks, _lock }], failed),
            Err(error) => fail(failed, &lacks, &error),
        }
    }
}

fn fail<'a>(failed: &mut Failed<'a>, lacks: &[&'a Lack], error: &Error) {
    failed.extend(lacks.iter().map(|lack| (*lack, error.clone())));
}

/// Mends those whose locks are held.
fn mend<'a>(network: &Network, mut held: Vec<Held<'a>>, failed: &mut Failed<'a>) {
    // An ADD or DEL may have been at it meanwhile.
    held.retain(|one| {
        let now = one.attached.host_name().and_then(attacher::link_index);
        now == one.attached.host.as_ref().map(|link| link.index)
    });
    // Before a port forwards.
    put_back(network, &held, Rules::MacCheck, failed);
    for (one, lack) in lacks_of(&held) {
        let What::Port(port) = &lack.what else { continue };
        failed.extend(rejoin(network, one, port).err().map(|error| (lack, error)));
    }
    for rules in [Rules::Masquerading, Rules::Ports, Rules::Firewall, Rules::Limits] {
        put_back(network, &held, rules, failed);
    }
    hold_addresses(network, &held, failed);
}

fn lacks_of<'a, 'b>(held: &'b [Held<'a>]) -> impl Iterator<Item = (&'b Held<'a>, &'a Lack)> {
    held.iter().flat_map(|one| one.lacks.iter().map(move |lack| (one, *lack)))
}

fn rejoin(network: &Network, one: &Held<'_>, port: &str) -> Result<()> {
    match &network.bridge {
        Some(config) => shared::rejoin(&mut Netlink::open()?, config, (&one.attachment, port)),
        None => Ok(()),
    }
}

/// Puts back rules of one kind.
fn put_back<'a>(network: &Network, held: &[Held<'a>], rules: Rules, failed: &mut Failed<'a>) {
    let is_it = |lack: &Lack| matches!(lack.what, What::Rules(one) if one == rules);
    let lacking: Vec<_> = lacks_of(held).filter(|(_, lack)| is_it(lack)).collect();
    let all: Vec<(&Attachment, &Attached)> =
        lacking.iter().map(|(one, _)| (&one.attachment, one.attached)).collect();
    if all.len() > 1 {
        match rules::ensure_together(network, &all, rules) {
            Ok(()) => return,
            Err(error) => log::debug(|| format!("{}, one by one: {error}", rules.word())),
        }
    }
    for (whose, (_, lack)) in all.iter().zip(&lacking) {
        // What they share was put back with the first of them.
        let is_there = || matches!(rules::check(network, *whose, rules), Ok(Ok(())));
        if all.len() > 1 && is_there() {
            continue;
        }
        let done = rules::ensure(network, *whose, rules);
        failed.extend(done.err().map(|error| (*lack, error)));
    }
}

/// Holds the addresses for the containers that have them.
fn hold_addresses<'a>(network: &Network, held: &[Held<'a>], failed: &mut Failed<'a>) {
    let lacking: Vec<_> = lacks_of(held)
        .filter_map(|(one, lack)| match &lack.what {
            What::Lease(addresses) => Some((one, lack, addresses)),
            _ => None,
        })
        .collect();
    let (Some(location), false) = (&network.pool, lacking.is_empty()) else { return };
    let mut pool = match Pool::create(location) {
        Ok(pool) => pool,
        Err(error) => {
            failed.extend(lacking.iter().map(|(_, lack, _)| (*lack, error.clone())));
            return;
        }
    };
    for (one, lack, addresses) in lacking {
        let held = hold(&mut pool, &one.attachment, addresses);
        failed.extend(held.err().map(|error| (lack, error)));
    }
    pool.save();
}

fn hold(pool: &mut Pool, attachment: &Attachment, addresses: &[IpAddr]) -> Result<()> {
    let attacher = Attacher::here(&names::host_interface(attachment));
    pool.set_attacher(attacher.as_ref());
    let mut taken = Vec::new();
    for ip in addresses {
        if !pool.reserve(*ip, &attachment.container, &attachment.ifname)? {
            taken.push(Error::new(Code::Conflict, format!("{ip} is held by somebody else")));
        }
    }
    Error::join(taken)
}

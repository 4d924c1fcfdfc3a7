//! What the host sends from 127.0.0.1 may leave for the container, and nobody else gets in that way
//! (`docs/decisions/0040`).
//!
//! A link's `route_localnet` does both. So each link stands in a set of the packet filter before it is
//! set, and the chain that keeps others away stays while one stands there. With the last port the
//! setting goes first. One lock keeps an ADD from finding it set when it is about to go.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cni_common::nft::{Element, IpVersion, Operation, Value};
use cni_common::packet_filter::reference::host_port;
use cni_common::packet_filter::table::{self, INET as TABLE};
use cni_common::packet_filter::{ElementKey, element};
use cni_common::sys::attacher::{self, ROUTE_LOCALNET};
use cni_common::sys::byte_lock::ByteLock;
use cni_common::sys::nft::Nft;
use cni_common::sys::{Netlink, sysctl};
use cni_common::undo::retry_once;
use cni_common::{Context, Error, Result, log};

use crate::config::{Config, Snat};
use crate::plan;
use crate::target::Targets;

/// The comment of a link whose setting an ADD has changed.
const SET_HERE: &str = "route_localnet is set back with the last mapped port";
/// The comment of one that had it before.
const FOUND_SET: &str = "route_localnet was set already";

/// What keeps others away from the host's 127.0.0.0/8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A chain that goes when nothing needs it.
    Nftables,
    /// A rule that stays for ever.
    Iptables,
}

/// Sets `route_localnet` of the link that leads to the container. To be called when the guard is there.
pub fn let_out(what: (&Config, &Targets), guard: Guard) -> Result<()> {
    let_all_out([what], guard)
}

/// The same for many containers, each link once.
pub fn let_all_out<'a>(
    all: impl IntoIterator<Item = (&'a Config, &'a Targets)>,
    guard: Guard,
) -> Result<()> {
    let targets: Vec<IpAddr> = all.into_iter().filter_map(needed_target).collect();
    let opened = outgoing_links(&targets)
        .and_then(|links| links.iter().try_for_each(|link| open(link, guard)));
    opened.context("unable to enable route_localnet")
}

/// The container's address, if what the host sends from 127.0.0.1 is to reach it.
fn needed_target((config, targets): (&Config, &Targets)) -> Option<IpAddr> {
    let is_needed = config.snat != Snat::Nobody && plan::is_mapped(config, IpVersion::V4);
    let (_, target) = targets.iter().find(|(version, _)| *version == IpVersion::V4)?;
    is_needed.then(|| target.ip())
}

/// The names of the links that lead to these addresses.
fn outgoing_links(targets: &[IpAddr]) -> Result<Vec<String>> {
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let mut host = Netlink::open()?;
    let mut links = BTreeSet::new();
    for ip in targets {
        let index = host.find_outgoing_link(*ip)?;
        if index.is_none() {
            // A bridge without an address, as of an internal network, has no way to the container.
            log::debug(|| format!("no route_localnet: the host has no route to {ip}"));
        }
        links.extend(index);
    }
    let mut names = Vec::new();
    for index in links {
        names.extend(host.find_link_by_index(index)?.map(|link| link.name));
    }
    Ok(names)
}

fn open(link: &str, guard: Guard) -> Result<()> {
    let _lock = lock()?;
    let is_set = is_set(link).is_ok_and(|is_set| is_set == Some(true));
    let mut nft = Nft::open()?;
    match guard {
        Guard::Nftables => note(&mut nft, link, if is_set { FOUND_SET } else { SET_HERE })?,
        Guard::Iptables => forget(&mut nft, link)?,
    }
    // Writing it makes the kernel forget its cached routes, even when it is so already.
    if is_set { Ok(()) } else { sysctl::write(&name(link), "1") }
}

/// Puts the link into the set. What was said of it while it was set stays true.
fn note(nft: &mut Nft, link: &str, comment: &str) -> Result<()> {
    let place = plan::routed_link_key(link);
    nft.change(|nft| {
        let found = place.find(nft)?;
        if found.as_ref().is_some_and(|found| comment == FOUND_SET || found.comment == comment) {
            return Ok(Vec::new());
        }
        let delete =
            |_found| Operation::DeleteElement(TABLE, place.set.name.clone(), place.key.clone());
        let mut operations = vec![table::add_inet(), Operation::AddSet(TABLE, place.set.clone())];
        operations.extend(found.map(delete));
        let element = Element::new(place.key.clone(), comment);
        operations.push(Operation::CreateElement(TABLE, place.set.name.clone(), element));
        Ok(operations)
    })
}

/// Takes the link out of the set: it keeps the setting, and the other guard stays, too.
fn forget(nft: &mut Nft, link: &str) -> Result<()> {
    element::remove(nft, &[plan::routed_link_key(link)], &plan::shared_units(), |_it| true)
}

/// The links that a removal closes if it is that of the host's last ports. To be kept until it is through.
#[derive(Debug)]
pub struct Closing {
    keys: Vec<ElementKey>,
    lock: Option<ByteLock>,
}

impl Closing {
    /// All links that are in the set.
    pub fn of(nft: &mut Nft) -> Result<Self> {
        let set = plan::routed_links();
        let keys = element::search(nft, (TABLE, &set), usize::MAX, |_all| true)?;
        Ok(Self { keys, lock: None })
    }

    /// Their keys in the set.
    pub fn keys(&self) -> &[ElementKey] {
        &self.keys
    }

    /// Whether the element is of one of them.
    pub fn has(&self, element: &Element) -> bool {
        self.keys.iter().any(|one| one.key == element.key)
    }

    /// Sets back what an ADD has set of the link, if all attachments with ports are `leaving`; whether it
    /// is closed now. The setting of a link that had it before, or that can't be set back, stays.
    ///
    /// To be called within [`Nft::change`]: of removals at the same time one is the last.
    pub fn closes(
        &mut self,
        nft: &mut Nft,
        link: &Element,
        leaving: impl Fn(&Element) -> bool,
    ) -> Result<bool> {
        let ([Value::Name(name)], false) = (link.key.as_slice(), is_needed(nft, &leaving)?) else {
            return Ok(false);
        };
        let stays = |error: Error| {
            log::debug(|| format!("route_localnet of {name} stays: {error}"));
            false
        };
        if self.lock.is_none() {
            self.lock = match lock() {
                Ok(Some(lock)) => Some(lock),
                Ok(None) => return Ok(false),
                Err(error) => return Ok(stays(error)),
            };
            // An ADD may have had the lock before.
            if is_needed(nft, &leaving)? {
                return Ok(false);
            }
        }
        Ok(retry_once(|| is_closed(name, &link.comment)).unwrap_or_else(stays))
    }
}

/// Whether ports lead to containers that are not leaving, or to those of the reference plugin, which
/// notes nothing.
fn is_needed(nft: &mut Nft, leaving: impl Fn(&Element) -> bool) -> Result<bool> {
    let registry = plan::attachments();
    Ok(element::holds_others(nft, (TABLE, registry.set()), leaving)?
        || host_port::has_any_ipv4(nft)?)
}

/// Sets the link's setting back if an ADD has set it; whether it lets nobody in now. That is so of a
/// link that is gone, too.
fn is_closed(link: &str, comment: &str) -> Result<bool> {
    if is_set(link)? != Some(true) {
        return Ok(true);
    }
    if comment != SET_HERE {
        return Ok(false);
    }
    match sysctl::write(&name(link), "0") {
        Err(error) if error.is_not_found() => Ok(true),
        written => written.map(|()| true),
    }
}

fn is_set(link: &str) -> Result<Option<bool>> {
    Ok(sysctl::read(&name(link))?.map(|value| value == "1"))
}

fn name(link: &str) -> String {
    format!("ipv4/conf/{link}/route_localnet")
}

/// `None` where there can't be a lock. Asked for twice: what was in the way may have passed.
fn lock() -> Result<Option<ByteLock>> {
    let lock = match attacher::lock_at(ROUTE_LOCALNET) {
        Ok(None) => attacher::lock_at(ROUTE_LOCALNET),
        other => other,
    };
    lock.context("another change of route_localnet")
}

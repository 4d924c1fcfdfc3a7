//! `causeway gc`: releases what is provably dead, and says of each why it is.
//!
//! Proof, never age. What is released is decided by the plugins' own code under the plugins' own locks;
//! what is said is the difference between two readings.

use std::collections::BTreeSet;

use causeway_bridge::rules::Expected;
use causeway_host_local::store::{Location, Pool};
use cni_common::sys::{Netlink, attacher};
use cni_common::types::{Attachment, NetworkName};
use cni_common::{Code, Context, Error, Result, names};
use cni_runtime::{NetworkList, Runtime};
use serde::Serialize;

use crate::attachments::{Attached, Attachments, Key, State, Why};
use crate::exit::Exit;
use crate::net;
use crate::networks::{Networks, Places};
use crate::output::{Colour, Output};
use crate::{plugins, progress};

/// Whether anything is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing is.
    Nothing,
    /// What is wrong is mended.
    Mend,
}

impl Effect {
    /// By `--dry-run`.
    pub(crate) fn of(is_dry: bool) -> Self {
        if is_dry { Self::Nothing } else { Self::Mend }
    }
}

/// What was done, as JSON has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    /// Whether nothing was to be done.
    dry_run: bool,
    /// What was released.
    released: Vec<Dead>,
    /// What is dead and still there.
    left: Vec<Dead>,
    /// Why it is still there.
    errors: Vec<String>,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dead {
    network: String,
    container: String,
    interface: String,
    addresses: Vec<String>,
    host_interface: Option<String>,
    rules: Vec<&'static str>,
    reason: String,
}

/// Releases it.
pub(crate) fn gc(
    places: &Places,
    network: Option<&str>,
    (effect, output): (Effect, Output),
) -> Result<Exit> {
    let before = Reading::new(places, network)?;
    let unread = before.attachments.complain(network);
    let mut outcome = Outcome {
        dry_run: effect == Effect::Nothing,
        released: Vec::new(),
        left: before.dead(),
        errors: Vec::new(),
    };
    if effect == Effect::Mend && !outcome.left.is_empty() {
        let failures = release(places, &before);
        outcome.errors = failures.iter().map(ToString::to_string).collect();
        let after: BTreeSet<Key> =
            Reading::new(places, network)?.attachments.all.into_keys().collect();
        let (left, released): (Vec<_>, Vec<_>) =
            before.keys().into_iter().zip(before.dead()).partition(|(key, _)| after.contains(key));
        outcome.left = left.into_iter().map(|(_, dead)| dead).collect();
        outcome.released = released.into_iter().map(|(_, dead)| dead).collect();
    }
    output.show(&outcome, || text(&outcome, output))?;
    Ok(Exit::REPAIRED.when(!outcome.released.is_empty())
        | Exit::LEFT.when(!outcome.left.is_empty())
        | unread)
}

/// What there is at one time.
struct Reading {
    networks: Networks,
    attachments: Attachments,
}

impl Reading {
    fn new(places: &Places, network: Option<&str>) -> Result<Self> {
        let mut networks = Networks::read(places)?;
        let mut attachments = Attachments::read(places, &mut networks)?;
        let networks = networks.only(network)?;
        attachments.all.retain(|key, attached| {
            let is_nobodys = network.is_none() && key.network.is_empty();
            (is_nobodys || networks.all.contains_key(&key.network))
                && matches!(attached.state, State::Gone | State::Unfinished)
        });
        Ok(Self { networks, attachments })
    }

    fn keys(&self) -> Vec<Key> {
        self.attachments.all.keys().cloned().collect()
    }

    fn dead(&self) -> Vec<Dead> {
        self.attachments.all.iter().map(|(key, attached)| dead(key, attached)).collect()
    }
}

fn dead(key: &Key, attached: &Attached) -> Dead {
    Dead {
        network: key.network.clone(),
        container: key.container.clone(),
        interface: key.ifname.clone(),
        addresses: attached.leases.iter().map(|found| found.lease.ip.to_string()).collect(),
        host_interface: attached.host_name().map(str::to_owned),
        rules: attached.rules.iter().map(|rules| rules.word()).collect(),
        reason: attached.why.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

/// Releases what is dead of every network that has any: interfaces and rules before addresses, as DEL
/// does. No failure stops the rest.
fn release(places: &Places, before: &Reading) -> Vec<Error> {
    let mut failures = Vec::new();
    for attached in progress::each(("released", "attachments"), before.attachments.all.values()) {
        if matches!(attached.why, Some(Why::Namespace(_))) {
            failures.extend(detach(places, attached).err());
        }
    }
    let unnamed = before.attachments.all.iter().filter(|(key, _)| key.container.is_empty());
    let unnamed = unnamed.filter(|(_, attached)| attached.state == State::Unfinished);
    for link in unnamed.filter_map(|(_, attached)| attached.host_name()) {
        failures.extend(remove_unnamed(link).err());
    }
    let names: BTreeSet<&str> =
        before.attachments.all.keys().map(|key| key.network.as_str()).collect();
    for name in names {
        let Some(network) = before.networks.all.get(name) else { continue };
        progress::say(&format!("releasing what is dead of {name}"));
        let failed = remove_dead(&network.name, network.pool.as_ref(), before);
        failures.extend(failed.with_context(|| format!("network {}", network.name)).err());
    }
    failures
}

/// Removes a pair whose ADD was killed before it could write whose it is, unless one is at it now.
fn remove_unnamed(name: &str) -> Result<()> {
    let Some(_lock) = attacher::try_lock(name) else { return Ok(()) };
    let mut host = Netlink::open()?;
    let found = host.find_link(name)?;
    if found.is_some_and(|link| names::is_being_attached(&link.name, &link.alias)) {
        host.remove_link(name)?;
    }
    Ok(())
}

fn remove_dead(network: &NetworkName, pool: Option<&Location>, before: &Reading) -> Result<()> {
    // What this suite's bridge attached has a proof that portmap alone does not know of: the container
    // may have lost its interface and kept its namespace. It is looked at again, as an ADD may have come.
    let is_dead = |attachment: &Attachment| {
        let found = before.attachments.all.get(&Key::of(attachment));
        found.is_some_and(|found| found.why.as_ref().is_some_and(Why::is_of_host_interface))
            && attacher::is_dead(&names::host_interface(attachment))
    };
    let expected = Expected { masquerade: true, guard: true };
    let rules = [
        causeway_bridge::gc::remove_dead(network, expected),
        causeway_portmap::gc::remove_dead(network, &is_dead),
        causeway_firewall::gc::remove_dead(network),
    ];
    // With its interface or its rules still there an address is in use.
    Error::join(rules.into_iter().filter_map(Result::err))?;
    pool.map_or(Ok(()), reclaim)
}

/// Frees the addresses that are proved to be nobody's any more, which is looked at again under the
/// pool's lock.
fn reclaim(location: &Location) -> Result<()> {
    let Some(mut pool) = Pool::open(location)? else { return Ok(()) };
    let leases = pool.leases()?;
    let stale = leases.iter().filter(|lease| pool.proof_of(lease).is_some());
    let stale: Vec<_> = stale.map(|lease| lease.ip).collect();
    let failures = pool.reclaim(&stale)?;
    pool.save();
    Error::join(failures)
}

/// DEL of what its runtime still knows and whose namespace is gone, by the plugins that attached it: they
/// know what they have left.
fn detach(places: &Places, attached: &Attached) -> Result<()> {
    let Some(cached) = &attached.cached else { return Ok(()) };
    let failed = |error: cni_runtime::Error| Error::new(Code::Delegate, net::said(&error));
    let config = cached.config.clone().unwrap_or_default();
    let list = NetworkList::new(config).map_err(failed)?;
    let runtime = Runtime::new(plugins::folders(), &places.cache_dir);
    runtime.del(&list, &cached.attachment).map_err(failed)
}

fn text(outcome: &Outcome, output: Output) -> String {
    let mut text = String::new();
    let word = if outcome.dry_run { "would release" } else { "left" };
    let left = outcome.left.iter().map(|dead| (word, Colour::Warning, dead));
    let released = outcome.released.iter().map(|dead| ("released", Colour::Good, dead));
    for (word, colour, dead) in released.chain(left) {
        let what = [
            &dead.addresses[..],
            dead.host_interface.as_slice(),
            &dead.rules.iter().map(|rules| format!("rules of {rules}")).collect::<Vec<_>>(),
        ];
        let (word, what) = (output.paint(colour, word), what.concat().join(", "));
        let key = format!("{}/{}/{}", dead.network, dead.container, dead.interface);
        text.push_str(&format!("{word} {key} ({what}): {}\n", dead.reason));
    }
    for error in &outcome.errors {
        text.push_str(&format!("{} {error}\n", output.paint(Colour::Bad, "failed:")));
    }
    if text.is_empty() {
        "nothing is dead\n".clone_into(&mut text);
    }
    text
}

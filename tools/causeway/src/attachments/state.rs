//! What everything that is known of an attachment comes to.
//!
//! While one thing after the other is read, ADDs and DELs go on. So whatever is not plainly alive is
//! looked at again, by itself, between two looks whether a call of it is at work.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use causeway_firewall::nftables as firewall;
use causeway_host_local::store::{Holder, Lease, Proof, View};
use causeway_portmap::nftables as portmap;
use cni_common::inventory::HostInterface;
use cni_common::sys::attacher::{self, LOCK_FILE};
use cni_common::sys::nft::Nft;
use cni_common::sys::{Netlink, netns};
use cni_common::types::Attachment;
use cni_common::{Result, names};
use serde_json::Value;

use super::value::{Attached, Key, State};
use super::{Attachments, Rules, leases, links, rules};
use crate::networks::{Network, Networks};
use crate::progress;

/// Why an attachment is in its state: what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its address file does.
    Lease(Proof),
    /// The path of its namespace leads nowhere, and the link that its result names is gone.
    Namespace(String),
    /// Its host interface, which lives as long as the namespace, is gone, and no call is at work.
    HostInterface(String),
    /// No process holds its lock, and its host interface says that its ADD has not come to its end.
    Killed,
}

impl Why {
    /// Whether a host interface of this suite proves it by its absence.
    pub(crate) fn is_of_host_interface(&self) -> bool {
        matches!(self, Self::Lease(Proof::NamespaceGone) | Self::HostInterface(_))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lease(proof) => write!(f, "{proof}"),
            Self::Namespace(path) => {
                write!(
                    f,
                    "there is no namespace at {path} any more, and its host interface is gone"
                )
            }
            Self::HostInterface(name) => {
                write!(f, "its host interface {name} is gone, and so is the container's namespace")
            }
            Self::Killed => f.write_str("its ADD was killed: no process is working on it any more"),
        }
    }
}

/// Decides it for all. Those of which nothing is left by now are taken out.
pub(super) fn decide(
    found: &mut Attachments,
    (host, nft): (&mut Netlink, &mut Nft),
    networks: &Networks,
) -> Result<()> {
    let suspects: Vec<Key> = found
        .all
        .iter()
        .filter(|(key, attached)| !is_plainly_alive(attached, networks.all.get(&key.network)))
        .map(|(key, _)| key.clone())
        .collect();
    if suspects.is_empty() {
        return Ok(());
    }
    let bridges: Vec<(String, String)> = found
        .bridges
        .values()
        .map(|link| (link.name.clone(), link.mac.map(|mac| mac.to_string()).unwrap_or_default()))
        .collect();
    let mut again = Again { host, nft, networks, bridges, read: BTreeMap::new() };
    for key in progress::each(("looked again at", "attachments"), suspects) {
        let Some(mut attached) = found.all.remove(&key) else { continue };
        if again.look(&key, &mut attached)? {
            found.all.insert(key, attached);
        }
    }
    Ok(())
}

fn is_plainly_alive(attached: &Attached, network: Option<&Network>) -> bool {
    let has_pool = network.is_some_and(|network| network.pool.is_some());
    let has_lease = !attached.leases.is_empty();
    attached.host.is_some() && !attached.is_unfinished && (has_lease || !has_pool)
}

/// What looking again needs.
struct Again<'a> {
    host: &'a mut Netlink,
    nft: &'a mut Nft,
    networks: &'a Networks,
    /// The bridges of this host and their addresses.
    bridges: Vec<(String, String)>,
    /// The leases of a network, read after its links were.
    read: BTreeMap<String, Vec<Lease>>,
}

impl Again<'_> {
    /// Looks at one; `false` if nothing is left of it.
    fn look(&mut self, key: &Key, attached: &mut Attached) -> Result<bool> {
        let derived = key.attachment().map(|attachment| names::host_interface(&attachment));
        // A pair that an ADD has just made says by its name alone which lock that holds.
        let own_link = attached.host_name().filter(|_| attached.is_ours).map(str::to_owned);
        let own = own_link.or_else(|| derived.clone().filter(|_| attached.host.is_none()));
        let was_busy = own.as_deref().is_some_and(is_busy);
        self.leases(key, attached)?;
        self.link(attached, derived.as_deref())?;
        self.leases_of_inside(key, attached)?;
        self.rules(key, attached)?;
        let is_busy = was_busy || own.as_deref().is_some_and(is_busy);
        if attached.host.is_none() && attached.leases.is_empty() && attached.rules.is_empty() {
            return Ok(false);
        }
        if is_busy {
            attached.state = State::Busy;
            return Ok(true);
        }
        (attached.state, attached.why) = self.state(key, attached)?;
        Ok(true)
    }

    /// The pool of its network. That one can't be read is said by whoever read them all.
    fn pool_of(&self, key: &Key) -> Option<View> {
        let network = self.networks.all.get(&key.network)?;
        View::open(network.pool.as_ref()?).ok()?
    }

    /// Which leases it has now.
    fn leases(&mut self, key: &Key, attached: &mut Attached) -> Result<()> {
        let Some(view) = self.pool_of(key) else { return Ok(()) };
        let mut known = Vec::new();
        for found in &attached.leases {
            match view.find(found.lease.ip) {
                Ok(now) => known.extend(now.filter(|now| now.holder == found.lease.holder)),
                Err(_unreadable) => known.push(found.lease.clone()),
            }
        }
        if known.is_empty() && attached.host.is_some() {
            if !self.read.contains_key(&key.network) {
                self.read.insert(key.network.clone(), view.leases()?.0);
            }
            let all = self.read.get(&key.network).into_iter().flatten();
            known.extend(all.filter(|lease| is_of(lease, key)).cloned());
        }
        attached.leases = known.into_iter().map(|lease| leases::look_at(&view, lease)).collect();
        Ok(())
    }

    /// The leases of the addresses that its container has by now: an ADD may have written them since all were
    /// read.
    fn leases_of_inside(&mut self, key: &Key, attached: &mut Attached) -> Result<()> {
        let Some(link) = attached.host.as_ref().filter(|_| attached.leases.is_empty()) else {
            return Ok(());
        };
        let Some(view) = self.pool_of(key) else { return Ok(()) };
        attached.inside = links::inside(self.host, link)?;
        for address in attached.inside.iter().flat_map(|inside| &inside.addresses) {
            let lease = view.find(address.ip()).ok().flatten().filter(|lease| is_of(lease, key));
            attached.leases.extend(lease.map(|lease| leases::look_at(&view, lease)));
        }
        Ok(())
    }

    /// Which rules there are now, where nothing else is left: a DEL may have removed them since all were read.
    fn rules(&mut self, key: &Key, attached: &mut Attached) -> Result<()> {
        let is_all = attached.host.is_none() && attached.leases.is_empty();
        let Some(attachment) = key.attachment().filter(|_| is_all) else { return Ok(()) };
        for one in attached.rules.clone() {
            if !rules::is_there(self.nft, one, &attachment)? {
                attached.rules.remove(&one);
            }
        }
        Ok(())
    }

    /// Whether its link is there now.
    fn link(&mut self, attached: &mut Attached, derived: Option<&str>) -> Result<()> {
        let known = attached.host.as_ref().map(|link| link.name.clone());
        let Some(name) = known.or_else(|| derived.map(str::to_owned)) else { return Ok(()) };
        attached.host = self
            .host
            .find_link(&name)?
            .filter(|link| attached.host.is_some() || HostInterface::of(link).is_some());
        let interface = attached.host.as_ref().and_then(HostInterface::of);
        attached.is_unfinished = interface.is_some_and(|interface| interface.is_unfinished);
        Ok(())
    }

    fn state(&mut self, key: &Key, attached: &Attached) -> Result<(State, Option<Why>)> {
        if attached.is_unfinished {
            return Ok((State::Unfinished, Some(Why::Killed)));
        }
        if attached.host.is_some() {
            let is_alive = is_plainly_alive(attached, self.networks.all.get(&key.network));
            return Ok((if is_alive { State::Alive } else { State::OnlyLink }, None));
        }
        if let Some(why) = self.proof(key, attached)? {
            return Ok((State::Gone, Some(why)));
        }
        let is_held = !attached.leases.is_empty();
        Ok((if is_held { State::OnlyLease } else { State::OnlyRules }, None))
    }

    /// What proves that an attachment without a link is dead.
    fn proof(&mut self, key: &Key, attached: &Attached) -> Result<Option<Why>> {
        let proofs: Vec<Option<Proof>> =
            attached.leases.iter().map(|found| found.known.proof).collect();
        if let Some(Some(proof)) = proofs.first()
            && proofs.iter().all(Option::is_some)
        {
            return Ok(Some(Why::Lease(*proof)));
        }
        if let Some(path) = self.is_namespace_gone(attached)? {
            return Ok(Some(Why::Namespace(path)));
        }
        let (true, Some(attachment)) = (attached.leases.is_empty(), key.attachment()) else {
            return Ok(None);
        };
        self.proof_of_rules(&attachment, attached)
    }

    /// What proves that an attachment of which only rules are left is dead, by each plugin's own proof.
    fn proof_of_rules(
        &mut self,
        attachment: &Attachment,
        attached: &Attached,
    ) -> Result<Option<Why>> {
        let name = names::host_interface(attachment);
        let looker = RefCell::new(Nft::open()?);
        for rules in &attached.rules {
            let is_dead = match rules {
                Rules::Masquerading | Rules::MacCheck => attacher::is_dead(&name),
                Rules::Ports => portmap::is_dead(self.nft, attachment)?,
                Rules::Firewall => firewall::is_dead(&looker, attachment),
                Rules::Limits => false,
            };
            if is_dead {
                return Ok(Some(Why::HostInterface(name)));
            }
        }
        Ok(None)
    }

    /// Whether the namespace is gone that a runtime named, and with it the link that its result names.
    /// Asked of a place where the result's bridge is: elsewhere nothing would be there, and prove nothing.
    fn is_namespace_gone(&mut self, attached: &Attached) -> Result<Option<String>> {
        let Some(path) = &attached.netns else { return Ok(None) };
        // The path of a process is gone with the process, while its namespace may live on.
        if path.starts_with("/proc/") || !netns::is_gone(Path::new(path)) {
            return Ok(None);
        }
        let result = attached.cached.as_ref().and_then(|cached| cached.result.as_ref());
        let interfaces = result.and_then(|result| result.get("interfaces")?.as_array());
        let Some([bridge, link, ..]) = interfaces.map(Vec::as_slice) else { return Ok(None) };
        let text = |object: &Value, key: &str| {
            object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let is_here = self.bridges.iter().any(|(name, mac)| {
            *name == text(bridge, "name") && text(bridge, "mac").eq_ignore_ascii_case(mac)
        });
        let name = text(link, "name");
        let is_link = text(link, "sandbox").is_empty() && !name.is_empty();
        let is_gone = is_here && is_link && self.host.find_link(&name)?.is_none();
        Ok(is_gone.then(|| path.clone()))
    }
}

/// Whether it is a lease of the attachment.
fn is_of(lease: &Lease, key: &Key) -> bool {
    match &lease.holder {
        Holder::Attachment(container, ifname) => {
            container.as_str() == key.container && ifname.as_str() == key.ifname
        }
        _ => false,
    }
}

/// Whether an ADD or DEL of the attachment with this host interface is at work.
fn is_busy(host_interface: &str) -> bool {
    // Without the file no plugin has ever locked anything, and it is not ours to make.
    Path::new(LOCK_FILE).exists() && attacher::try_lock(host_interface).is_none()
}

//! What there is of every attachment: its leases, its links, its rules. The one reading that all
//! commands share. It changes nothing and waits for no lock.
//!
//! - `value`: what is known of an attachment, and its state.
//! - `leases`, `links`, `rules`, `limits`, `cached`: where that is known from.
//! - `state`: what it all comes to.

mod cached;
mod leases;
mod limits;
mod links;
mod rules;
mod state;
mod value;

use std::collections::BTreeMap;

use cni_common::sys::Netlink;
use cni_common::sys::nft::Nft;
use cni_common::types::net::Link;
use cni_common::{Error, Result};

use crate::exit::Exit;
use crate::networks::{Networks, Places};
use crate::{output, progress};

pub(crate) use rules::Rules;
pub(crate) use state::Why;
pub(crate) use value::{Attached, Key, Limits, State};

/// What is told of the progress of a look at all.
pub(crate) const LOOKED_AT: (&str, &str) = ("looked at", "attachments");

/// All attachments, as they were at one time.
#[derive(Debug, Default)]
pub(crate) struct Attachments {
    /// The attachments by network, container and interface.
    pub(crate) all: BTreeMap<Key, Attached>,
    /// The bridges by their indices.
    pub(crate) bridges: BTreeMap<u32, Link>,
    /// All pairs' ends on this host, attached or not.
    pub(crate) pairs: Vec<Link>,
    /// What of the pools can't be read, each with its network.
    pub(crate) unread: Vec<(String, Error)>,
}

impl Attachments {
    /// Reads them. Networks that only an attachment tells of are added to `networks`.
    pub(crate) fn read(places: &Places, networks: &mut Networks) -> Result<Self> {
        let mut found = Self::default();
        let mut host = Netlink::open()?;
        let mut nft = Nft::open()?;
        // In this order: what an ADD makes it makes the other way round, and what has come in between
        // `state` finds.
        leases::read(&mut found, networks);
        links::read(&mut found, &mut host)?;
        cached::read(&mut found, places);
        links::look_inside(&mut found, &mut host, networks)?;
        progress::say("reading rules and limits");
        rules::read(&mut found, &mut nft)?;
        limits::read(&mut found, &mut host)?;
        state::decide(&mut found, (&mut host, &mut nft), networks)?;
        for network in found.all.keys().filter_map(|key| key.network.parse().ok()) {
            networks.entry(network);
        }
        Ok(found)
    }

    /// Those of a network.
    pub(crate) fn of<'a>(
        &'a self,
        network: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Attached)> {
        self.all.iter().filter(move |(key, _)| key.network == network)
    }

    /// Says what of the pool of this network, or of all, can't be read; what that comes to.
    pub(crate) fn complain(&self, network: Option<&str>) -> Exit {
        let unread = self.unread.iter().filter(|(name, _)| network.is_none_or(|one| one == name));
        unread.fold(Exit::OK, |_, (_, error)| {
            output::complain(&error.to_string());
            Exit::FAILED
        })
    }

    /// The name of the bridge with this index.
    pub(crate) fn bridge(&self, index: Option<u32>) -> Option<&str> {
        self.bridges.get(&index?).map(|link| link.name.as_str())
    }
}

//! Undoing what an ADD has done.

use cni_common::error::{Error, Result};
use cni_common::sys::link::LinkKind;
use cni_common::sys::{Netlink, sysctl};
use cni_common::types::Mac;
use cni_common::types::net::{DuplicateDetection, Link};
use cni_common::undo::{Journal, retry_once};
use cni_common::{log, names};

use super::Machine;
use crate::operation::{Place, SharedUndo, Undo};
use crate::resolv_conf;

impl Machine {
    /// Undoes everything; returns what could not be undone.
    pub(crate) fn rollback(&mut self) -> Vec<Error> {
        let mut journal = std::mem::take(&mut self.journal);
        let is_shared_kept = self.has_dependent_ports(&journal).unwrap_or(true);
        journal.rollback(|undo| match undo {
            Undo::Shared(shared) if is_shared_kept => {
                log::debug(|| format!("keep {shared:?}: others may depend on it"));
                Ok(())
            }
            other => log::step(|| format!("undo {other:?}"), || self.undo_with_retry(&other)),
        })
    }

    fn undo_with_retry(&mut self, undo: &Undo) -> Result<()> {
        retry_once(|| {
            let undone = self.undo(undo.clone());
            // The next try is on a socket that has seen no trouble.
            if undone.is_err()
                && let Ok(fresh) = Netlink::open()
            {
                self.host = fresh;
            }
            undone
        })
    }

    /// Notes which ports the bridge has before something of it is changed that others share. What
    /// can't be seen counts as depending on the change.
    pub(super) fn observe_ports(&mut self) {
        if self.independent_ports.is_some() {
            return;
        }
        let ports = self.list_ports().unwrap_or_default().into_iter();
        // An ADD that still runs may come to find the change, and rely on it.
        let is_finished = |port: &Link| !names::is_being_attached(&port.name, &port.alias);
        self.independent_ports = Some(ports.filter(is_finished).map(|port| port.index).collect());
    }

    fn list_ports(&mut self) -> Result<Vec<Link>> {
        match self.host.find_link(&self.bridge.clone())? {
            Some(bridge) => self.host.list_ports(bridge.index),
            None => Ok(Vec::new()),
        }
    }

    /// Whether the bridge has ports that came after this run had begun to change what others share,
    /// besides its own.
    fn has_dependent_ports(&mut self, journal: &Journal<Undo>) -> Result<bool> {
        let independent = self.independent_ports.clone().unwrap_or_default();
        let is_own = |port: &String| {
            journal.steps().any(|undo| match undo {
                Undo::RemovePair(name, _) | Undo::Shared(SharedUndo::RemoveVlanGateway(name)) => {
                    name == port
                }
                _ => false,
            })
        };
        let ports = self.list_ports()?;
        Ok(!ports.iter().all(|port| is_own(&port.name) || independent.contains(&port.index)))
    }

    fn undo(&mut self, undo: Undo) -> Result<()> {
        match undo {
            Undo::RemovePair(name, mac) => self.remove_pair(&name, mac),
            Undo::RestoreSysctl(name, value) => self.netns.run(|| sysctl::write(&name, &value))?,
            Undo::RemoveResolvConf(path, unfinished) => resolv_conf::remove(&path, &unfinished),
            Undo::Shared(shared) => self.undo_shared(shared),
        }
    }

    fn remove_pair(&mut self, name: &str, mac: Mac) -> Result<()> {
        match self.host.find_link(name)? {
            Some(link) if link.mac == Some(mac) => self.host.remove_link(name).map(|_was_there| ()),
            _gone => Ok(()),
        }
    }

    fn undo_shared(&mut self, undo: SharedUndo) -> Result<()> {
        match undo {
            SharedUndo::RemoveBridge(name) | SharedUndo::RemoveVlanGateway(name) => {
                self.host.remove_link(&name).map(|_was_there| ())
            }
            SharedUndo::RemoveAddress(link, address) => {
                let index = self.index(Place::Host, &link)?;
                self.host.remove_address(index, address).map(|_was_there| ())
            }
            SharedUndo::RestoreAddress(link, address) => {
                let index = self.index(Place::Host, &link)?;
                match self.host.add_address(index, address, DuplicateDetection::Skipped) {
                    Err(error) if error.is_exists() => Ok(()),
                    other => other,
                }
            }
            SharedUndo::ChangeLink(name, back) => self.restore_host_link(&name, back),
            SharedUndo::DisableForwarding(name) => {
                // Another bridge's ADD may have found forwarding on, and count on it.
                let bridges = self.host.list_links(LinkKind::Bridge, None)?;
                match bridges.iter().all(|bridge| bridge.name == self.bridge) {
                    true => sysctl::write(name, "0"),
                    false => Ok(()),
                }
            }
        }
    }
}

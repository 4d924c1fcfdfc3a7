//! Undoing what an ADD has done.

use cni_common::error::{Error, Result};
use cni_common::log;
use cni_common::sys::link::LinkKind;
use cni_common::sys::{Netlink, sysctl};
use cni_common::types::Mac;
use cni_common::types::net::DuplicateDetection;
use cni_common::undo::Journal;

use super::Machine;
use crate::operation::{Place, SharedUndo, Undo};
use crate::resolv_conf;

impl Machine {
    /// Undoes everything; returns what could not be undone.
    pub fn rollback(&mut self) -> Vec<Error> {
        let mut journal = std::mem::take(&mut self.journal);
        let is_shared_kept = self.has_foreign_ports(&journal).unwrap_or(true);
        journal.rollback(|undo| match undo {
            Undo::Shared(shared) if is_shared_kept => {
                log::debug(|| format!("keep {shared:?}: the bridge is used by others"));
                Ok(())
            }
            other => {
                log::debug(|| format!("undo {other:?}"));
                self.undo(other.clone()).or_else(|_first| {
                    // Once more, on a socket that has seen no trouble.
                    self.host = Netlink::open()?;
                    self.undo(other)
                })
            }
        })
    }

    /// Whether the bridge has ports that this run did not make.
    fn has_foreign_ports(&mut self, journal: &Journal<Undo>) -> Result<bool> {
        let Some(bridge) = self.host.find_link(&self.bridge.clone())? else { return Ok(false) };
        let is_own = |port: &String| {
            journal.steps().any(|undo| match undo {
                Undo::RemovePair(name, _) | Undo::Shared(SharedUndo::RemoveVlanGateway(name)) => {
                    name == port
                }
                _ => false,
            })
        };
        Ok(!self.host.list_ports(bridge.index)?.iter().all(is_own))
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

//! Changing a link of the host, and changing it back.

use cni_common::error::{Context, Result};
use cni_common::sys::link::Promiscuity;

use super::Machine;
use crate::operation::{ALL_ANNOUNCED, HostLinkChange, Operation, Place, SharedUndo, Undo};

impl Machine {
    pub(super) fn set_host_link(&mut self, name: &str, change: HostLinkChange) -> Result<()> {
        if change.inverse().is_some() {
            self.observe_ports();
        }
        self.change_host_link(name, change)?;
        if let Some(back) = change.inverse() {
            self.journal.note(Undo::Shared(SharedUndo::ChangeLink(name.to_owned(), back)));
        }
        Ok(())
    }

    /// Content when the link is gone: there is nothing left to be as it was.
    pub(super) fn restore_host_link(&mut self, name: &str, back: HostLinkChange) -> Result<()> {
        match self.change_host_link(name, back) {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    fn change_host_link(&mut self, name: &str, change: HostLinkChange) -> Result<()> {
        let host = &mut self.host;
        let changed = match change {
            HostLinkChange::Up => host.set_link_up(name),
            HostLinkChange::Down => host.set_link_down(name),
            HostLinkChange::Promiscuous => host.set_promiscuous(name, Promiscuity::On),
            HostLinkChange::NotPromiscuous => host.set_promiscuous(name, Promiscuity::Off),
            HostLinkChange::KeepMac(mac) => host.set_mac(name, mac),
            HostLinkChange::AllAnnounced => {
                let index = self.index(Place::Host, name)?;
                self.host.set_alias(index, ALL_ANNOUNCED)
            }
        };
        changed
            .with_context(|| Operation::SetHostLink { name: name.to_owned(), change }.to_string())
    }
}

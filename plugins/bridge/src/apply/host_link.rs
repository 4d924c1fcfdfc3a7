//! Changing a link of the host, and changing it back.

use cni_common::error::{Context, Result};
use rtnetlink::{LinkMessageBuilder, LinkUnspec};

use super::Machine;
use crate::operation::{HostLinkChange, Operation, SharedUndo, Undo};

impl Machine {
    pub(super) fn set_host_link(&mut self, name: &str, change: HostLinkChange) -> Result<()> {
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
        let link = LinkMessageBuilder::<LinkUnspec>::new().name(name);
        let link = match change {
            HostLinkChange::Up => link.up(),
            HostLinkChange::Down => link.down(),
            HostLinkChange::Promiscuous => link.promiscuous(true),
            HostLinkChange::NotPromiscuous => link.promiscuous(false),
            HostLinkChange::KeepMac(mac) => link.address(mac.octets().to_vec()),
        };
        self.host
            .set_link(link)
            .with_context(|| Operation::SetHostLink { name: name.to_owned(), change }.to_string())
    }
}

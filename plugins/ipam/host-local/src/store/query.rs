//! Questions to a pool: what does an attachment hold, which address is free.
//!
//! The index answers; the files are asked whether it is right, and all of them are read when it is
//! not, or when the answer would refuse an ADD.

use std::io;
use std::net::IpAddr;

use cni_common::types::{ContainerId, IfName};
use cni_common::{Error, Result};

use super::index::Index;
use super::{Holder, Pool};
use crate::address::Span;

impl Pool {
    /// The addresses that the attachment holds; those of an old file for the container only when
    /// there is none that names the interface, as in the reference. What can't be read is none of them
    /// (`unread_of`).
    pub fn held_by(&mut self, container: &ContainerId, ifname: &IfName) -> Result<Vec<IpAddr>> {
        if let Some(addresses) = self.known(container, ifname)? {
            return Ok(addresses);
        }
        self.read_all()?;
        Ok(self.known(container, ifname)?.unwrap_or_default())
    }

    /// What the index says the attachment holds; `None` if there is none or the files disagree.
    fn known(&mut self, container: &ContainerId, ifname: &IfName) -> Result<Option<Vec<IpAddr>>> {
        let attachment = Holder::Attachment(container.clone(), ifname.clone());
        let old = Holder::Container(container.clone());
        for (holder, ifname) in [(&attachment, ifname.as_str()), (&old, "")] {
            let ask = |index: &mut Index| index.held_by(container.as_str(), ifname);
            let Some(addresses) = self.query(ask) else { return Ok(None) };
            let is_any = !addresses.is_empty();
            let mut held = Vec::with_capacity(addresses.len());
            for ip in addresses {
                match self.folder.read_lease(ip) {
                    Ok(found) if found.as_ref() == Some(holder) => held.push(ip),
                    Ok(_other) => return Ok(None),
                    Err(error) => self.note_unread_own(ip, error),
                }
            }
            if is_any {
                return Ok(Some(held));
            }
        }
        self.half_written(container, &[attachment, old])
    }

    /// Looks at the few files whose writers may have gone on since the index was made.
    fn half_written(
        &mut self,
        container: &ContainerId,
        wanted: &[Holder; 2],
    ) -> Result<Option<Vec<IpAddr>>> {
        let Some(unclear) = self.query(Index::unclear) else { return Ok(None) };
        let mut addresses = Vec::new();
        for ip in unclear {
            match self.folder.read_lease(ip) {
                Ok(Some(holder)) if wanted.contains(&holder) => return Ok(None),
                Ok(Some(Holder::HalfWritten(id))) if id == *container => addresses.push(ip),
                Ok(_other) => {}
                Err(error) => self.note_unread(ip, error),
            }
        }
        Ok(Some(addresses))
    }

    /// The index's answer; `None` if there is no index, or it can't be read.
    pub(super) fn query<T>(&mut self, ask: impl FnOnce(&mut Index) -> io::Result<T>) -> Option<T> {
        self.index.as_mut().and_then(|index| ask(index).ok())
    }

    /// The first address of `spans` that nobody holds, by what is known.
    pub(crate) fn known_free(&mut self, spans: &[Span]) -> Option<IpAddr> {
        self.query(|index| find_free(index, spans)).flatten()
    }

    /// The same; before the answer is "none", the files themselves are asked.
    pub fn first_free(&mut self, spans: &[Span]) -> Result<Option<IpAddr>> {
        if let Some(ip) = self.known_free(spans) {
            return Ok(Some(ip));
        }
        if !self.fresh {
            self.read_all()?;
        }
        let found = self.index.as_mut().map_or(Ok(None), |index| find_free(index, spans));
        found.map_err(|error| Error::io("index", self.folder.path(), &error))
    }
}

fn find_free(index: &mut Index, spans: &[Span]) -> io::Result<Option<IpAddr>> {
    for span in spans {
        if let Some(ip) = index.first_free(*span)? {
            return Ok(Some(ip));
        }
    }
    Ok(None)
}

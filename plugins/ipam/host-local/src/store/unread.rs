//! Address files that can't be read, as those of a disk that fails. Their addresses count as held, as they do for the
//! reference; whose they are is told by what was noted beside their content, or by nothing.

use std::net::IpAddr;

use cni_common::types::Attachment;
use cni_common::{Error, log, names};

use super::Pool;

/// A file that a call could not read.
#[derive(Debug)]
pub(super) struct Unread {
    ip: IpAddr,
    error: Error,
    /// Whether the index says that the attachment holds its address which the call is about.
    is_own: bool,
}

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// That of the attachment.
    Own,
    /// Another one's.
    Others,
    /// Nothing tells.
    Unknown,
}

impl Pool {
    /// Notes one that the index says is the attachment's.
    pub(super) fn note_unread_own(&mut self, ip: IpAddr, error: Error) {
        self.note_unread_file(Unread { ip, error, is_own: true });
    }

    /// Notes any other.
    pub(super) fn note_unread(&mut self, ip: IpAddr, error: Error) {
        self.note_unread_file(Unread { ip, error, is_own: false });
    }

    fn note_unread_file(&mut self, one: Unread) {
        log::debug(|| format!("{} counts as held: {}", one.ip, one.error));
        if self.unread.iter().all(|known| known.ip != one.ip) {
            self.unread.push(one);
        }
    }

    /// Before all files are read again.
    pub(super) fn forget_unread(&mut self) {
        self.unread.retain(|one| one.is_own);
    }

    /// What this call could not read.
    pub fn unread(&self) -> Vec<Error> {
        self.unread.iter().map(|one| one.error.clone()).collect()
    }

    /// What of it is sure to be the attachment's.
    pub(crate) fn unread_of(&self, attachment: &Attachment) -> Vec<Error> {
        self.unread_where(|one| self.whose(one, attachment) == Whose::Own)
    }

    /// What of it may be the attachment's.
    pub(crate) fn unread_perhaps_of(&self, attachment: &Attachment) -> Vec<Error> {
        self.unread_where(|one| self.whose(one, attachment) != Whose::Others)
    }

    fn unread_where(&self, is_wanted: impl Fn(&Unread) -> bool) -> Vec<Error> {
        let wanted = self.unread.iter().filter(|one| is_wanted(one));
        wanted.map(|one| one.error.clone()).collect()
    }

    fn whose(&self, one: &Unread, attachment: &Attachment) -> Whose {
        if one.is_own {
            return Whose::Own;
        }
        let origin = self.folder.origin_of(one.ip);
        let host_interface = origin.attacher.as_deref().and_then(|text| text.split(' ').next());
        match host_interface {
            Some(name) if name == names::host_interface(attachment) => Whose::Own,
            Some(_) => Whose::Others,
            None => Whose::Unknown,
        }
    }
}

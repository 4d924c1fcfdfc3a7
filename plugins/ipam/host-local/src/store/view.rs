//! Looking at a pool without its lock, for those who change nothing: what is seen may be over a moment
//! later. Whoever acts on it opens the [`Pool`](super::Pool) and looks again.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use cni_common::{Error, Result};

use super::cache::Cache;
use super::files::Files;
use super::history::History;
use super::index::Identity;
use super::{Holder, Lease, Location, Proof, origin, parallel};

/// What is known of a lease beyond its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// What proves that the address is nobody's any more.
    pub proof: Option<Proof>,
    /// Whether this suite made the file.
    pub is_ours: bool,
    /// When the file was written: for a person, no proof of anything.
    pub since: Option<SystemTime>,
}

/// A pool that is only looked at.
#[derive(Debug)]
pub struct View {
    files: Files,
    boot: Option<String>,
}

impl View {
    /// The pool at `location`; `None` if there is no such folder. Waits for no lock.
    pub fn open(location: &Location) -> Result<Option<Self>> {
        let files = Files::open(&location.folder())?;
        Ok(files.map(|files| Self { files, boot: origin::this_boot() }))
    }

    /// The pool folder, for messages.
    pub fn path(&self) -> &Path {
        self.files.path()
    }

    /// Every address file, in the order of the addresses, and what of them can't be read. Such an address
    /// is held, too: by whom is unknown.
    pub fn leases(&self) -> Result<(Vec<Lease>, Vec<Error>)> {
        let read = parallel::map(&self.files.list()?, |ip| match self.files.read_lease(ip) {
            Ok(None) => None,
            Ok(Some(holder)) => {
                let fault = (holder == Holder::Unknown).then(|| self.files.fault_of(ip)).flatten();
                Some((Lease { ip, holder }, fault))
            }
            Err(error) => Some((Lease { ip, holder: Holder::Unknown }, Some(error))),
        });
        let mut read: Vec<(Lease, Option<Error>)> = read.into_iter().flatten().collect();
        read.sort_unstable_by_key(|(lease, _)| lease.ip);
        let (leases, faults): (Vec<Lease>, Vec<_>) = read.into_iter().unzip();
        Ok((leases, faults.into_iter().flatten().collect()))
    }

    /// The file of `ip`; `None` if there is none.
    pub fn find(&self, ip: IpAddr) -> Result<Option<Lease>> {
        Ok(self.files.read_lease(ip)?.map(|holder| Lease { ip, holder }))
    }

    /// What proves that the address of `lease` is nobody's any more.
    pub fn proof_of(&self, lease: &Lease) -> Option<Proof> {
        self.described(lease).proof
    }

    /// What there is to be known of a lease beyond its holder.
    pub fn described(&self, lease: &Lease) -> Described {
        let origin = self.files.origin_of(lease.ip);
        Described {
            proof: Proof::find(&lease.holder, self.boot.as_deref(), &origin),
            is_ours: origin.boot.is_some(),
            since: self.files.time_of(lease.ip),
        }
    }

    /// The address allocated last of the set `index`.
    pub fn last_reserved(&self, index: usize) -> Option<IpAddr> {
        self.files.last_reserved(index)
    }

    /// The addresses that were released less than `cooldown` ago, as far as that was noted.
    pub fn cooling(&self, location: &Location, cooldown: Duration) -> Vec<IpAddr> {
        let cache = Cache::open_present(&location.data_dir, &location.network);
        let (Some(cache), Ok(folder)) = (cache, self.files.identity()) else { return Vec::new() };
        let identity = Identity { boot: self.boot.clone(), folder };
        History::open(&cache, &identity).cooling(cooldown)
    }
}

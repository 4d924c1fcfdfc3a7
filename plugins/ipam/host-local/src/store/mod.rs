//! The pool: which addresses are held, and by whom.
//!
//! A [`Pool`] exists only while its lock is held; dropping it lets go. The address files are the
//! truth (`folder`); an index beside them (`index`) spares reading them all, and is trusted only
//! while a stamp on the folder (`stamp`) proves that nobody else changed it
//! (`docs/decisions/0007`). A [`View`] only looks, and needs no lock. What is kept of free addresses is in `history`. Nothing here knows
//! ranges or a configuration.

mod cache;
mod files;
mod folder;
mod history;
mod index;
mod lease;
mod open;
mod origin;
mod parallel;
mod probe;
mod proof;
mod query;
mod stamp;
mod table;
mod unread;
mod view;

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use cni_common::sys::attacher::Attacher;
use cni_common::types::{ContainerId, Given, IfName, PoolRecord};
use cni_common::{Error, Result, log};

pub use lease::{Holder, Lease};
pub use proof::Proof;
pub use view::{Described, View};

use cache::Cache;
use folder::Folder;
use history::History;
use index::{Identity, Index};
use origin::Origin;
use stamp::Mtime;
use unread::Unread;

/// Which pool, and whether anything is kept of an address that is released into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The folder of all pools.
    pub data_dir: PathBuf,
    /// The network's name, which is the pool folder's.
    pub network: String,
    /// Whether the pool keeps a history of its free addresses.
    pub keeps_history: bool,
}

impl Location {
    /// The pool folder.
    pub fn folder(&self) -> PathBuf {
        self.data_dir.join(&self.network)
    }
}

/// A pool whose lock is held by this process.
#[derive(Debug)]
pub struct Pool {
    folder: Folder,
    identity: Identity,
    cache: Option<Cache>,
    /// What is known; `None` until it is asked for, when what was kept is of no use.
    index: Option<Index>,
    /// Every file, when this very call has read them all and changed none since.
    seen: Option<Rc<Vec<Lease>>>,
    /// Whether this very call has read all files.
    fresh: bool,
    /// The folder's time as it must be if nobody but this process changed it; `None` when somebody
    /// did, or when stamps do not last here. Then nothing is kept for the next call.
    stamp: Option<Mtime>,
    /// Whether the kept index is not the present one.
    changed: bool,
    /// Whether this call reserved an address that may have been given before.
    gave_again: bool,
    history: Option<History>,
    /// Who makes the attachments that addresses are reserved for, where that is told.
    attacher: Option<String>,
    /// What of the files this call could not read.
    unread: Vec<Unread>,
}

impl Pool {
    /// The pool at `location`; `None` if there is no such folder. Waits for its lock.
    pub fn open(location: &Location) -> Result<Option<Self>> {
        Folder::open(&location.folder())?.map(|folder| Self::of(folder, location)).transpose()
    }

    /// Fails if no lease could be written in the pool now. Waits for no lock and changes nothing.
    pub(crate) fn refuse_unwritable(location: &Location) -> Result<()> {
        probe::refuse_unwritable(&location.folder())
    }

    /// The same, making the folder if there is none.
    pub fn create(location: &Location) -> Result<Self> {
        Self::of(Folder::create(&location.folder())?, location)
    }

    fn of(folder: Folder, location: &Location) -> Result<Self> {
        let identity = Identity { boot: origin::this_boot(), folder: folder.identity()? };
        let cache = Cache::open(&location.data_dir, &location.network)
            .inspect_err(|error| log::debug(|| format!("nothing is kept: {error}")))
            .ok();
        let mtime = folder.mtime()?;
        let index = cache.as_ref().and_then(|cache| index::read(cache, &identity, mtime));
        let stamp = index.is_some().then_some(mtime);
        let history = match (&cache, location.keeps_history) {
            (Some(cache), true) => Some(History::open(cache, &identity)),
            _ => None,
        };
        let (seen, fresh, changed, gave_again) = (None, false, false, false);
        Ok(Self {
            folder,
            identity,
            cache,
            index,
            seen,
            fresh,
            stamp,
            changed,
            gave_again,
            history,
            attacher: None,
            unread: Vec::new(),
        })
    }

    /// The pool folder, for messages.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Every address file. Reads them all, unless this call has done so already. One that can't be read is held by
    /// nobody knows whom ([`Self::unread`]).
    pub fn leases(&mut self) -> Result<Rc<Vec<Lease>>> {
        match &self.seen {
            Some(seen) => Ok(Rc::clone(seen)),
            None => self.read_all(),
        }
    }

    /// Reads every address file, and makes the index anew from them.
    fn read_all(&mut self) -> Result<Rc<Vec<Lease>>> {
        let path = self.path().to_owned();
        log::step(|| format!("reading all of {}", path.display()), || self.read_files())
    }

    fn read_files(&mut self) -> Result<Rc<Vec<Lease>>> {
        let undisturbed = self.stamp.is_some() && self.folder.mtime().ok() == self.stamp;
        let before = self.index.take().filter(|_| undisturbed);
        // The stamp comes first: what somebody else changes from here on takes it away.
        self.stamp = self.put_stamp();
        let addresses = self.folder.list()?;
        let found = parallel::map(&addresses, |ip| self.folder.read_lease(ip));
        self.forget_unread();
        let mut leases = Vec::with_capacity(addresses.len());
        for (ip, found) in addresses.into_iter().zip(found) {
            let holder = found.unwrap_or_else(|error| {
                self.note_unread(ip, error);
                // Not for the next call: its holder's DEL would not find it.
                self.stamp = None;
                Some(Holder::Unknown)
            });
            leases.extend(holder.map(|holder| Lease { ip, holder }));
        }
        self.fresh = true;
        self.learn(leases, before)
    }

    /// Makes the index of `leases`, which are all there are; it goes on with the record of `before`, if that
    /// was true until now.
    fn learn(&mut self, leases: Vec<Lease>, before: Option<Index>) -> Result<Rc<Vec<Lease>>> {
        // As random as the stamp. Without one nothing is kept, and no record begins.
        let record = self.stamp.map_or(PoolRecord::new(0), Mtime::record);
        let index =
            Index::of(&leases, record).map_err(|error| Error::io("index", self.path(), &error))?;
        let leases = Rc::new(leases);
        (self.index, self.seen, self.changed) = (Some(index), Some(Rc::clone(&leases)), true);
        if let Some(mut before) = before {
            self.note(|index| index.continue_record(&mut before));
        }
        Ok(leases)
    }

    /// Who holds `ip`.
    pub fn holder(&self, ip: IpAddr) -> Result<Option<Holder>> {
        self.folder.read_lease(ip)
    }

    /// Reserves `ip` for the attachment; `false` if somebody holds it.
    pub fn reserve(
        &mut self,
        ip: IpAddr,
        container: &ContainerId,
        ifname: &IfName,
    ) -> Result<bool> {
        let origin = Origin { boot: self.identity.boot.clone(), attacher: self.attacher.clone() };
        let draft = self.folder.draft(Holder::content(container, ifname), origin)?;
        let made = self.change(|folder| {
            let doing = || format!("write {}/{ip}", folder.path().display());
            log::step(doing, || folder.publish(&draft, ip))
        })?;
        let holder = Holder::Attachment(container.clone(), ifname.clone());
        if made {
            self.gave_again |= self.query(|index| index.was_given(ip)).unwrap_or(true);
            self.note(|index| index.insert(ip, &holder));
        } else if self.fresh {
            self.note(|index| index.set_held(ip, true));
        } else {
            // The index took it for free: it misses a file, and perhaps more than this one.
            self.stamp = None;
            self.read_all()?;
        }
        Ok(made)
    }

    /// Frees `ip`, which the attachment holds.
    pub fn release(&mut self, ip: IpAddr, container: &ContainerId, ifname: &IfName) -> Result<()> {
        self.change(|folder| {
            let doing = || format!("remove {}/{ip}", folder.path().display());
            log::step(doing, || folder.remove_lease(ip))
        })?;
        self.note(|index| {
            index.remove(ip, container.as_str(), ifname.as_str())?;
            index.remove(ip, container.as_str(), "")
        });
        if let Some(history) = &mut self.history {
            history.note_release(ip);
        }
        Ok(())
    }

    /// Frees `addresses`, whoever holds them; what could not be done.
    pub fn reclaim(&mut self, addresses: &[IpAddr]) -> Result<Vec<Error>> {
        let leases = self.leases()?;
        // Reading again the few that are left is quicker than a stamp for each of many.
        let most = addresses.len() > leases.len() / 2;
        let removed: Vec<Result<()>> = match most {
            true => parallel::map(addresses, |ip| self.folder.remove_lease(ip)),
            false => {
                let mut remove = |ip| self.change(|folder| folder.remove_lease(ip));
                addresses.iter().map(|ip| remove(*ip)).collect()
            }
        };
        let mut gone = HashSet::new();
        let mut failures = Vec::new();
        for (ip, removed) in addresses.iter().zip(removed) {
            match removed {
                Ok(()) => drop(gone.insert(*ip)),
                Err(error) => failures.push(error),
            }
        }
        if let Some(history) = &mut self.history {
            gone.iter().for_each(|ip| history.note_release(*ip));
        }
        if most && !addresses.is_empty() {
            self.read_all()?;
        } else {
            let left = leases.iter().filter(|lease| !gone.contains(&lease.ip)).cloned();
            let before = self.index.take().filter(|_| self.stamp.is_some());
            self.learn(left.collect(), before)?;
        }
        Ok(failures)
    }

    /// Sets who makes the attachments that addresses are reserved for from now on.
    pub fn set_attacher(&mut self, attacher: Option<&Attacher>) {
        self.attacher = attacher.map(ToString::to_string);
    }

    /// What proves that the address of `lease` is nobody's any more. No ADD can make a lease
    /// meanwhile: the pool's lock is held.
    pub fn proof_of(&self, lease: &Lease) -> Option<Proof> {
        let origin = self.folder.origin_of(lease.ip);
        Proof::find(&lease.holder, self.identity.boot.as_deref(), &origin)
    }

    /// The same by the file alone, whatever is known of its attachment.
    pub(crate) fn proof_of_file(&self, lease: &Lease) -> Option<Proof> {
        let origin = self.folder.origin_of(lease.ip);
        Proof::of_file(&lease.holder, self.identity.boot.as_deref(), &origin)
    }

    /// The address allocated last of the set `index`.
    pub fn last_reserved(&self, index: usize) -> Option<IpAddr> {
        self.folder.last_reserved(index)
    }

    /// Records the address allocated last of the set `index`.
    pub fn set_last_reserved(&mut self, index: usize, ip: IpAddr) -> Result<()> {
        if self.folder.has_last_reserved(index) {
            return self.folder.set_last_reserved(index, ip);
        }
        self.change(|folder| folder.set_last_reserved(index, ip))
    }

    /// What the pool's record says of the addresses that this call reserved, if the record goes on.
    pub(crate) fn given(&self) -> Option<Given> {
        self.stamp.filter(|_| !self.changed)?;
        let record = self.index.as_ref()?.record();
        Some(Given { record, is_first_use: !self.gave_again })
    }

    /// The history of free addresses, if the configuration wants any of it.
    pub fn history(&mut self) -> Option<&mut History> {
        self.history.as_mut()
    }

    /// Keeps what is known for the next call. What can't be kept is found out anew by it.
    pub fn save(&mut self) {
        let Some(cache) = &self.cache else { return };
        let mut kept = Ok(());
        if let (Some(stamp), Some(index), true) = (self.stamp, &mut self.index, self.changed) {
            kept = index::write(cache, index, &self.identity, stamp);
            self.changed = kept.is_err();
        }
        let history = self.history.as_mut().map_or(Ok(()), |history| history.save(cache));
        if let Err(error) = kept.and(history) {
            log::debug(|| format!("not everything is kept: {error}"));
        }
    }

    /// Does one change of the folder between two looks at its stamp.
    ///
    /// Somebody else's change before ours has taken the stamp away, one after ours takes the new one
    /// away. (`docs/decisions/0007` says what can fall between.)
    fn change<T>(&mut self, work: impl FnOnce(&Folder) -> Result<T>) -> Result<T> {
        // One stamp for the whole call, so that each change finds what the one before it left.
        let next = match self.stamp {
            Some(stamp) if self.changed => Some(stamp),
            Some(_) => Some(Mtime::random()),
            None => None,
        };
        let undisturbed = self.stamp.is_some() && self.folder.mtime().ok() == self.stamp;
        let done = work(&self.folder);
        let stamped = next
            .filter(|_| undisturbed)
            .and_then(|stamp| stamp.put_and_read(self.folder.dir()).ok());
        self.stamp = stamped.filter(|stamp| stamp.is_stamp());
        (self.changed, self.seen) = (true, None);
        done
    }

    /// A new stamp on the folder; `None` where stamps do not last or nothing is kept.
    fn put_stamp(&self) -> Option<Mtime> {
        self.cache.as_ref()?;
        // Without it an index would be trusted over a reboot, and what a power loss made of it.
        self.identity.boot.as_ref()?;
        let stamp = Mtime::random().put_and_read(self.folder.dir()).ok()?;
        stamp.is_stamp().then_some(stamp)
    }

    /// Notes a change in the index. An index that could not take the note is not kept.
    fn note(&mut self, work: impl FnOnce(&mut Index) -> io::Result<()>) {
        let Some(index) = &mut self.index else { return };
        if let Err(error) = work(index) {
            log::debug(|| format!("the index is not kept: {error}"));
            (self.stamp, self.index) = (None, None);
        }
    }
}

//! The pool: which addresses are held, and by whom.
//!
//! A [`Pool`] exists only while its lock is held; dropping it lets go. The address files are the
//! truth (`folder`); an index beside them (`index`) spares reading them all, and is trusted only
//! while a mark on the folder (`mark`) proves that nobody else changed it
//! (`docs/decisions/0007`). What is remembered of free addresses is in `memory`. Nothing here knows
//! ranges or a configuration.

mod crowd;
mod folder;
mod index;
mod lease;
mod mark;
mod memory;
mod open;
mod origin;
mod search;
mod shelf;
mod table;

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::rc::Rc;

use cni_common::types::{ContainerId, IfName};
use cni_common::{Error, Result, log};

pub use lease::{Holder, Lease};

use crate::config::Place;
use folder::Folder;
use index::{Index, Subject};
use mark::Stamp;
use memory::Memory;
use shelf::Shelf;

/// A pool whose lock is held by this process.
#[derive(Debug)]
pub struct Pool {
    folder: Folder,
    subject: Subject,
    shelf: Option<Shelf>,
    /// What is known; `None` until it is asked for, when what was kept is of no use.
    index: Option<Index>,
    /// Every file, when this very call has read them all and changed none since.
    seen: Option<Rc<Vec<Lease>>>,
    /// Whether this very call has read all files.
    fresh: bool,
    /// The folder's time as it must be if nobody but this process changed it; `None` when somebody
    /// did, or when marks do not last here. Then nothing is kept for the next call.
    mark: Option<Stamp>,
    /// Whether the kept index is not the present one.
    changed: bool,
    memory: Option<Memory>,
}

impl Pool {
    /// The pool at `place`; `None` if there is no such folder. Waits for its lock.
    pub fn open(place: &Place) -> Result<Option<Self>> {
        Folder::open(&place.pool())?.map(|folder| Self::of(folder, place)).transpose()
    }

    /// The same, making the folder if there is none.
    pub fn create(place: &Place) -> Result<Self> {
        Self::of(Folder::create(&place.pool())?, place)
    }

    fn of(folder: Folder, place: &Place) -> Result<Self> {
        let subject = Subject { boot: origin::this_boot(), folder: folder.identity()? };
        let shelf = Shelf::open(&place.data_dir, &place.network)
            .inspect_err(|error| log::debug(|| format!("nothing is kept: {error}")))
            .ok();
        let stamp = folder.stamp()?;
        let index = shelf.as_ref().and_then(|shelf| index::read(shelf, &subject, stamp));
        let mark = index.is_some().then_some(stamp);
        let memory = match (&shelf, place.remembers) {
            (Some(shelf), true) => Some(Memory::open(shelf, &subject)),
            _ => None,
        };
        let (seen, fresh, changed) = (None, false, false);
        Ok(Self { folder, subject, shelf, index, seen, fresh, mark, changed, memory })
    }

    /// The pool folder, for messages.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Every address file. Reads them all, unless this call has done so already.
    pub fn leases(&mut self) -> Result<Rc<Vec<Lease>>> {
        match &self.seen {
            Some(seen) => Ok(Rc::clone(seen)),
            None => self.survey(),
        }
    }

    /// Reads every address file, and makes the index anew from them.
    fn survey(&mut self) -> Result<Rc<Vec<Lease>>> {
        log::debug(|| format!("reading all of {}", self.path().display()));
        // The mark comes first: what somebody else changes from here on takes it away.
        self.mark = self.put_mark();
        let leases = crowd::each(&self.folder.list()?, |ip| {
            Ok(self.folder.read_lease(ip)?.map(|holder| Lease { ip, holder }))
        });
        let leases: Vec<Option<Lease>> = leases.into_iter().collect::<Result<_>>()?;
        self.fresh = true;
        self.learn(leases.into_iter().flatten().collect())
    }

    /// Makes the index of `leases`, which are all there are.
    fn learn(&mut self, leases: Vec<Lease>) -> Result<Rc<Vec<Lease>>> {
        let index = Index::of(&leases).map_err(|error| Error::io("index", self.path(), &error))?;
        let leases = Rc::new(leases);
        (self.index, self.seen, self.changed) = (Some(index), Some(Rc::clone(&leases)), true);
        Ok(leases)
    }

    /// Who holds `ip`.
    pub fn holder(&self, ip: IpAddr) -> Result<Option<Holder>> {
        self.folder.read_lease(ip)
    }

    /// Gives `ip` to the attachment; `false` if somebody holds it.
    pub fn take(&mut self, ip: IpAddr, container: &ContainerId, ifname: &IfName) -> Result<bool> {
        let boot = self.subject.boot.as_deref();
        let draft = self.folder.draft(Holder::content(container, ifname), boot)?;
        let made = self.change(|folder| folder.publish(&draft, ip))?;
        let holder = Holder::Attachment(container.clone(), ifname.clone());
        if made {
            self.note(|index| index.insert(ip, &holder));
        } else if self.fresh {
            self.note(|index| index.set_held(ip, true));
        } else {
            // The index took it for free: it misses a file, and perhaps more than this one.
            self.survey()?;
        }
        Ok(made)
    }

    /// Frees `ip`, which the attachment holds.
    pub fn release(&mut self, ip: IpAddr, container: &ContainerId, ifname: &IfName) -> Result<()> {
        self.change(|folder| folder.remove_lease(ip))?;
        self.note(|index| {
            index.remove(ip, container.as_str(), ifname.as_str())?;
            index.remove(ip, container.as_str(), "")
        });
        if let Some(memory) = &mut self.memory {
            memory.note_release(ip);
        }
        Ok(())
    }

    /// Frees `addresses`, whoever holds them; what could not be done.
    pub fn reclaim(&mut self, addresses: &[IpAddr]) -> Result<Vec<Error>> {
        let leases = self.leases()?;
        // Reading again the few that are left is quicker than a mark for each of many.
        let most = addresses.len() > leases.len() / 2;
        let removed: Vec<Result<()>> = match most {
            true => crowd::each(addresses, |ip| self.folder.remove_lease(ip)),
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
        if let Some(memory) = &mut self.memory {
            gone.iter().for_each(|ip| memory.note_release(*ip));
        }
        if most && !addresses.is_empty() {
            self.survey()?;
        } else {
            let left = leases.iter().filter(|lease| !gone.contains(&lease.ip)).cloned();
            self.learn(left.collect())?;
        }
        Ok(failures)
    }

    /// Whether the file of `ip` was made by this suite in an earlier boot.
    pub fn is_of_earlier_boot(&self, ip: IpAddr) -> bool {
        let Some(now) = &self.subject.boot else { return false };
        self.folder.boot_of(ip).is_some_and(|boot| boot != *now)
    }

    /// The address given last of the set `index`.
    pub fn last_given(&self, index: usize) -> Option<IpAddr> {
        self.folder.last_given(index)
    }

    /// Records the address given last of the set `index`.
    pub fn set_last_given(&mut self, index: usize, ip: IpAddr) -> Result<()> {
        if self.folder.has_last_given(index) {
            return self.folder.set_last_given(index, ip);
        }
        self.change(|folder| folder.set_last_given(index, ip))
    }

    /// What is remembered of free addresses, if the configuration wants any of it.
    pub fn memory(&mut self) -> Option<&mut Memory> {
        self.memory.as_mut()
    }

    /// Keeps what is known for the next call. What can't be kept is found out anew by it.
    pub fn settle(&mut self) {
        let Some(shelf) = &self.shelf else { return };
        let mut kept = Ok(());
        if let (Some(mark), Some(index), true) = (self.mark, &mut self.index, self.changed) {
            kept = index::write(shelf, index, &self.subject, mark);
            self.changed = kept.is_err();
        }
        let remembered = self.memory.as_mut().map_or(Ok(()), |memory| memory.save(shelf));
        if let Err(error) = kept.and(remembered) {
            log::debug(|| format!("not everything is kept: {error}"));
        }
    }

    /// Does one change of the folder between two looks at its mark.
    ///
    /// Somebody else's change before ours has taken the mark away, one after ours takes the new one
    /// away. (`docs/decisions/0007` says what can fall between.)
    fn change<T>(&mut self, work: impl FnOnce(&Folder) -> Result<T>) -> Result<T> {
        // One mark for the whole call, so that each change finds what the one before it left.
        let next = match self.mark {
            Some(mark) if self.changed => Some(mark),
            Some(_) => Some(Stamp::random()),
            None => None,
        };
        let undisturbed = self.mark.is_some() && self.folder.stamp().ok() == self.mark;
        let done = work(&self.folder);
        let marked =
            next.filter(|_| undisturbed).and_then(|mark| mark.put_and_read(self.folder.dir()).ok());
        self.mark = marked.filter(|mark| mark.is_mark());
        (self.changed, self.seen) = (true, None);
        done
    }

    /// A new mark on the folder; `None` where marks do not last or nothing is kept.
    fn put_mark(&self) -> Option<Stamp> {
        self.shelf.as_ref()?;
        // Without it an index would be trusted over a reboot, and what a power loss made of it.
        self.subject.boot.as_ref()?;
        let mark = Stamp::random().put_and_read(self.folder.dir()).ok()?;
        mark.is_mark().then_some(mark)
    }

    /// Notes a change in the index. An index that could not take the note is not kept.
    fn note(&mut self, work: impl FnOnce(&mut Index) -> io::Result<()>) {
        let Some(index) = &mut self.index else { return };
        if let Err(error) = work(index) {
            log::debug(|| format!("the index is not kept: {error}"));
            (self.mark, self.index) = (None, None);
        }
    }
}

//! The pool: which addresses are held, and by whom.
//!
//! A [`Pool`] exists only while its lock is held; dropping it lets go. The address files are the
//! truth ([`folder`]); an index beside them ([`index`]) spares reading them all, and is trusted only
//! while a mark on the folder ([`mark`]) proves that nobody else changed it. Nothing here knows ranges
//! or a configuration.

mod folder;
mod index;
mod lease;
mod mark;
mod origin;
mod table;

use std::io;
use std::net::IpAddr;
use std::path::Path;

use cni_common::types::{ContainerId, IfName};
use cni_common::{Result, log};

pub(crate) use lease::Holder;

use crate::config::Place;
use crate::range::Span;
use folder::Folder;
use index::{Index, Shelf, Subject};
use mark::Stamp;

/// A pool whose lock is held by this process.
#[derive(Debug)]
pub(crate) struct Pool {
    folder: Folder,
    subject: Subject,
    shelf: Option<Shelf>,
    index: Index,
    /// The folder's time as it must be if nobody but this process changed it; `None` when somebody
    /// did, or when marks do not last here. Then nothing is kept for the next call.
    mark: Option<Stamp>,
    /// Whether the index was made from the files by this very call.
    fresh: bool,
    /// Whether the kept index is not the present one.
    changed: bool,
}

impl Pool {
    /// The pool at `place`; `None` if there is no such folder. Waits for its lock.
    pub(crate) fn open(place: &Place) -> Result<Option<Self>> {
        Folder::open(&place.pool())?.map(|folder| Self::of(folder, place)).transpose()
    }

    /// The same, making the folder if there is none.
    pub(crate) fn create(place: &Place) -> Result<Self> {
        Self::of(Folder::create(&place.pool())?, place)
    }

    fn of(folder: Folder, place: &Place) -> Result<Self> {
        let boot = origin::this_boot().unwrap_or_default();
        let subject = Subject { boot, folder: folder.identity()? };
        let shelf = Shelf::open(&place.data_dir, &place.network);
        let shelf =
            shelf.inspect_err(|error| log::debug(|| format!("no index is kept: {error}"))).ok();
        let stamp = folder.stamp()?;
        if let Some(index) = shelf.as_ref().and_then(|shelf| shelf.read(&subject, stamp)) {
            let mark = Some(stamp);
            return Ok(Self { folder, subject, shelf, index, mark, fresh: false, changed: false });
        }
        let mark = None;
        let index = Index::of(&[]).map_err(|error| Self::broken(&folder, &error))?;
        let mut pool = Self { folder, subject, shelf, index, mark, fresh: false, changed: false };
        pool.survey()?;
        Ok(pool)
    }

    /// The pool folder, for messages.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Reads every address file, and makes the index anew from them.
    pub(crate) fn survey(&mut self) -> Result<Vec<(IpAddr, Holder)>> {
        log::debug(|| format!("reading all of {}", self.path().display()));
        // The mark comes first: what somebody else changes from here on takes it away.
        self.mark = self.put_mark();
        let mut leases = Vec::new();
        for ip in self.folder.list()? {
            if let Some(holder) = self.folder.read_lease(ip)? {
                leases.push((ip, holder));
            }
        }
        self.index = Index::of(&leases).map_err(|error| Self::broken(&self.folder, &error))?;
        (self.fresh, self.changed) = (true, true);
        Ok(leases)
    }

    /// The addresses that the attachment holds; those of an old file for the container only when
    /// there is none that names the interface, as in the reference.
    pub(crate) fn held_by(
        &mut self,
        container: &ContainerId,
        ifname: &IfName,
    ) -> Result<Vec<IpAddr>> {
        if !self.fresh {
            match self.known(container, ifname)? {
                Some(addresses) => return Ok(addresses),
                None => drop(self.survey()?),
            }
        }
        Ok(self.known(container, ifname)?.unwrap_or_default())
    }

    /// What the index says the attachment holds, if the files agree.
    fn known(&mut self, container: &ContainerId, ifname: &IfName) -> Result<Option<Vec<IpAddr>>> {
        let attachment = Holder::Attachment(container.clone(), ifname.clone());
        let old = Holder::Container(container.clone());
        for (holder, ifname) in [(attachment.clone(), ifname.as_str()), (old.clone(), "")] {
            let Ok(addresses) = self.index.held_by(container.as_str(), ifname) else {
                return Ok(None);
            };
            for ip in &addresses {
                if self.folder.read_lease(*ip)?.as_ref() != Some(&holder) {
                    return Ok(None);
                }
            }
            if !addresses.is_empty() {
                return Ok(Some(addresses));
            }
        }
        self.half_written(container, [attachment, old])
    }

    /// Looks at the few files whose writers may have gone on since the index was made.
    fn half_written(
        &mut self,
        container: &ContainerId,
        wanted: [Holder; 2],
    ) -> Result<Option<Vec<IpAddr>>> {
        let Ok(odd) = self.index.odd() else { return Ok(None) };
        let mut addresses = Vec::new();
        for ip in odd {
            match self.folder.read_lease(ip)? {
                Some(holder) if wanted.contains(&holder) => return Ok(None),
                Some(Holder::HalfWritten(id)) if id == *container => addresses.push(ip),
                _ => {}
            }
        }
        Ok(Some(addresses))
    }

    /// Who holds `ip`.
    pub(crate) fn holder(&self, ip: IpAddr) -> Result<Option<Holder>> {
        self.folder.read_lease(ip)
    }

    /// The first address of `spans` that nobody holds, as far as is known.
    pub(crate) fn first_free(&mut self, spans: &[Span]) -> Result<Option<IpAddr>> {
        match self.find_free(spans) {
            Ok(Some(ip)) => Ok(Some(ip)),
            Ok(None) if self.fresh => Ok(None),
            // Before an ADD is refused, the files themselves are asked.
            Ok(None) | Err(_) => {
                self.survey()?;
                self.find_free(spans).map_err(|error| Self::broken(&self.folder, &error))
            }
        }
    }

    fn find_free(&mut self, spans: &[Span]) -> io::Result<Option<IpAddr>> {
        for span in spans {
            if let Some(ip) = self.index.first_free(*span)? {
                return Ok(Some(ip));
            }
        }
        Ok(None)
    }

    /// Gives `ip` to the attachment; `false` if somebody holds it.
    pub(crate) fn take(
        &mut self,
        ip: IpAddr,
        container: &ContainerId,
        ifname: &IfName,
    ) -> Result<bool> {
        let content = Holder::content(container, ifname);
        let boot = self.subject.boot.clone();
        let made = self.change(|folder| folder.create_lease(ip, &content, &boot))?;
        let holder = Holder::Attachment(container.clone(), ifname.clone());
        let noted = match made {
            true => self.index.insert(ip, &holder),
            // The index took it for free: it misses a file, and perhaps more than this one.
            false if !self.fresh => return self.survey().map(|_leases| false),
            false => self.index.set_held(ip, true),
        };
        self.note(noted);
        Ok(made)
    }

    /// Frees `ip`, which the attachment holds.
    pub(crate) fn release(
        &mut self,
        ip: IpAddr,
        container: &ContainerId,
        ifname: &IfName,
    ) -> Result<()> {
        self.change(|folder| folder.remove_lease(ip))?;
        for ifname in [ifname.as_str(), ""] {
            let noted = self.index.remove(ip, container.as_str(), ifname);
            self.note(noted);
        }
        Ok(())
    }

    /// Frees `ip`, whoever holds it. The index is made anew afterwards.
    pub(crate) fn reclaim(&mut self, ip: IpAddr) -> Result<()> {
        self.change(|folder| folder.remove_lease(ip))
    }

    /// Whether the file of `ip` was made by this suite in an earlier boot.
    pub(crate) fn is_of_earlier_boot(&self, ip: IpAddr) -> bool {
        let now = &self.subject.boot;
        !now.is_empty() && self.folder.boot_of(ip).is_some_and(|boot| boot != *now)
    }

    /// The address given last of the set `index`.
    pub(crate) fn last_given(&self, index: usize) -> Result<Option<IpAddr>> {
        self.folder.last_given(index)
    }

    /// Records the address given last of the set `index`.
    pub(crate) fn set_last_given(&mut self, index: usize, ip: IpAddr) -> Result<()> {
        if self.folder.has_last_given(index) {
            return self.folder.set_last_given(index, ip);
        }
        self.change(|folder| folder.set_last_given(index, ip))
    }

    /// Keeps what is known for the next call. What can't be kept is found out anew by it.
    pub(crate) fn settle(&mut self) {
        let (Some(shelf), Some(mark), true) = (&self.shelf, self.mark, self.changed) else {
            return;
        };
        match shelf.write(&mut self.index, &self.subject, mark) {
            Ok(()) => self.changed = false,
            Err(error) => log::debug(|| format!("the index is not kept: {error}")),
        }
    }

    /// Does one change of the folder between two looks at its mark.
    ///
    /// Somebody else's change before ours has taken the mark away, one after ours takes the new one
    /// away. (`docs/decisions/0007` says what can fall between.)
    fn change<T>(&mut self, work: impl FnOnce(&Folder) -> Result<T>) -> Result<T> {
        let undisturbed = self.mark.is_some() && self.folder.stamp().ok() == self.mark;
        let done = work(&self.folder);
        self.mark = match undisturbed {
            // One mark for the whole call, so that the next change finds what this one left.
            true if self.changed => self.mark.filter(|mark| mark.put(self.folder.dir()).is_ok()),
            true => self.put_mark(),
            false => None,
        };
        self.changed = true;
        done
    }

    /// A new mark on the folder; `None` where marks do not last.
    fn put_mark(&self) -> Option<Stamp> {
        // Without a shelf there is nothing to be trusted later.
        self.shelf.as_ref()?;
        let mark = Stamp::random().put_and_read(self.folder.dir()).ok()?;
        mark.is_mark().then_some(mark)
    }

    /// An index that could not take a note is not kept.
    fn note(&mut self, noted: io::Result<()>) {
        if let Err(error) = noted {
            log::debug(|| format!("the index is not kept: {error}"));
            self.mark = None;
        }
    }

    fn broken(folder: &Folder, error: &io::Error) -> cni_common::Error {
        cni_common::Error::io("index", folder.path(), error)
    }
}

//! What is known of a pool without reading it: who holds which address, and which are held.
//!
//! Never the truth, only the way to it: a hit is checked by reading the file it names, an address
//! taken for free is created exclusively, and the whole is trusted only while its [`Stamp`] is that
//! of the pool folder (see `docs/decisions/0007`). Kept in one file beside the pool folders.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::lease::Holder;
use super::mark::Stamp;
use super::table::{PAGE, Slot, Table, key};
use crate::range::{Span, address_of, number_of};

/// The folder of all indexes of a `dataDir`. No network's name begins with a dot.
const FOLDER: &str = ".causeway";
/// Leads an index file; another version of its form has another word.
const MAGIC: [u8; 8] = *b"cwpool01";
/// Addresses a record of the free map tells about: the bits of its value.
const BLOCK: u128 = 64;

/// What the index must be of, to be of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// The running boot.
    pub(super) boot: String,
    /// Device and inode of the pool folder.
    pub(super) folder: (u64, u64),
}

/// The index of one pool.
#[derive(Debug)]
pub(super) struct Index {
    table: Table,
    /// How many files there are that nobody holds or that are not understood. They alone may
    /// come to mean something else without the folder changing, when their writer goes on.
    odd: u64,
}

impl Index {
    /// An index of `leases`, in memory.
    pub(super) fn of(leases: &[(IpAddr, Holder)]) -> io::Result<Self> {
        let mut index = Self { table: Table::new(leases.len() as u64), odd: 0 };
        for (ip, holder) in leases {
            index.insert(*ip, holder)?;
        }
        Ok(index)
    }

    /// Notes that `holder` holds `ip`.
    pub(super) fn insert(&mut self, ip: IpAddr, holder: &Holder) -> io::Result<()> {
        self.set_held(ip, true)?;
        match holder {
            Holder::Attachment(id, ifname) => self.table.put(Slot {
                key: attachment_key(id.as_str(), ifname.as_str()),
                number: number_of(ip),
                value: 0,
            }),
            Holder::Container(id) => self.table.put(Slot {
                key: attachment_key(id.as_str(), ""),
                number: number_of(ip),
                value: 0,
            }),
            Holder::HalfWritten(_) | Holder::Nobody | Holder::Unknown => {
                self.table.put(Slot { key: odd_key(self.odd), number: number_of(ip), value: 0 })?;
                self.odd += 1;
                Ok(())
            }
        }
    }

    /// Notes that `holder` no longer holds `ip`.
    pub(super) fn remove(&mut self, ip: IpAddr, container: &str, ifname: &str) -> io::Result<()> {
        self.set_held(ip, false)?;
        self.table.remove(attachment_key(container, ifname), number_of(ip))
    }

    /// The addresses that the container holds with this interface; `""` stands for the old format.
    pub(super) fn held_by(&mut self, container: &str, ifname: &str) -> io::Result<Vec<IpAddr>> {
        let slots = self.table.find(attachment_key(container, ifname))?;
        Ok(slots.iter().map(|slot| address_of(slot.number)).collect())
    }

    /// The files that nobody holds or that are not understood.
    pub(super) fn odd(&mut self) -> io::Result<Vec<IpAddr>> {
        let mut addresses = Vec::new();
        for number in 0..self.odd {
            let slots = self.table.find(odd_key(number))?;
            addresses.extend(slots.iter().map(|slot| address_of(slot.number)));
        }
        Ok(addresses)
    }

    /// Notes whether there is a file of `ip`.
    pub(super) fn set_held(&mut self, ip: IpAddr, held: bool) -> io::Result<()> {
        let number = number_of(ip);
        let block = number / BLOCK;
        let bit = 1_u64 << (number % BLOCK);
        let before = self.block(block)?;
        match if held { before | bit } else { before & !bit } {
            0 => self.table.remove(block_key(block), block),
            after if after == before => Ok(()),
            after => self.table.put(Slot { key: block_key(block), number: block, value: after }),
        }
    }

    fn block(&mut self, block: u128) -> io::Result<u64> {
        Ok(self.table.get(block_key(block), block)?.map_or(0, |slot| slot.value))
    }

    /// The first address of `span` that there is no file of.
    pub(super) fn first_free(&mut self, span: Span) -> io::Result<Option<IpAddr>> {
        let mut next = span.first;
        while next <= span.last {
            let skip = next % BLOCK;
            let held = self.block(next / BLOCK)? >> skip;
            let free = next + u128::from(held.trailing_ones());
            let end = next + (BLOCK - skip);
            if free < end {
                return Ok((free <= span.last).then(|| address_of(free)));
            }
            next = end;
        }
        Ok(None)
    }
}

fn attachment_key(container: &str, ifname: &str) -> u64 {
    key(&[b"held", container.as_bytes(), ifname.as_bytes()])
}

fn block_key(block: u128) -> u64 {
    key(&[b"block", &block.to_le_bytes()])
}

fn odd_key(number: u64) -> u64 {
    key(&[b"odd", &number.to_le_bytes()])
}

/// Where the index of one pool is kept.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: OwnedFd,
    name: String,
}

impl Shelf {
    /// The shelf of `network` in `data_dir`, made if need be. Without one, nothing is kept.
    pub(super) fn open(data_dir: &Path, network: &str) -> io::Result<Self> {
        let directory = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let open = || {
            let path = data_dir.join(FOLDER);
            openat(AT_FDCWD, &path, directory | OFlag::O_NOFOLLOW, Mode::empty())
        };
        let folder = match open() {
            Err(Errno::ENOENT) => {
                mkdirat(AT_FDCWD, &data_dir.join(FOLDER), Mode::S_IRWXU)?;
                open()?
            }
            other => other?,
        };
        Ok(Self { folder, name: format!("{network}.index") })
    }

    /// The index, if it is whole, of `subject`, and if nothing changed in the pool folder, whose
    /// time is `stamp`, or in the index itself since both were marked.
    pub(super) fn read(&self, subject: &Subject, stamp: Stamp) -> Option<Index> {
        if !stamp.is_mark() {
            return None;
        }
        let file = self.open_file(&self.name, OFlag::O_RDWR).ok()?;
        let stat = fstat(&file).ok()?;
        if Stamp::of(&file).ok()? != stamp {
            return None;
        }
        let mut page = [0; PAGE];
        file.read_exact_at(&mut page, 0).ok()?;
        let header = Header::read(&page, subject)?;
        let size = u64::try_from(stat.st_size).ok()?;
        let sound = header.mark == stamp
            && header.buckets.is_power_of_two()
            && Table::size(header.buckets) == Some(size);
        sound.then(|| Index {
            table: Table::open(file, header.buckets, header.records),
            odd: header.odd,
        })
    }

    /// Keeps `index`, to be trusted while `stamp` is the pool folder's time.
    pub(super) fn write(
        &self,
        index: &mut Index,
        subject: &Subject,
        stamp: Stamp,
    ) -> io::Result<()> {
        let fresh = format!("{}.new", self.name);
        let renamed = index.table.file().is_none();
        if renamed {
            unlinkat(&self.folder, fresh.as_str(), UnlinkatFlags::NoRemoveDir).ok();
            let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
            index.table.write_all(self.open_file(&fresh, flags)?)?;
        } else {
            index.table.write_changes()?;
        }
        let header = Header {
            mark: stamp,
            buckets: index.table.buckets(),
            records: index.table.records(),
            odd: index.odd,
        };
        let Some(file) = index.table.file() else { return Err(io::Error::other("no file")) };
        file.write_all_at(&header.page(subject), 0)?;
        if stamp.put_and_read(file)? != stamp {
            return Err(io::Error::other("the mark does not last"));
        }
        if renamed {
            renameat(&self.folder, fresh.as_str(), &self.folder, self.name.as_str())?;
        }
        Ok(())
    }

    fn open_file(&self, name: &str, flags: OFlag) -> io::Result<File> {
        let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        Ok(openat(&self.folder, name, flags, mode)?.into())
    }
}

/// Page 0 of an index file: magic, boot, folder, mark, numbers; all little-endian.
struct Header {
    mark: Stamp,
    buckets: u64,
    records: u64,
    odd: u64,
}

impl Header {
    fn lead(subject: &Subject) -> Vec<u8> {
        let mut lead = MAGIC.to_vec();
        lead.extend(key(&[subject.boot.as_bytes()]).to_le_bytes());
        lead.extend(subject.folder.0.to_le_bytes());
        lead.extend(subject.folder.1.to_le_bytes());
        lead
    }

    fn page(&self, subject: &Subject) -> Vec<u8> {
        let mut page = Self::lead(subject);
        page.extend(self.mark.seconds.to_le_bytes());
        page.extend(self.mark.nanoseconds.to_le_bytes());
        for number in [self.buckets, self.records, self.odd] {
            page.extend(number.to_le_bytes());
        }
        page.resize(PAGE, 0);
        page
    }

    fn read(page: &[u8], subject: &Subject) -> Option<Self> {
        let mut rest = page.strip_prefix(Self::lead(subject).as_slice())?;
        let mut number = || {
            let (bytes, after) = rest.split_first_chunk()?;
            rest = after;
            Some(u64::from_le_bytes(*bytes))
        };
        let (seconds, nanoseconds) = (number()?.cast_signed(), number()?.cast_signed());
        let mark = Stamp { seconds, nanoseconds };
        Some(Self { mark, buckets: number()?, records: number()?, odd: number()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn span(first: &str, last: &str) -> Span {
        Span::new(ip(first), ip(last))
    }

    #[test]
    fn the_first_free_address_is_found_across_blocks() {
        let held: Vec<_> =
            (2..=200).map(|n| (ip(&format!("10.0.0.{n}")), Holder::Unknown)).collect();
        let mut index = Index::of(&held).unwrap();
        let mut free = |first, last| index.first_free(span(first, last)).unwrap();
        assert_eq!(free("10.0.0.1", "10.0.0.254"), Some(ip("10.0.0.1")));
        assert_eq!(free("10.0.0.2", "10.0.0.254"), Some(ip("10.0.0.201")));
        assert_eq!(free("10.0.0.2", "10.0.0.200"), None);
        assert_eq!(free("10.0.0.150", "10.0.1.254"), Some(ip("10.0.0.201")));
        assert_eq!(free("fd00::5", "fd00::ffff"), Some(ip("fd00::5")));
        index.set_held(ip("10.0.0.77"), false).unwrap();
        let found = index.first_free(span("10.0.0.2", "10.0.0.200")).unwrap();
        assert_eq!(found, Some(ip("10.0.0.77")));
    }

    #[test]
    fn holders_are_found_by_attachment_and_old_format() {
        let new = |id: &str| Holder::Attachment(id.parse().unwrap(), "eth0".parse().unwrap());
        let old = Holder::Container("c2".parse().unwrap());
        let leases = [
            (ip("10.0.0.2"), new("c1")),
            (ip("fd00::2"), new("c1")),
            (ip("10.0.0.3"), old),
            (ip("10.0.0.4"), Holder::Nobody),
        ];
        let mut index = Index::of(&leases).unwrap();
        assert_eq!(index.held_by("c1", "eth0").unwrap(), [ip("10.0.0.2"), ip("fd00::2")]);
        assert!(index.held_by("c1", "eth1").unwrap().is_empty());
        assert_eq!(index.held_by("c2", "").unwrap(), [ip("10.0.0.3")]);
        assert_eq!(index.odd().unwrap(), [ip("10.0.0.4")]);
        index.remove(ip("10.0.0.2"), "c1", "eth0").unwrap();
        assert_eq!(index.held_by("c1", "eth0").unwrap(), [ip("fd00::2")]);
    }
}

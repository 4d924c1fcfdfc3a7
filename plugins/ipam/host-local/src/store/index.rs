//! What is known of a pool without reading it: who holds which address, and which are held.
//!
//! Never the truth, only the way to it: a hit is checked by reading the file it names, an address
//! taken for free is created exclusively, and the whole is trusted only while its [`Mtime`] is that
//! of the pool folder (see `docs/decisions/0007`). Kept in one file beside the pool folders.

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileExt;

use cni_common::types::PoolRecord;
use nix::sys::stat::fstat;

use super::cache::Cache;
use super::lease::{Holder, Lease};
use super::stamp::Mtime;
use super::table::{PAGE, Slot, Table, key};
use crate::address::{Span, address_of, number_of};

/// What the cache knows an index by.
const KIND: &str = "index";
/// Leads an index file; another version of its form has another word.
const MAGIC: [u8; 8] = *b"cwpool02";
/// Addresses a record of the free map tells about: the bits of its value.
const BLOCK: u128 = 64;

/// What the index must be of, to be of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// The running boot, where it is told.
    pub(super) boot: Option<String>,
    /// Device and inode of the pool folder.
    pub(super) folder: (u64, u64),
}

impl Identity {
    /// A number for the boot.
    pub(super) fn boot_key(&self) -> u64 {
        key(&[self.boot.as_deref().unwrap_or_default().as_bytes()])
    }
}

/// The index of one pool.
#[derive(Debug)]
pub(super) struct Index {
    table: Table,
    /// How many files there are that nobody holds or that are not understood. They alone may
    /// come to mean something else without the folder changing, when their writer goes on.
    unclear: u64,
    /// What the record of addresses that were given is known by.
    record: PoolRecord,
}

impl Index {
    /// An index of `leases`, in memory, with which `record` begins.
    pub(super) fn of(leases: &[Lease], record: PoolRecord) -> io::Result<Self> {
        let mut index = Self { table: Table::new(leases.len() as u64), unclear: 0, record };
        for lease in leases {
            index.insert(lease.ip, &lease.holder)?;
        }
        Ok(index)
    }

    /// What the record of addresses that were given is known by.
    pub(super) fn record(&self) -> PoolRecord {
        self.record
    }

    /// Whether `ip` was held at any time since the record began.
    pub(super) fn was_given(&mut self, ip: IpAddr) -> io::Result<bool> {
        let number = number_of(ip);
        let given = self.block(given_key, number / BLOCK)?;
        Ok(given >> (number % BLOCK) & 1 == 1)
    }

    /// Goes on with the record of `before`, which knew the pool until now.
    pub(super) fn continue_record(&mut self, before: &mut Self) -> io::Result<()> {
        for slot in before.table.all()? {
            if slot.key == given_key(slot.number) {
                self.table.put(slot)?;
            }
        }
        self.record = before.record;
        Ok(())
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
                self.table.put(Slot {
                    key: unclear_key(self.unclear),
                    number: number_of(ip),
                    value: 0,
                })?;
                self.unclear += 1;
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
    pub(super) fn unclear(&mut self) -> io::Result<Vec<IpAddr>> {
        let mut addresses = Vec::new();
        for number in 0..self.unclear {
            let slots = self.table.find(unclear_key(number))?;
            // They are numbered without a gap: a header that counts more of them is wrong.
            if slots.is_empty() {
                break;
            }
            addresses.extend(slots.iter().map(|slot| address_of(slot.number)));
        }
        Ok(addresses)
    }

    /// Notes whether there is a file of `ip`.
    pub(super) fn set_held(&mut self, ip: IpAddr, held: bool) -> io::Result<()> {
        let number = number_of(ip);
        let block = number / BLOCK;
        let bit = 1_u64 << (number % BLOCK);
        if held {
            let given = self.block(given_key, block)?;
            self.set_block(given_key, block, (given, given | bit))?;
        }
        let before = self.block(block_key, block)?;
        let after = if held { before | bit } else { before & !bit };
        self.set_block(block_key, block, (before, after))
    }

    fn block(&mut self, kind: fn(u128) -> u64, block: u128) -> io::Result<u64> {
        Ok(self.table.get(kind(block), block)?.map_or(0, |slot| slot.value))
    }

    fn set_block(
        &mut self,
        kind: fn(u128) -> u64,
        block: u128,
        (before, after): (u64, u64),
    ) -> io::Result<()> {
        match after {
            0 => self.table.remove(kind(block), block),
            _ if after == before => Ok(()),
            _ => self.table.put(Slot { key: kind(block), number: block, value: after }),
        }
    }

    /// The first address of `span` that there is no file of.
    pub(super) fn first_free(&mut self, span: Span) -> io::Result<Option<IpAddr>> {
        let mut next = span.first;
        while next <= span.last {
            let held = u128::from(
                (self.block(block_key, next / BLOCK)? >> (next % BLOCK)).trailing_ones(),
            );
            let last = next | (BLOCK - 1);
            if held <= last - next {
                let free = next + held;
                return Ok((free <= span.last).then(|| address_of(free)));
            }
            // The last block of all has none behind it.
            let Some(end) = last.checked_add(1) else { break };
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

/// Of the addresses of a block that were given since the record began. The lowest bits, by which a page is
/// chosen, are those of the block's own key: one page has both.
fn given_key(block: u128) -> u64 {
    block_key(block) ^ (1 << 63)
}

fn unclear_key(number: u64) -> u64 {
    key(&[b"@unclear", &number.to_le_bytes()])
}

/// The kept index, if it is whole, of `identity`, and if nothing changed in the pool folder, whose
/// time is `mtime`, or in the index itself since both were stamped.
pub(super) fn read(cache: &Cache, identity: &Identity, mtime: Mtime) -> Option<Index> {
    if !mtime.is_stamp() || identity.boot.is_none() {
        return None;
    }
    let file = cache.open_file(KIND)?;
    let stat = fstat(&file).ok()?;
    if (Mtime { seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec }) != mtime {
        return None;
    }
    let mut page = [0; PAGE];
    file.read_exact_at(&mut page, 0).ok()?;
    let header = Header::read(&page, identity)?;
    let size = u64::try_from(stat.st_size).ok()?;
    let sound = header.stamp == mtime
        && header.buckets.is_power_of_two()
        && Table::size(header.buckets) == Some(size);
    sound.then(|| Index {
        table: Table::open(file, header.buckets, header.records),
        unclear: header.unclear,
        record: PoolRecord::new(header.record),
    })
}

/// Keeps `index`, to be trusted while `stamp` is the pool folder's time.
pub(super) fn write(
    cache: &Cache,
    index: &mut Index,
    identity: &Identity,
    stamp: Mtime,
) -> io::Result<()> {
    let table = &mut index.table;
    let header = Header {
        stamp,
        buckets: table.buckets(),
        records: table.records(),
        unclear: index.unclear,
        record: index.record.number(),
    };
    cache.save(KIND, table, |file| {
        file.write_all_at(&header.page(identity), 0)?;
        match stamp.put_and_read(file)? == stamp {
            true => Ok(()),
            false => Err(io::Error::other("the stamp does not last")),
        }
    })
}

/// Page 0 of an index file: magic, boot, folder, stamp, numbers; all little-endian.
struct Header {
    stamp: Mtime,
    buckets: u64,
    records: u64,
    unclear: u64,
    record: u64,
}

impl Header {
    fn lead(identity: &Identity) -> Vec<u8> {
        let mut lead = MAGIC.to_vec();
        lead.extend(identity.boot_key().to_le_bytes());
        lead.extend(identity.folder.0.to_le_bytes());
        lead.extend(identity.folder.1.to_le_bytes());
        lead
    }

    fn page(&self, identity: &Identity) -> Vec<u8> {
        let mut page = Self::lead(identity);
        page.extend(self.stamp.seconds.to_le_bytes());
        page.extend(self.stamp.nanoseconds.to_le_bytes());
        for number in [self.buckets, self.records, self.unclear, self.record] {
            page.extend(number.to_le_bytes());
        }
        page.resize(PAGE, 0);
        page
    }

    fn read(page: &[u8], identity: &Identity) -> Option<Self> {
        let mut rest = page.strip_prefix(Self::lead(identity).as_slice())?;
        let mut number = || {
            let (bytes, after) = rest.split_first_chunk()?;
            rest = after;
            Some(u64::from_le_bytes(*bytes))
        };
        let (seconds, nanoseconds) = (number()?.cast_signed(), number()?.cast_signed());
        let stamp = Mtime { seconds, nanoseconds };
        Some(Self {
            stamp,
            buckets: number()?,
            records: number()?,
            unclear: number()?,
            record: number()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn lease(text: &str, holder: Holder) -> Lease {
        Lease { ip: ip(text), holder }
    }

    fn index_of(leases: &[Lease]) -> io::Result<Index> {
        Index::of(leases, PoolRecord::new(7))
    }

    fn span(first: &str, last: &str) -> Span {
        Span::new(ip(first), ip(last))
    }

    #[test]
    fn the_first_free_address_is_found_across_blocks() {
        let held: Vec<_> =
            (2..=200).map(|n| lease(&format!("10.0.0.{n}"), Holder::Unknown)).collect();
        let mut index = index_of(&held).unwrap();
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
    fn the_end_of_the_address_space_is_an_end() {
        let last = |n: u128| Lease { ip: address_of(u128::MAX - n), holder: Holder::Unknown };
        let held: Vec<Lease> = (0..100).filter(|n| *n != 3).map(last).collect();
        let mut index = index_of(&held).unwrap();
        let span = |n: u128| Span { first: u128::MAX - n, last: u128::MAX };
        assert_eq!(index.first_free(span(90)).unwrap(), Some(address_of(u128::MAX - 3)));
        assert_eq!(index.first_free(span(2)).unwrap(), None);
        assert_eq!(index.first_free(span(0)).unwrap(), None);
        index.set_held(address_of(u128::MAX), false).unwrap();
        assert_eq!(index.first_free(span(2)).unwrap(), Some(address_of(u128::MAX)));
    }

    #[test]
    fn holders_are_found_by_attachment_and_old_format() {
        let new = |id: &str| Holder::Attachment(id.parse().unwrap(), "eth0".parse().unwrap());
        let old = Holder::Container("c2".parse().unwrap());
        let leases = [
            lease("10.0.0.2", new("c1")),
            lease("fd00::2", new("c1")),
            lease("10.0.0.3", old),
            lease("10.0.0.4", Holder::Nobody),
        ];
        let mut index = index_of(&leases).unwrap();
        assert_eq!(index.held_by("c1", "eth0").unwrap(), [ip("10.0.0.2"), ip("fd00::2")]);
        assert!(index.held_by("c1", "eth1").unwrap().is_empty());
        assert_eq!(index.held_by("c2", "").unwrap(), [ip("10.0.0.3")]);
        assert_eq!(index.unclear().unwrap(), [ip("10.0.0.4")]);
        index.remove(ip("10.0.0.2"), "c1", "eth0").unwrap();
        assert_eq!(index.held_by("c1", "eth0").unwrap(), [ip("fd00::2")]);
    }

    #[test]
    fn what_was_given_is_remembered_when_it_is_free_again() {
        let held = [lease("10.0.0.2", Holder::Unknown)];
        let mut index = index_of(&held).unwrap();
        index.set_held(ip("10.0.0.3"), true).unwrap();
        index.set_held(ip("10.0.0.3"), false).unwrap();
        let mut next = Index::of(&[], PoolRecord::new(8)).unwrap();
        next.continue_record(&mut index).unwrap();
        for (index, record) in [(&mut index, 7), (&mut next, 7)] {
            assert_eq!(index.record(), PoolRecord::new(record));
            let mut given = |text| index.was_given(ip(text)).unwrap();
            assert!(given("10.0.0.2") && given("10.0.0.3"));
            assert!(!given("10.0.0.4") && !given("10.0.0.66") && !given("fd00::2"));
        }
        let free = next.first_free(span("10.0.0.2", "10.0.0.9")).unwrap();
        assert_eq!(free, Some(ip("10.0.0.2")));
    }
}

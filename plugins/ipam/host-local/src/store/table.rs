//! A table of small records under 64-bit keys, a page read for a key looked up.
//!
//! The table knows nothing of leases. Page 0 is its owner's; each further page is one bucket, and a
//! bucket that would overflow doubles their number. Changes stay in memory until written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What the kernel reads and writes at once.
pub(super) const PAGE: usize = 4096;
const SLOT: usize = 32;
/// Records a page holds.
const SLOTS: usize = PAGE / SLOT;
/// Records a page holds on average at most: with twice that room, the chance that a bucket
/// overflows (Poisson, mean 64, over 128) is below 1e-11.
const FULL: u64 = 64;
/// A larger table (67 million records, 4 GiB) is none that was written here, but perhaps a file
/// with holes that takes for ever to read.
const MAX_BUCKETS: u64 = 1 << 20;
/// The smallest table: 16 pages of buckets.
const MIN_BUCKETS: u64 = 16;

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Not 0, which is an empty place.
    pub(super) key: u64,
    /// An address, or a block of them.
    pub(super) number: u128,
    /// What the key's kind makes of it.
    pub(super) value: u64,
}

impl Slot {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (key, bytes) = bytes.split_first_chunk()?;
        let (number, bytes) = bytes.split_first_chunk()?;
        let (value, _) = bytes.split_first_chunk()?;
        let slot = Self {
            key: u64::from_le_bytes(*key),
            number: u128::from_le_bytes(*number),
            value: u64::from_le_bytes(*value),
        };
        (slot.key != 0).then_some(slot)
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.key.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.value.to_le_bytes());
    }
}

#[derive(Debug, Default)]
struct Bucket {
    slots: Vec<Slot>,
    dirty: bool,
}

/// The table, in a file or not yet in one.
#[derive(Debug)]
pub(super) struct Table {
    file: Option<File>,
    buckets: u64,
    records: u64,
    loaded: BTreeMap<u64, Bucket>,
}

impl Table {
    /// An empty table with room for `records`, in no file yet.
    pub(super) fn new(records: u64) -> Self {
        let buckets = (records * 2 / FULL).next_power_of_two().max(MIN_BUCKETS);
        Self { file: None, buckets, records: 0, loaded: BTreeMap::new() }
    }

    /// The table that was written to `file` with these numbers of buckets and records.
    pub(super) fn open(file: File, buckets: u64, records: u64) -> Self {
        Self { file: Some(file), buckets, records, loaded: BTreeMap::new() }
    }

    /// The size of a file of `buckets`; `None` for more than a table has.
    pub(super) fn size(buckets: u64) -> Option<u64> {
        if buckets > MAX_BUCKETS {
            return None;
        }
        buckets.checked_add(1)?.checked_mul(PAGE as u64)
    }

    /// How many buckets there are.
    pub(super) fn buckets(&self) -> u64 {
        self.buckets
    }

    /// How many records there are.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// The file, if the whole table is in one.
    pub(super) fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// The records under `key`.
    pub(super) fn find(&mut self, key: u64) -> io::Result<Vec<Slot>> {
        let bucket = self.bucket(key)?;
        Ok(bucket.slots.iter().filter(|slot| slot.key == key).copied().collect())
    }

    /// The record under `key` and `number`.
    pub(super) fn get(&mut self, key: u64, number: u128) -> io::Result<Option<Slot>> {
        let bucket = self.bucket(key)?;
        Ok(bucket.slots.iter().find(|slot| slot.key == key && slot.number == number).copied())
    }

    /// Sets the value under the slot's key and number.
    pub(super) fn put(&mut self, slot: Slot) -> io::Result<()> {
        if self.records >= self.buckets * FULL {
            self.grow()?;
        }
        // A bucket that overflows all the same is split as often as it takes; two in a row do.
        for _ in 0..8 {
            let bucket = self.bucket(slot.key)?;
            let same = |old: &&mut Slot| old.key == slot.key && old.number == slot.number;
            if let Some(old) = bucket.slots.iter_mut().find(same) {
                *old = slot;
                bucket.dirty = true;
                return Ok(());
            }
            if bucket.slots.len() < SLOTS {
                bucket.slots.push(slot);
                bucket.dirty = true;
                self.records += 1;
                return Ok(());
            }
            self.grow()?;
        }
        Err(io::Error::other("one key has more records than a page holds"))
    }

    /// Removes the record under `key` and `number`.
    pub(super) fn remove(&mut self, key: u64, number: u128) -> io::Result<()> {
        let bucket = self.bucket(key)?;
        let before = bucket.slots.len();
        bucket.slots.retain(|slot| slot.key != key || slot.number != number);
        if bucket.slots.len() < before {
            bucket.dirty = true;
            self.records = self.records.saturating_sub(1);
        }
        Ok(())
    }

    /// Every record.
    pub(super) fn all(&mut self) -> io::Result<Vec<Slot>> {
        let mut slots = Vec::new();
        for index in 0..self.buckets {
            slots.extend(&self.page(index)?.slots);
        }
        Ok(slots)
    }

    /// Twice the buckets, in memory: the file it came from is no longer it.
    fn grow(&mut self) -> io::Result<()> {
        let slots = self.all()?;
        *self = Self {
            file: None,
            buckets: self.buckets * 2,
            records: slots.len() as u64,
            loaded: BTreeMap::new(),
        };
        for slot in slots {
            self.bucket(slot.key)?.slots.push(slot);
        }
        Ok(())
    }

    fn bucket(&mut self, key: u64) -> io::Result<&mut Bucket> {
        self.page(key & (self.buckets - 1))
    }

    fn page(&mut self, index: u64) -> io::Result<&mut Bucket> {
        use std::collections::btree_map::Entry;
        match self.loaded.entry(index) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let bucket = match &self.file {
                    Some(file) => read(file, index)?,
                    None => Bucket::default(),
                };
                Ok(entry.insert(bucket))
            }
        }
    }

    /// Writes what was changed into the table's own file.
    pub(super) fn write_changes(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else { return Err(io::Error::other("no file")) };
        for (index, bucket) in self.loaded.iter_mut().filter(|(_, bucket)| bucket.dirty) {
            file.write_all_at(&page_of(bucket), offset(*index))?;
            bucket.dirty = false;
        }
        Ok(())
    }

    /// Writes all of it into `file`, which becomes the table's own.
    pub(super) fn write_all(&mut self, file: File) -> io::Result<()> {
        file.set_len(Self::size(self.buckets).unwrap_or_default())?;
        // Pages that nothing is in stay holes, and are read as zeros.
        self.file = Some(file);
        for bucket in self.loaded.values_mut() {
            bucket.dirty = !bucket.slots.is_empty();
        }
        self.write_changes()
    }
}

fn offset(index: u64) -> u64 {
    (index + 1) * PAGE as u64
}

fn read(file: &File, index: u64) -> io::Result<Bucket> {
    let mut page = [0; PAGE];
    file.read_exact_at(&mut page, offset(index))?;
    let slots = page.chunks_exact(SLOT).filter_map(Slot::read).collect();
    Ok(Bucket { slots, dirty: false })
}

fn page_of(bucket: &Bucket) -> Vec<u8> {
    let mut page = Vec::with_capacity(PAGE);
    bucket.slots.iter().for_each(|slot| slot.write(&mut page));
    page.resize(PAGE, 0);
    page
}

/// A key for `words`, which belong together in this order. FNV-1a, its low bits stirred once more.
pub(super) fn key(words: &[&[u8]]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for word in words {
        // No word holds a byte 255 (they are UTF-8 or fixed in length).
        for byte in word.iter().chain(&[255]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^= hash >> 29;
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(n: u64) -> Slot {
        Slot { key: key(&[&n.to_le_bytes()]), number: u128::from(n) << 70, value: !n }
    }

    #[test]
    fn records_survive_growing_and_a_file() {
        let path = std::env::temp_dir().join(format!("causeway-table-{}", std::process::id()));
        let open =
            || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut table = Table::new(0);
        for n in 0..10_000 {
            table.put(slot(n)).unwrap();
        }
        assert_eq!(table.records(), 10_000);
        assert!(table.buckets() >= 128);
        table.write_all(open().unwrap()).unwrap();
        let mut table = Table::open(open().unwrap(), table.buckets(), table.records());
        for n in (0..10_000).step_by(2) {
            table.remove(slot(n).key, slot(n).number).unwrap();
        }
        table.write_changes().unwrap();
        let mut table = Table::open(open().unwrap(), table.buckets(), table.records());
        for n in 0..10_000 {
            let wanted = if n % 2 == 0 { Vec::new() } else { vec![slot(n)] };
            assert_eq!(table.find(slot(n).key).unwrap(), wanted);
        }
        assert_eq!(table.all().unwrap().len(), 5_000);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn one_key_may_have_several_records() {
        let mut table = Table::new(0);
        for number in 0..3 {
            table.put(Slot { key: 7, number, value: 0 }).unwrap();
            table.put(Slot { key: 7, number, value: 1 }).unwrap();
        }
        assert_eq!(table.find(7).unwrap().len(), 3);
        assert_eq!(table.get(7, 1).unwrap().unwrap().value, 1);
        table.remove(7, 1).unwrap();
        assert_eq!(table.get(7, 1).unwrap(), None);
        assert_eq!(table.records(), 2);
    }

    #[test]
    fn too_many_records_of_one_key_are_an_error_and_not_endless() {
        let mut table = Table::new(0);
        let failed = (0..200).any(|number| table.put(Slot { key: 9, number, value: 0 }).is_err());
        assert!(failed);
    }
}

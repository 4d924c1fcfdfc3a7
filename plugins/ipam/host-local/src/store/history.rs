//! The history of addresses that nobody holds: when they were released, and which pod had
//! them last.
//!
//! Kept only for a configuration that asks for it, and lost without harm: a lost release time is an
//! address allocated again sooner, a lost pod one that gets another address. So nothing here is stamped
//! or proved; whoever uses an answer checks it as any other request.

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

use super::cache::Cache;
use super::index::Identity;
use super::table::{PAGE, Slot, Table, key};
use crate::address::{address_of, number_of};

/// What the cache knows it by.
/// (The name that 2.0.0 gave it.)
const KIND: &str = "memory";
/// Leads the file; another version of its form has another word.
const MAGIC: [u8; 8] = *b"cwmemo01";
/// Beyond this many records the older half of the pods is forgotten: 4 MB.
const MAX_RECORDS: u64 = 65_536;
/// A record of a pod has this bit in its value, and below it when it was made, in seconds since 1970;
/// a record of a release has its time there, in milliseconds since boot.
const POD: u64 = 1 << 63;

/// The history of one pool.
#[derive(Debug)]
pub struct History {
    table: Table,
    boot: u64,
    changed: bool,
}

impl History {
    /// What was kept of it, or an empty one.
    pub(super) fn open(cache: &Cache, identity: &Identity) -> Self {
        let boot = identity.boot_key();
        let empty = Self { table: Table::new(0), boot, changed: false };
        let Some((table, kept_in)) = read(cache) else { return empty };
        let mut history = Self { table, ..empty };
        if kept_in != boot {
            // The clock of releases began anew; who had an address last is as true as before.
            history.rebuild(|slot| slot.value & POD != 0);
        }
        history
    }

    /// The address that `pod` got last out of the set `index`.
    pub fn address_of_pod(&mut self, pod: &str, index: usize) -> Option<IpAddr> {
        let slots = self.table.find(pod_key(pod, index)).ok()?;
        slots.first().map(|slot| address_of(slot.number))
    }

    /// Remembers that `pod` got `ip` out of the set `index`.
    pub fn note_pod(&mut self, pod: &str, index: usize, ip: IpAddr) {
        let key = pod_key(pod, index);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        for old in self.table.find(key).unwrap_or_default() {
            self.change(|table| table.remove(key, old.number));
        }
        let value = POD | now.as_secs();
        self.change(|table| table.put(Slot { key, number: number_of(ip), value }));
    }

    /// Remembers that `ip` was released just now.
    pub(super) fn note_release(&mut self, ip: IpAddr) {
        let Some(value) = now() else { return };
        let number = number_of(ip);
        self.change(|table| table.put(Slot { key: release_key(number), number, value }));
    }

    /// When `ip` was released, in milliseconds since boot, if that is less than `cooldown` ago.
    pub(crate) fn cooling_since(&mut self, ip: IpAddr, cooldown: Duration) -> Option<u64> {
        let number = number_of(ip);
        let released = self.table.get(release_key(number), number).ok()??.value;
        let age = now()?.checked_sub(released)?;
        (u128::from(age) < cooldown.as_millis()).then_some(released)
    }

    /// The addresses that were released less than `cooldown` ago.
    pub(super) fn cooling(&mut self, cooldown: Duration) -> Vec<IpAddr> {
        let slots = self.table.all().unwrap_or_default();
        let released = slots.iter().filter(|slot| slot.value & POD == 0);
        let addresses: Vec<IpAddr> = released.map(|slot| address_of(slot.number)).collect();
        let cools = |ip: &IpAddr| self.cooling_since(*ip, cooldown).is_some();
        addresses.into_iter().filter(cools).collect()
    }

    fn change(&mut self, work: impl FnOnce(&mut Table) -> io::Result<()>) {
        if self.table.records() > MAX_RECORDS {
            self.forget_half();
        }
        if work(&mut self.table).is_err() {
            // Not to be read any more: the history is lost, without harm.
            self.table = Table::new(0);
        }
        self.changed = true;
    }

    /// Forgets every release, and the older half of the pods.
    fn forget_half(&mut self) {
        let mut slots = self.table.all().unwrap_or_default();
        slots.retain(|slot| slot.value & POD != 0);
        slots.sort_by_key(|slot| slot.value);
        let middle = slots.get(slots.len() / 2).map_or(0, |slot| slot.value);
        self.rebuild(|slot| slot.value & POD != 0 && slot.value > middle);
    }

    fn rebuild(&mut self, keep: impl Fn(&Slot) -> bool) {
        let slots = self.table.all().unwrap_or_default();
        let kept: Vec<Slot> = slots.into_iter().filter(keep).collect();
        self.table = Table::new(kept.len() as u64);
        for slot in kept {
            // A record that finds no room is forgotten.
            self.table.put(slot).ok();
        }
        self.changed = true;
    }

    /// Keeps it on `cache`.
    pub(super) fn save(&mut self, cache: &Cache) -> io::Result<()> {
        if !self.changed {
            return Ok(());
        }
        let numbers = [self.boot, self.table.buckets(), self.table.records()];
        cache.save(KIND, &mut self.table, |file| {
            let mut page = MAGIC.to_vec();
            numbers.iter().for_each(|number| page.extend(number.to_le_bytes()));
            page.resize(PAGE, 0);
            file.write_all_at(&page, 0)
        })?;
        self.changed = false;
        Ok(())
    }
}

/// The kept table, and the key of the boot it was kept in.
fn read(cache: &Cache) -> Option<(Table, u64)> {
    let file = cache.open_file(KIND)?;
    let mut page = [0; PAGE];
    file.read_exact_at(&mut page, 0).ok()?;
    let mut rest = page.strip_prefix(&MAGIC)?;
    let mut number = || {
        let (bytes, after) = rest.split_first_chunk()?;
        rest = after;
        Some(u64::from_le_bytes(*bytes))
    };
    let (boot, buckets, records) = (number()?, number()?, number()?);
    let size = file.metadata().ok()?.len();
    let sound = buckets.is_power_of_two() && Table::size(buckets) == Some(size);
    sound.then(|| (Table::open(file, buckets, records), boot))
}

/// Milliseconds since boot, time asleep included.
fn now() -> Option<u64> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?;
    u64::try_from(Duration::from(now).as_millis()).ok()
}

fn pod_key(pod: &str, index: usize) -> u64 {
    key(&[b"pod", pod.as_bytes(), &index.to_le_bytes()])
}

fn release_key(number: u128) -> u64 {
    key(&[b"released", &number.to_le_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        History { table: Table::new(0), boot: 0, changed: false }
    }

    fn ip(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from(0x0a00_0000 + number).into()
    }

    #[test]
    fn a_pod_has_one_address_of_a_set_and_the_last_counts() {
        let mut history = history();
        history.note_pod("shop/web-0", 0, ip(2));
        history.note_pod("shop/web-0", 1, ip(3));
        history.note_pod("shop/web-0", 0, ip(4));
        assert_eq!(history.address_of_pod("shop/web-0", 0), Some(ip(4)));
        assert_eq!(history.address_of_pod("shop/web-0", 1), Some(ip(3)));
        assert_eq!(history.address_of_pod("shop/web-1", 0), None);
        assert_eq!(history.table.records(), 2);
    }

    #[test]
    fn an_address_cools_for_as_long_as_is_said() {
        let mut history = history();
        history.note_release(ip(2));
        assert!(history.cooling_since(ip(2), Duration::from_secs(60)).is_some());
        assert_eq!(history.cooling_since(ip(2), Duration::ZERO), None);
        assert_eq!(history.cooling_since(ip(3), Duration::from_secs(60)), None);
        // A time that is yet to come is none.
        let key = release_key(number_of(ip(4)));
        history.table.put(Slot { key, number: number_of(ip(4)), value: u64::MAX >> 2 }).unwrap();
        assert_eq!(history.cooling_since(ip(4), Duration::from_secs(60)), None);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut history = history();
        for number in 0..100_000 {
            history.note_release(ip(number));
        }
        assert!(history.table.records() <= MAX_RECORDS + 1);
        history.note_pod("a/b", 0, ip(5));
        assert_eq!(history.address_of_pod("a/b", 0), Some(ip(5)));
    }
}

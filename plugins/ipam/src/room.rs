//! How much room a range set has, and making some: what is held, reclaimable and free.
//!
//! Only what is proved to be nobody's is reclaimed: a lease this suite made in an earlier boot (its
//! container's namespace did not survive that), and a file whose writer never finished. Never by
//! file times, and never another plugin's lease.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use cni_common::{Result, log};

use crate::allocate;
use crate::range::RangeSet;
use crate::store::{Holder, Pool};

/// The room in one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Addresses that may be given, in all.
    pub(crate) total: u128,
    /// Of these, held by a container that may live.
    pub(crate) held: u128,
    /// Of these, held by nobody any more, and given again when nothing else is left.
    pub(crate) reclaimable: u128,
}

impl Room {
    /// Counts the room of `set` by reading every file of the pool.
    pub(crate) fn of(pool: &mut Pool, set: &RangeSet) -> Result<Self> {
        let leases = pool.survey()?;
        Ok(Self::count(pool, set, &leases))
    }

    /// Counts the room of `set` with these leases in the pool.
    pub(crate) fn count(pool: &Pool, set: &RangeSet, leases: &[(IpAddr, Holder)]) -> Self {
        let mut room = Self { total: 0, held: 0, reclaimable: 0 };
        for span in set.ranges().iter().flat_map(allocate::givable) {
            room.total = room.total.saturating_add(span.count());
        }
        for (ip, holder) in leases.iter().filter(|(ip, _)| allocate::is_givable(set, *ip)) {
            match Self::is_reclaimable(pool, *ip, holder) {
                true => room.reclaimable += 1,
                false => room.held += 1,
            }
        }
        room
    }

    /// Addresses that there is no file of.
    pub(crate) fn free(&self) -> u128 {
        self.total.saturating_sub(self.held).saturating_sub(self.reclaimable)
    }

    /// Frees all of `set` that is proved to be nobody's any more; how many that were.
    pub(crate) fn reclaim(pool: &mut Pool, set: &RangeSet) -> Result<usize> {
        let leases = pool.survey()?;
        let mut reclaimed = 0;
        for (ip, holder) in &leases {
            if allocate::is_givable(set, *ip) && Self::is_reclaimable(pool, *ip, holder) {
                Self::log_reclaim(*ip, holder);
                pool.reclaim(*ip)?;
                reclaimed += 1;
            }
        }
        if reclaimed > 0 {
            pool.survey()?;
        }
        Ok(reclaimed)
    }

    /// Whether it is proved that nobody holds `ip`, whose file names `holder`.
    pub(crate) fn is_reclaimable(pool: &Pool, ip: IpAddr, holder: &Holder) -> bool {
        holder.is_nobody() || (*holder != Holder::Unknown && pool.is_of_earlier_boot(ip))
    }

    /// The line that tells of a reclaim.
    pub(crate) fn log_reclaim(ip: IpAddr, holder: &Holder) {
        let why = match holder.is_nobody() {
            true => "its file was left unfinished",
            false => "it was given in an earlier boot",
        };
        log::debug(|| format!("reclaiming {ip} from container {}: {why}", holder.name()));
    }

    /// What an operator may do about a set without room.
    pub(crate) fn advice(&self, pool: &Path) -> String {
        format!(
            "{self}; look: `head -v {0}/*` shows the container holding each address; what to do: \
             delete the files of containers that are gone, have the runtime call GC, or give the \
             network a larger range",
            pool.display()
        )
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, held, reclaimable } = self;
        write!(f, "{held} held, {reclaimable} reclaimable, {} free of {total}", self.free())
    }
}

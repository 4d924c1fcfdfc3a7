//! How much of a range set is held, reclaimable and free; and reclaiming.
//!
//! Only what is proved to be nobody's is reclaimed: a lease this suite made in an earlier boot (its
//! container's namespace did not survive that), and a file whose writer never finished. Never by
//! file times, and never another plugin's lease.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use cni_common::{Error, Result, log};

use crate::allocate;
use crate::range::RangeSet;
use crate::store::{Lease, Pool};

/// The usage of one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Addresses that may be allocated, in all.
    pub total: u128,
    /// Of these, held by a container that may live.
    pub held: u128,
    /// Of these, held by nobody any more, and allocated again when nothing else is left.
    pub reclaimable: u128,
}

impl Usage {
    /// Counts the usage of `set` by reading every file of the pool.
    pub(crate) fn of(pool: &mut Pool, set: &RangeSet) -> Result<Self> {
        let leases = pool.leases()?;
        Ok(Self::count(set, &leases, |lease| Self::is_reclaimable(pool, lease)))
    }

    /// Counts the usage of `set`, given all of the pool's leases.
    pub fn count(
        set: &RangeSet,
        leases: &[Lease],
        is_reclaimable: impl Fn(&Lease) -> bool,
    ) -> Self {
        let mut usage = Self { total: 0, held: 0, reclaimable: 0 };
        for span in set.ranges().iter().flat_map(allocate::allocatable) {
            usage.total = usage.total.saturating_add(span.count());
        }
        for lease in leases.iter().filter(|lease| allocate::is_allocatable(set, lease.ip)) {
            match is_reclaimable(lease) {
                true => usage.reclaimable += 1,
                false => usage.held += 1,
            }
        }
        usage
    }

    /// Addresses that there is no file of.
    pub fn free(&self) -> u128 {
        self.total.saturating_sub(self.held).saturating_sub(self.reclaimable)
    }

    /// Frees all of `set` that is proved to be nobody's any more; how many that were.
    pub(crate) fn reclaim(pool: &mut Pool, set: &RangeSet) -> Result<usize> {
        let leases = pool.leases()?;
        let of_set = leases.iter().filter(|lease| allocate::is_allocatable(set, lease.ip));
        let stale: Vec<&Lease> = of_set.filter(|lease| Self::is_reclaimable(pool, lease)).collect();
        stale.iter().for_each(|lease| log_reclaim(pool, lease));
        let addresses: Vec<IpAddr> = stale.iter().map(|lease| lease.ip).collect();
        Error::join(pool.reclaim(&addresses)?)?;
        Ok(addresses.len())
    }

    /// Frees one address if it is proved to be nobody's any more.
    pub(crate) fn reclaim_one(pool: &mut Pool, ip: IpAddr) -> Result<bool> {
        // What can't be read proves nothing.
        let Ok(Some(holder)) = pool.holder(ip) else { return Ok(false) };
        let lease = Lease { ip, holder };
        if !Self::is_reclaimable(pool, &lease) {
            return Ok(false);
        }
        log_reclaim(pool, &lease);
        Error::join(pool.reclaim(&[ip])?)?;
        Ok(true)
    }

    /// Whether it is proved that nobody holds the address of `lease`.
    fn is_reclaimable(pool: &Pool, lease: &Lease) -> bool {
        pool.proof_of_file(lease).is_some()
    }

    /// What an operator may do about a full set.
    pub(crate) fn advice(&self, pool: &Path) -> String {
        format!(
            "{self}; what to do: `causeway gc` releases what dead containers hold; `causeway ls`, or \
             `head -v {0}/*`, shows who holds each address; if all of them run, give the network a \
             larger range",
            pool.display()
        )
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, held, reclaimable } = self;
        write!(f, "{held} held, {reclaimable} reclaimable, {} free of {total}", self.free())
    }
}

/// The line that tells of a reclaim.
fn log_reclaim(pool: &Pool, lease: &Lease) {
    let Some(proof) = pool.proof_of_file(lease) else { return };
    log::debug(|| {
        format!("reclaiming {} from container {}: {proof}", lease.ip, lease.holder.name())
    });
}

//! `causeway pool`: how much of each range set is taken.

use causeway_host_local::allocate;
use causeway_host_local::range::RangeSet;
use causeway_host_local::store::{Lease, View};
use causeway_host_local::usage::Usage;
use cni_common::{Error, Result};
use serde::Serialize;

use crate::exit::Exit;
use crate::networks::{Network, Networks, Places};
use crate::output::{self, Colour, Output, Table};
use crate::progress;

/// How wide a bar is, in characters.
const BAR: usize = 20;

/// The listing, as JSON has it. Numbers of addresses beyond 2^64 are that.
#[derive(Serialize)]
struct Listing {
    pools: Vec<Listed>,
}

/// One range set.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listed {
    /// The network.
    pub(crate) network: String,
    /// The pool folder.
    pub(crate) folder: String,
    /// Which of the network's range sets; `null` for what is in none of them.
    pub(crate) set: Option<usize>,
    /// The ranges.
    pub(crate) ranges: String,
    /// Addresses of its ranges.
    pub(crate) size: u64,
    /// Held by a container that may live.
    pub(crate) held: u64,
    /// Proved to be nobody's any more.
    pub(crate) reclaimable: u64,
    /// Released a short while ago.
    pub(crate) cooling_down: u64,
    /// Gateways, and what `exclude` says.
    pub(crate) excluded: u64,
    /// All others.
    pub(crate) free: u64,
    /// The address given last.
    pub(crate) last_given: Option<String>,
}

/// Shows them.
pub(crate) fn pool(places: &Places, network: Option<&str>, output: Output) -> Result<Exit> {
    let networks = Networks::read(places)?.only(network)?;
    let (pools, unread) = list(&networks);
    unread.iter().for_each(|error| output::complain(&error.to_string()));
    let listing = Listing { pools };
    output.show(&listing, || text(&listing, output))?;
    Ok(Exit::FAILED.when(!unread.is_empty()))
}

/// All range sets, and what of their pools can't be read.
pub(crate) fn list(networks: &Networks) -> (Vec<Listed>, Vec<Error>) {
    let (mut pools, mut unread) = (Vec::new(), Vec::new());
    for network in progress::each(("looked at", "pools"), networks.all.values()) {
        let (listed, faults) = of(network).unwrap_or_else(|error| (Vec::new(), vec![error]));
        pools.extend(listed);
        let doing = || format!("network {}", network.name);
        unread.extend(faults.into_iter().map(|error| error.context(doing())));
    }
    (pools, unread)
}

/// The range sets of a network, and behind them what its pool has besides; what of that can't be read.
fn of(network: &Network) -> Result<(Vec<Listed>, Vec<Error>)> {
    let Some(location) = &network.pool else { return Ok((Vec::new(), Vec::new())) };
    let view = View::open(location)?;
    let (leases, unread) = view.as_ref().map_or(Ok(Default::default()), View::leases)?;
    let is_reclaimable =
        |lease: &Lease| view.as_ref().is_some_and(|view| view.proof_of(lease).is_some());
    let cooldown = network.ranges.as_ref().map(|config| config.cooldown).unwrap_or_default();
    let cooling = match &view {
        Some(view) if !cooldown.is_zero() => view.cooling(location, cooldown),
        _ => Vec::new(),
    };
    let sets: &[RangeSet] = network.ranges.as_ref().map_or(&[], |config| &config.sets);
    let base = |set, ranges| Listed {
        network: network.name.to_string(),
        folder: location.folder().display().to_string(),
        set,
        ranges,
        size: 0,
        held: 0,
        reclaimable: 0,
        cooling_down: 0,
        excluded: 0,
        free: 0,
        last_given: None,
    };
    let mut all: Vec<Listed> = Vec::new();
    for (index, set) in sets.iter().enumerate() {
        let usage = Usage::count(set, &leases, is_reclaimable);
        let size =
            set.ranges().iter().fold(0_u128, |sum, range| sum.saturating_add(range.span.count()));
        let is_held = |ip| leases.iter().any(|lease| lease.ip == ip);
        let cools =
            cooling.iter().filter(|ip| allocate::is_allocatable(set, **ip) && !is_held(**ip));
        let cooling_down = cools.count() as u64;
        let last = view.as_ref().and_then(|view| view.last_reserved(index));
        all.push(Listed {
            size: number(size),
            held: number(usage.held),
            reclaimable: number(usage.reclaimable),
            cooling_down,
            excluded: number(size.saturating_sub(usage.total)),
            free: number(usage.free()).saturating_sub(cooling_down),
            last_given: last.map(|ip| ip.to_string()),
            ..base(Some(index), set.to_string())
        });
    }
    let besides = leases
        .iter()
        .filter(|lease| !sets.iter().any(|set| allocate::is_allocatable(set, lease.ip)));
    let (stale, held): (Vec<&Lease>, Vec<&Lease>) =
        besides.partition(|lease| is_reclaimable(lease));
    if !stale.is_empty() || !held.is_empty() {
        all.push(Listed {
            held: held.len() as u64,
            reclaimable: stale.len() as u64,
            ..base(None, String::new())
        });
    }
    Ok((all, unread))
}

fn number(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn text(listing: &Listing, output: Output) -> String {
    let mut table = Table::new(&[
        "NETWORK",
        "RANGES",
        "SIZE",
        "HELD",
        "RECLAIMABLE",
        "COOLING",
        "EXCLUDED",
        "FREE",
        "LAST GIVEN",
        "",
    ]);
    for pool in &listing.pools {
        let plain = |text: String| (Colour::Plain, text);
        let is_set = pool.set.is_some();
        let count = |number: u64| plain(if is_set { number.to_string() } else { String::new() });
        let (colour, bar) = bar(pool, output);
        table.line([
            plain(pool.network.clone()),
            plain(if is_set { pool.ranges.clone() } else { "elsewhere".to_owned() }),
            count(pool.size),
            plain(pool.held.to_string()),
            plain(pool.reclaimable.to_string()),
            count(pool.cooling_down),
            count(pool.excluded),
            count(pool.free),
            plain(pool.last_given.clone().unwrap_or_default()),
            (colour, bar),
        ]);
    }
    table.text(output)
}

/// A bar for a person, a percentage for everybody else.
fn bar(pool: &Listed, output: Output) -> (Colour, String) {
    let total = pool.size.saturating_sub(pool.excluded);
    if pool.set.is_none() || total == 0 {
        return (Colour::Plain, String::new());
    }
    let share = |of: u64, whole: u64| u128::from(of) * whole as u128 / u128::from(total);
    let percent = share(pool.held, 100);
    let colour = match percent {
        0..80 => Colour::Good,
        80..95 => Colour::Warning,
        _ => Colour::Bad,
    };
    if !output.is_for_a_person() {
        return (colour, format!("{percent}%"));
    }
    let part = |of: u64| usize::try_from(share(of, BAR as u64)).unwrap_or(BAR).min(BAR);
    let (held, stale) = (part(pool.held), part(pool.reclaimable));
    let rest = BAR.saturating_sub(held + stale);
    (colour, format!("{}{}{} {percent}%", "█".repeat(held), "▒".repeat(stale), "·".repeat(rest)))
}

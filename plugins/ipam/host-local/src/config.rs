//! The `ipam` object: every key read, every default filled in, every fault named. Pure.
//!
//! Two readings: [`Config`] is all of it, for a command that allocates addresses;
//! [`pool_location`] is the little that releasing needs, and no other key's fault may stop a release.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use cni_common::spec::json::Value;
use cni_common::spec::{CniArgs, NetworkConfig, Object, Route, Version};
use cni_common::types::{parse_cidr, parse_ip};
use cni_common::{Code, Error, Result};
use ipnetwork::IpNetwork;

use crate::address::{Span, Spans};
use crate::range::{RangeSet, RangeSpec, refuse_overlap};
use crate::store::Location;

/// Where pools are kept unless `dataDir` says otherwise.
pub const DATA_DIR: &str = "/var/lib/cni/networks";

/// An attachment gets one address of every set: more than any has, and few enough that the index
/// keeps them all on one page.
const MAX_SETS: usize = 100;

/// The keys of a range.
const RANGE_KEYS: [&str; 5] = ["subnet", "rangeStart", "rangeEnd", "gateway", "exclude"];
/// The keys of `ipam` besides.
const KEYS: [&str; 8] =
    ["type", "ranges", "routes", "dataDir", "resolvConf", "exclude", "cooldownSeconds", "stickyBy"];

/// What ADD goes by.
#[derive(Clone, Debug)]
pub struct Config {
    /// The pool.
    pub location: Location,
    /// Range sets, one address of each for every attachment.
    pub sets: Vec<RangeSet>,
    /// `routes`.
    pub routes: Vec<Route>,
    /// `resolvConf`.
    pub resolv_conf: Option<PathBuf>,
    /// Addresses asked for.
    pub requested: Vec<IpAddr>,
    /// The pod that gets its previous addresses again, with `stickyBy`.
    pub pod: Option<String>,
    /// `cooldownSeconds`: how long a released address is not allocated again.
    pub cooldown: Duration,
}

/// Reads where the pool is that a release belongs to; fails only when there is no `ipam` object.
pub fn pool_location(config: &NetworkConfig<'_>) -> Result<Location> {
    let ipam = ipam(config)?;
    let data_dir = ipam.nonempty("dataDir")?.map_or_else(|| DATA_DIR.into(), PathBuf::from);
    // A faulty value was refused by ADD; here it means nothing.
    let cools = cooldown(&ipam).is_ok_and(|cooldown| !cooldown.is_zero());
    let keeps_history = cools || sticks(&ipam).unwrap_or_default();
    Ok(Location { data_dir, network: config.name.as_str().to_owned(), keeps_history })
}

fn strict_location(config: &NetworkConfig<'_>, ipam: &Object<'_>) -> Result<Location> {
    let location = pool_location(config)?;
    match ipam.value("dataDir") {
        Some(value) if !location.data_dir.is_absolute() => {
            Err(value.invalid("must be an absolute path"))
        }
        _ => Ok(location),
    }
}

impl Config {
    /// Reads everything. `args` are those of `CNI_ARGS`.
    pub fn parse(config: &NetworkConfig<'_>, args: &CniArgs) -> Result<Self> {
        let ipam = ipam(config)?;
        let location = strict_location(config, &ipam)?;
        let everywhere = Spans::of(exclusions(&ipam)?);
        let mut sets = sets(config, &ipam)?;
        refuse_for_version(&sets, config.version)?;
        refuse_overlap(&sets)?;
        sets.iter_mut().for_each(|set| set.exclude(&everywhere));
        let routes = ipam.list("routes")?;
        let routes = routes.iter().map(|route| Route::parse(&route.object()?));
        Ok(Self {
            location,
            sets,
            routes: routes.collect::<Result<_>>()?,
            resolv_conf: ipam.nonempty("resolvConf")?.map(PathBuf::from),
            requested: requested(config, args)?,
            pod: if sticks(&ipam)? { args.pod() } else { None },
            cooldown: cooldown(&ipam)?,
        })
    }
}

/// Fails like ADD when the configuration's version can't say what the ranges would allocate. Any other
/// fault of theirs is no reason to keep an address.
pub(crate) fn refuse_release_for_version(config: &NetworkConfig<'_>) -> Result<()> {
    match ipam(config).and_then(|ipam| sets(config, &ipam)) {
        Ok(sets) => refuse_for_version(&sets, config.version),
        Err(_faulty) => Ok(()),
    }
}

fn ipam<'a>(config: &NetworkConfig<'a>) -> Result<Object<'a>> {
    config.keys.object("ipam")?.ok_or_else(|| {
        let error = Error::new(Code::InvalidConfig, "IPAM config missing 'ipam' key");
        match config.keys.misspelt("ipam", &["name", "args", "type"]) {
            Some(details) => error.with_details(details),
            None => error,
        }
    })
}

/// Below 0.3.0 a result has one address per family.
fn refuse_for_version(sets: &[RangeSet], version: Version) -> Result<()> {
    let of_ipv4 = sets.iter().filter(|set| set.is_ipv4()).count();
    if version < Version::V0_3_0 && (of_ipv4 > 1 || sets.len() - of_ipv4 > 1) {
        let message =
            format!("CNI version {version} does not support more than 1 address per family");
        return Err(Error::new(Code::InvalidConfig, message));
    }
    Ok(())
}

/// `runtimeConfig.ipRanges`, then the old single range, then `ranges`.
fn sets(config: &NetworkConfig<'_>, ipam: &Object<'_>) -> Result<Vec<RangeSet>> {
    let mut sets = Vec::new();
    if let Some(runtime) = config.runtime_config()? {
        sets.extend(specs(&runtime.list("ipRanges")?)?);
    }
    if ipam.nonempty("subnet")?.is_some() {
        let mut old = range_spec(ipam)?;
        // Its `exclude` is the one for all ranges.
        old.exclude.clear();
        sets.push(vec![old]);
    }
    sets.extend(specs(&ipam.list("ranges")?)?);
    if sets.is_empty() {
        let misspelt = ["ranges", "subnet"].iter().find_map(|key| ipam.misspelt(key, &KEYS));
        let needed = "\"ipam\" needs \"ranges\" or \"subnet\"";
        let details = misspelt.map_or(needed.to_owned(), |known| format!("{needed}; {known}"));
        let error = Error::new(Code::InvalidConfig, "no IP ranges specified");
        return Err(error.with_details(details));
    }
    if sets.len() > MAX_SETS {
        let message = format!("{} range sets, which is more than {MAX_SETS}", sets.len());
        return Err(Error::new(Code::InvalidConfig, message).with_details("ipam.ranges"));
    }
    let check = |(index, set): (usize, Vec<RangeSpec>)| {
        RangeSet::check(set).map_err(|error| error.context(format!("invalid range set {index}")))
    };
    sets.into_iter().enumerate().map(check).collect()
}

fn specs(sets: &[Value<'_>]) -> Result<Vec<Vec<RangeSpec>>> {
    let ranges = |set: &Value<'_>| match set.text() {
        "null" => Ok(Vec::new()),
        _ => set.list()?.iter().map(|range| range_spec(&range.object()?)).collect(),
    };
    sets.iter().map(ranges).collect()
}

fn range_spec(object: &Object<'_>) -> Result<RangeSpec> {
    Ok(RangeSpec {
        subnet: object
            .value("subnet")
            .ok_or_else(|| object.missing("subnet", &RANGE_KEYS))?
            .cidr()?,
        start: address(object, "rangeStart")?,
        end: address(object, "rangeEnd")?,
        gateway: address(object, "gateway")?,
        exclude: exclusions(object)?,
    })
}

fn address(object: &Object<'_>, key: &str) -> Result<Option<IpAddr>> {
    match object.nonempty(key)? {
        None => Ok(None),
        Some(_) => object.parsed(key, parse_ip),
    }
}

fn exclusions(object: &Object<'_>) -> Result<Vec<Span>> {
    object.list("exclude")?.iter().map(|value| value.parsed(parse_span)).collect()
}

/// An address, `first-last`, or a subnet.
fn parse_span(text: &str) -> Option<Span> {
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (parse_ip(first.trim())?, parse_ip(last.trim())?);
        let span = Span::new(first, last);
        return (first.is_ipv4() == last.is_ipv4() && span.first <= span.last).then_some(span);
    }
    if let Some(subnet) = parse_cidr(text) {
        return Some(match subnet {
            IpNetwork::V4(subnet) => Span::new(subnet.network().into(), subnet.broadcast().into()),
            IpNetwork::V6(subnet) => Span::new(subnet.network().into(), subnet.broadcast().into()),
        });
    }
    parse_ip(text).map(|ip| Span::new(ip, ip))
}

/// `CNI_ARGS IP=`, then `args.cni.ips`, then `runtimeConfig.ips`.
fn requested(config: &NetworkConfig<'_>, args: &CniArgs) -> Result<Vec<IpAddr>> {
    let mut addresses = Vec::new();
    if let Some(text) = args.get("IP") {
        let ip = parse_requested(text).ok_or_else(|| {
            Error::new(Code::InvalidEnvironment, format!("ARGS: invalid IP {text:?}"))
                .with_details("CNI_ARGS")
        })?;
        addresses.push(ip);
    }
    for object in [config.cni_args()?, config.runtime_config()?].into_iter().flatten() {
        for value in object.list("ips")? {
            addresses.push(value.parsed(parse_requested)?);
        }
    }
    // The same address by two ways is one request.
    let mut seen = HashSet::new();
    addresses.retain(|ip| seen.insert(*ip));
    Ok(addresses)
}

/// An address with or without a prefix length, which the range knows better.
fn parse_requested(text: &str) -> Option<IpAddr> {
    match text.contains('/') {
        true => parse_cidr(text).map(|cidr| cidr.ip().to_canonical()),
        false => parse_ip(text),
    }
}

fn cooldown(ipam: &Object<'_>) -> Result<Duration> {
    let Some(value) = ipam.value("cooldownSeconds") else { return Ok(Duration::ZERO) };
    let seconds = u32::try_from(value.integer()?);
    seconds
        .map(|seconds| Duration::from_secs(seconds.into()))
        .map_err(|_range| value.invalid("must be a number of seconds"))
}

/// Whether a pod gets its previous addresses again.
fn sticks(ipam: &Object<'_>) -> Result<bool> {
    let Some(value) = ipam.value("stickyBy") else { return Ok(false) };
    match value.string()?.as_str() {
        "" => Ok(false),
        "pod" => Ok(true),
        _ => Err(value.invalid("must be \"pod\"").with_code(Code::UnsupportedField)),
    }
}

//! The configuration of `bandwidth`: every key, and what is refused. Pure.

use cni_common::spec::json::Value;
use cni_common::spec::{NetworkConfig, Object};
use cni_common::types::parse_cidr;
use cni_common::{Code, Error, Result};
use ipnetwork::IpNetwork;

/// Each direction's rate and burst.
const INGRESS: [&str; 2] = ["ingressRate", "ingressBurst"];
const EGRESS: [&str; 2] = ["egressRate", "egressBurst"];
/// Networks that are not shaped, or the only ones that are.
const UNSHAPED: &str = "unshapedSubnets";
const SHAPED: &str = "shapedSubnets";
/// `latency` without the key, as the reference has it, and what it may be, in milliseconds.
pub const LATENCY: u32 = 25;
const MAX_LATENCY: u64 = 60_000;
const BITS: u64 = 8;
/// As many bytes are more than a burst may be.
const MAX_BURST: u64 = u32::MAX as u64;

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The limit of what the container receives.
    pub ingress: Option<Limit>,
    /// The limit of what it sends.
    pub egress: Option<Limit>,
    /// `latency`: how long what waits may have to, in milliseconds.
    pub latency: u32,
    /// Whose traffic is limited.
    pub subnets: Subnets,
}

/// One direction's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// In bytes a second; not zero.
    pub rate: u64,
    /// How many bytes may pass at once.
    pub burst: u32,
}

/// Whose traffic is limited: the networks of those that the container talks to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subnets {
    /// Everybody's.
    All,
    /// Everybody's but that of `unshapedSubnets`.
    Except(Vec<IpNetwork>),
    /// That of `shapedSubnets`.
    Only(Vec<IpNetwork>),
}

impl Config {
    /// Checks the keys of `bandwidth`.
    pub fn parse(config: &NetworkConfig<'_>) -> Result<Self> {
        let keys = Keys::of(config)?;
        Ok(Self {
            ingress: keys.limit(INGRESS)?,
            egress: keys.limit(EGRESS)?,
            latency: keys.latency()?,
            subnets: keys.subnets()?,
        })
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.ingress.is_none() && self.egress.is_none()
    }
}

/// The keys of the configuration, and before them those of the runtime if the limits are its.
struct Keys<'a> {
    own: &'a Object<'a>,
    runtime: Option<Object<'a>>,
}

impl<'a> Keys<'a> {
    fn of(config: &'a NetworkConfig<'a>) -> Result<Self> {
        let own = &config.keys;
        let has_own = INGRESS.iter().chain(&EGRESS).any(|key| own.has(key));
        let runtime = match config.runtime_config()? {
            Some(runtime) if !has_own => runtime.object("bandwidth")?,
            _ => None,
        };
        Ok(Self { own, runtime })
    }

    fn find(&self, key: &str) -> Option<Value<'a>> {
        let runtime = self.runtime.as_ref().and_then(|keys| keys.value(key));
        runtime.or_else(|| self.own.value(key))
    }

    fn limit(&self, [rate_key, burst_key]: [&str; 2]) -> Result<Option<Limit>> {
        let (rate_value, burst_value) = (self.find(rate_key), self.find(burst_key));
        let number = |value: &Option<Value<'_>>| value.as_ref().map_or(Ok(0), Value::unsigned);
        let (rate, burst) = (number(&rate_value)?, number(&burst_value)?);
        let invalid = |key: &str, value: u64, fault: &str| {
            Err(Error::new(Code::InvalidConfig, format!("{key} {value}: {fault}")))
        };
        match (rate, burst) {
            (0, 0) => return Ok(None),
            (rate, 0) => return invalid(rate_key, rate, "if rate is set, burst must also be set"),
            (0, burst) => {
                return invalid(burst_key, burst, "if burst is set, rate must also be set");
            }
            (rate, _) if rate < BITS => {
                return invalid(rate_key, rate, "must be 0 or at least 8 (bits a second)");
            }
            _ => {}
        }
        match u32::try_from(burst / BITS) {
            Ok(bytes) if u64::from(bytes) < MAX_BURST => {
                Ok(Some(Limit { rate: rate / BITS, burst: bytes }))
            }
            _ => invalid(burst_key, burst, "burst cannot be more than 4GB"),
        }
    }

    fn latency(&self) -> Result<u32> {
        let Some(value) = self.find("latency") else { return Ok(LATENCY) };
        let found = value.unsigned()?;
        let found = u32::try_from(found).ok().filter(|_| (1..=MAX_LATENCY).contains(&found));
        found
            .ok_or_else(|| value.invalid(format_args!("must be 1 to {MAX_LATENCY} (milliseconds)")))
    }

    fn subnets(&self) -> Result<Subnets> {
        let (unshaped, shaped) = (self.networks(UNSHAPED)?, self.networks(SHAPED)?);
        match (unshaped.is_empty(), shaped.is_empty()) {
            (true, true) => Ok(Subnets::All),
            (false, true) => Ok(Subnets::Except(unshaped)),
            (true, false) => Ok(Subnets::Only(shaped)),
            (false, false) => {
                let message = "unshapedSubnets and shapedSubnets cannot be both specified, one of them should be discarded";
                Err(Error::new(Code::InvalidConfig, message))
            }
        }
    }

    /// The networks of a list, sorted, without those that others of it contain.
    fn networks(&self, key: &str) -> Result<Vec<IpNetwork>> {
        let values = self.find(key).map_or_else(|| Ok(Vec::new()), |value| value.list())?;
        let mut networks = Vec::with_capacity(values.len());
        for value in values {
            let text = value.string()?;
            let network = parse_cidr(&text).ok_or_else(|| {
                let message = format!(
                    "{}: bad subnet {text:?} provided, details invalid CIDR address: {text}",
                    value.path()
                );
                Error::new(Code::InvalidConfig, message)
            })?;
            networks.push(without_host_part(network));
        }
        networks.sort_by_key(|network| (network.is_ipv6(), network.network(), network.prefix()));
        networks.dedup_by(|next, first| contains(first, next));
        Ok(networks)
    }
}

fn without_host_part(network: IpNetwork) -> IpNetwork {
    IpNetwork::new(network.network(), network.prefix()).unwrap_or(network)
}

fn contains(outer: &IpNetwork, inner: &IpNetwork) -> bool {
    outer.prefix() <= inner.prefix() && outer.contains(inner.network())
}

#[cfg(test)]
mod tests {
    use cni_common::spec::Version;

    use super::*;

    fn parse(keys: &str) -> Result<Config> {
        let text = format!(r#"{{"cniVersion":"1.0.0","name":"net"{keys}}}"#);
        let config = NetworkConfig::parse(Object::parse(&text, "test")?, &Version::ALL)?;
        Config::parse(&config)
    }

    fn limit(rate: u64, burst: u32) -> Option<Limit> {
        Some(Limit { rate, burst })
    }

    fn message(keys: &str) -> String {
        let error = parse(keys).unwrap_err();
        assert!(error.is(Code::InvalidConfig), "{error}");
        error.message().to_owned()
    }

    #[test]
    fn the_runtimes_keys_count_in_any_case_unless_the_configuration_has_one() {
        let runtime = r#","runtimeConfig":{"bandwidth":{"IngressRate":8000,"IngressBurst":80,"egressRate":16000,"EgressBurst":17}}"#;
        let config = parse(runtime).unwrap();
        assert_eq!((config.ingress, config.egress), (limit(1000, 10), limit(2000, 2)));
        assert!(parse(&format!(r#"{runtime},"egressBurst":0"#)).unwrap().is_empty());
        let config = parse(&format!(r#"{runtime},"egressRate":8,"egressBurst":9"#)).unwrap();
        assert_eq!((config.ingress, config.egress), (None, limit(1, 1)));
        let beside =
            format!(r#"{runtime},"latency":70,"shapedSubnets":["10.0.0.0/8"],"ingressRate":null"#);
        let config = parse(&beside).unwrap();
        assert_eq!((config.ingress, config.latency), (limit(1000, 10), 70));
        assert!(matches!(config.subnets, Subnets::Only(_)));
    }

    #[test]
    fn nothing_or_zero_is_no_limit() {
        for keys in [
            "",
            r#","runtimeConfig":{}"#,
            r#","runtimeConfig":{"bandwidth":null}"#,
            r#","ingressRate":0,"ingressBurst":0,"egressRate":null"#,
            r#","unshapedSubnets":[],"shapedSubnets":null,"latency":5"#,
        ] {
            let config = parse(keys).unwrap();
            assert!(config.is_empty() && config.subnets == Subnets::All, "{keys}");
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused_with_key_and_value() {
        for (keys, told) in [
            (r#""ingressRate":8000"#, "ingressRate 8000: if rate is set, burst must also be set"),
            (
                r#""egressBurst":9,"egressRate":0"#,
                "egressBurst 9: if burst is set, rate must also be set",
            ),
            (
                r#""egressBurst":9,"egressRate":7"#,
                "egressRate 7: must be 0 or at least 8 (bits a second)",
            ),
            (
                r#""ingressRate":8,"ingressBurst":34359738360"#,
                "ingressBurst 34359738360: burst cannot be more than 4GB",
            ),
            (r#""latency":0"#, "latency: must be 1 to 60000 (milliseconds), got 0"),
            (r#""latency":60001"#, "latency: must be 1 to 60000 (milliseconds), got 60001"),
            (r#""ingressRate":-1"#, "ingressRate: must not be negative, got -1"),
            (
                r#""unshapedSubnets":["10.0.0.1"]"#,
                "unshapedSubnets[0]: bad subnet \"10.0.0.1\" provided, details invalid CIDR address: 10.0.0.1",
            ),
            (
                r#""unshapedSubnets":["10.0.0.0/8"],"shapedSubnets":["fd00::/8"]"#,
                "unshapedSubnets and shapedSubnets cannot be both specified, one of them should be discarded",
            ),
        ] {
            assert_eq!(message(&format!(",{keys}")), told);
        }
        for keys in
            [r#""ingressRate":"8000""#, r#""shapedSubnets":"10.0.0.0/8""#, r#""latency":2.5"#]
        {
            assert!(parse(&format!(",{keys}")).unwrap_err().is(Code::Decode), "{keys}");
        }
    }

    #[test]
    fn the_largest_bursts_are_taken() {
        // containerd's and CRI-O's.
        for (bits, bytes) in [(4_294_967_295_u64, 536_870_911), (34_359_738_359, 4_294_967_294)] {
            let keys = format!(r#","ingressRate":18446744073709551615,"ingressBurst":{bits}"#);
            assert_eq!(parse(&keys).unwrap().ingress, limit(u64::MAX / 8, bytes));
        }
    }

    #[test]
    fn subnets_are_sorted_and_those_within_others_left_out() {
        let keys = r#","unshapedSubnets":["fd00::/8","10.1.0.0/16","192.0.2.9/24","10.1.2.3/8","10.0.0.0/8"]"#;
        let Subnets::Except(found) = parse(keys).unwrap().subnets else { panic!() };
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.0/8", "192.0.2.0/24", "fd00::/8"]);
    }
}

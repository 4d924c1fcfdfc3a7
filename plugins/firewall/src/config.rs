//! The configuration of `firewall`: every key and what is refused. Pure.

use cni_common::spec::{NetworkConfig, Object};
use cni_common::{Code, Error, Result, log};

/// The administrator's chain unless `iptablesAdminChainName` says otherwise.
const ADMIN_CHAIN: &str = "CNI-ADMIN";
/// Free on nodes with kubelet (14, 15), portmap (13), Cilium (8 to 11 and 16 up), Calico (16 up),
/// Tailscale (16 to 23) and Amazon's CNI plugin (7).
const MARK_BIT: i64 = 12;
/// The zone unless `firewalldZone` says otherwise: it lets everything through.
const ZONE: &str = "trusted";
/// The longest name of a zone that is asked for; firewalld's own have at most 17 bytes.
const MAX_ZONE: usize = 100;
/// The longest name of a chain that iptables takes.
const LONGEST_CHAIN: usize = 28;

/// What lets packets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// nf_tables over netlink; iptables where the kernel has its old tables, or no nf_tables. Where
    /// firewalld runs, its zone besides.
    Automatic,
    /// nf_tables over netlink.
    Nftables,
    /// The reference's rules, by the programs of iptables.
    Iptables,
    /// As `Automatic`, but firewalld must run.
    Firewalld,
}

/// What may come to a container from other containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngressPolicy {
    /// Everything.
    Open,
    /// Nothing from another bridge that has a policy, too.
    SameBridge,
    /// Nothing from another bridge that has a policy, too, and nothing from its own bridge.
    Isolated,
}

impl IngressPolicy {
    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::SameBridge => "same-bridge",
            Self::Isolated => "isolated",
        }
    }
}

/// A checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `backend`.
    pub backend: Backend,
    /// `iptablesAdminChainName`.
    pub admin_chain: String,
    /// `firewalldZone`.
    pub zone: String,
    /// `ingressPolicy`.
    pub policy: IngressPolicy,
    /// The bit of the packet's mark that `forwardMarkBit` numbers.
    pub mark: u32,
}

impl Config {
    /// Checks the keys of `firewall`.
    pub fn parse(config: &NetworkConfig<'_>) -> Result<Self> {
        let keys = &config.keys;
        let admin_chain = keys.nonempty("iptablesAdminChainName")?;
        let bit = keys.integer("forwardMarkBit")?.unwrap_or(MARK_BIT);
        let bit = u32::try_from(bit).ok().filter(|bit| *bit < u32::BITS).ok_or_else(|| {
            let message = format!("forwardMarkBit must be between 0 and 31, not {bit}");
            Error::new(Code::InvalidConfig, message)
        })?;
        Ok(Self {
            backend: backend(keys.nonempty("backend")?)?,
            admin_chain: checked_chain(admin_chain.unwrap_or_else(|| ADMIN_CHAIN.to_owned()))?,
            zone: zone(keys)?,
            policy: policy(keys.nonempty("ingressPolicy")?)?,
            mark: 1 << bit,
        })
    }
}

fn backend(word: Option<String>) -> Result<Backend> {
    match word.as_deref() {
        None => Ok(Backend::Automatic),
        Some("nftables") => Ok(Backend::Nftables),
        Some("iptables") => Ok(Backend::Iptables),
        Some("firewalld") => Ok(Backend::Firewalld),
        Some(other) => {
            // As the reference does.
            log::debug(|| format!("backend {other:?} is unknown: one is chosen"));
            Ok(Backend::Automatic)
        }
    }
}

/// `firewalldZone`. Whether there is such a zone is firewalld's to say.
pub fn zone(keys: &Object<'_>) -> Result<String> {
    let zone = keys.nonempty("firewalldZone")?.unwrap_or_else(|| ZONE.to_owned());
    if zone.len() > MAX_ZONE || !zone.chars().all(|c| c.is_ascii_graphic()) {
        let message = format!("firewalldZone: not the name of a zone: {zone:?}");
        return Err(Error::new(Code::InvalidConfig, message));
    }
    Ok(zone)
}

fn policy(word: Option<String>) -> Result<IngressPolicy> {
    match word.as_deref() {
        None | Some("open") => Ok(IngressPolicy::Open),
        Some("same-bridge") => Ok(IngressPolicy::SameBridge),
        Some("isolated") => Ok(IngressPolicy::Isolated),
        Some(other) => {
            let message = format!("unknown ingress policy: {other:?}");
            Err(Error::new(Code::InvalidConfig, message))
        }
    }
}

/// A name that iptables can show, and that is none of the plugin's or iptables' own.
fn checked_chain(name: String) -> Result<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '+');
    let is_taken = matches!(name.as_str(), "FORWARD" | "INPUT" | "OUTPUT" | "CNI-FORWARD")
        || name.starts_with("CNI-ISOLATION-");
    if name.len() > LONGEST_CHAIN
        || !name.chars().all(is_plain)
        || !name.starts_with(|c: char| c.is_ascii_alphanumeric())
        || is_taken
    {
        let message = format!("iptablesAdminChainName: not a name for a chain: {name:?}");
        return Err(Error::new(Code::InvalidConfig, message));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use cni_common::spec::Version;

    use super::*;

    fn parse(more: &str) -> Result<Config> {
        let text = format!(r#"{{"cniVersion":"1.0.0","name":"n","type":"firewall"{more}}}"#);
        let keys = Object::parse(&text, "network configuration").unwrap();
        Config::parse(&NetworkConfig::parse(keys, &Version::ALL).unwrap())
    }

    #[test]
    fn empty_keys_are_the_defaults() {
        let config = parse(
            r#","backend":"","iptablesAdminChainName":"","ingressPolicy":"","firewalldZone":"""#,
        );
        assert_eq!(config, parse(""));
        let config = config.unwrap();
        assert_eq!((config.policy, config.mark), (IngressPolicy::Open, 0x1000));
        assert_eq!((config.admin_chain.as_str(), config.zone.as_str()), ("CNI-ADMIN", "trusted"));
    }

    #[test]
    fn what_can_not_be_is_refused_by_name() {
        let chain = "iptablesAdminChainName";
        for (more, code, part) in [
            (
                r#","ingressPolicy":"closed""#,
                Code::InvalidConfig,
                "unknown ingress policy: \"closed\"",
            ),
            (r#","firewalldZone":"a b""#, Code::InvalidConfig, "firewalldZone"),
            (r#","firewalldZone":"\u0000""#, Code::InvalidConfig, "firewalldZone"),
            (r#","firewalldZone":["trusted"]"#, Code::Decode, "firewalldZone"),
            (r#","iptablesAdminChainName":"A\nCOMMIT""#, Code::InvalidConfig, chain),
            (r#","iptablesAdminChainName":"-F""#, Code::InvalidConfig, chain),
            (r#","iptablesAdminChainName":"FORWARD""#, Code::InvalidConfig, chain),
            (r#","forwardMarkBit":32"#, Code::InvalidConfig, "forwardMarkBit"),
            (r#","forwardMarkBit":-1"#, Code::InvalidConfig, "forwardMarkBit"),
            (r#","backend":1"#, Code::Decode, "backend"),
        ] {
            let error = parse(more).unwrap_err();
            assert!(error.is(code) && error.message().contains(part), "{more}: {error}");
        }
    }
}

//! Which backend maps the ports, and the keys that only one of them knows. Pure.

use cni_common::nft::{IpVersion, Statement};
use cni_common::spec::Object;
use cni_common::spec::json::Value;
use cni_common::{Code, Error, Result};

use super::conditions;

/// The key of another chain that sets the mark, and that of the mark's bit.
const CHAIN: &str = "externalSetMarkChain";
const BIT: &str = "markMasqBit";
/// As with the reference.
const DEFAULT_BIT: u32 = 13;
/// The longest name of a chain that iptables takes.
const MAX_CHAIN: usize = 28;
/// Words of iptables that would make something else of the rule than a jump with conditions.
const COMMANDS: [&str; 12] = [
    "-j", "--jump", "-g", "--goto", "-t", "--table", "-A", "--append", "-D", "--delete", "-I",
    "--insert",
];

/// How ports are mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// On nf_tables, or iptables where the kernel can't do that.
    Automatic,
    /// On nf_tables.
    Nftables,
    /// By the programs of iptables.
    Iptables,
}

/// One for each IP version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByVersion<T> {
    /// That of IPv4.
    pub v4: T,
    /// That of IPv6.
    pub v6: T,
}

impl<T> ByVersion<T> {
    /// That of this version.
    pub fn of(&self, version: IpVersion) -> &T {
        match version {
            IpVersion::V4 => &self.v4,
            IpVersion::V6 => &self.v6,
        }
    }
}

/// What only backend `iptables` needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IptablesKeys {
    /// `markMasqBit` or `externalSetMarkChain`.
    pub marking: Marking,
    /// `conditionsV4` and `conditionsV6`, as words of an `iptables` line.
    pub conditions: ByVersion<Vec<String>>,
}

/// What marks the packets that get the host's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marking {
    /// The plugin's own chain, by this bit.
    Bit(u32),
    /// Somebody else's chain, who masquerades as well.
    Chain(String),
}

/// All ways in which a packet can meet conditions, each a row of statements; none without conditions.
pub type Alternatives = Vec<Vec<Statement>>;

/// Conditions as they are written.
struct Conditions<'a> {
    key: &'static str,
    value: Option<Value<'a>>,
    words: Vec<String>,
}

impl Conditions<'_> {
    /// The backend whose words they are; `None` without any.
    fn backend(&self) -> Option<Backend> {
        let first = self.words.first()?;
        Some(if first.starts_with(['-', '!']) { Backend::Iptables } else { Backend::Nftables })
    }
}

/// Reads the keys and decides.
pub(super) fn parse(keys: &Object<'_>) -> Result<(Backend, IptablesKeys, ByVersion<Alternatives>)> {
    let marking = marking(keys)?;
    let conditions = ["conditionsV4", "conditionsV6"].map(|key| -> Result<Conditions<'_>> {
        Ok(Conditions { key, value: keys.value(key), words: keys.strings(key)? })
    });
    let [v4, v6] = conditions;
    let (v4, v6) = (v4?, v6?);
    let mut of_iptables = Vec::new();
    if matches!(marking, Marking::Chain(_)) {
        of_iptables.push(CHAIN);
    }
    let named = |backend| {
        [&v4, &v6].into_iter().filter(move |one| one.backend() == Some(backend)).map(|one| one.key)
    };
    of_iptables.extend(named(Backend::Iptables));
    let of_nftables: Vec<_> = named(Backend::Nftables).collect();
    let backend = decide(keys, (&of_iptables, &of_nftables))?;
    if !of_nftables.is_empty() {
        let nftables = ByVersion {
            v4: of_nftables_words(&v4, IpVersion::V4)?,
            v6: of_nftables_words(&v6, IpVersion::V6)?,
        };
        let iptables = IptablesKeys { marking, conditions: ByVersion::default() };
        return Ok((backend, iptables, nftables));
    }
    [&v4, &v6].into_iter().try_for_each(require_words)?;
    let conditions = ByVersion { v4: v4.words, v6: v6.words };
    Ok((backend, IptablesKeys { marking, conditions }, ByVersion::default()))
}

/// The backend of `backend`, or of the keys that only one knows.
fn decide(keys: &Object<'_>, (of_iptables, of_nftables): (&[&str], &[&str])) -> Result<Backend> {
    // The words of the reference.
    let refuse = |backend: &str, other: &str, options: &[&str]| {
        let message = format!(
            "{backend} backend was requested but configuration contains {other}-specific options \
             [{}]",
            options.join(" ")
        );
        Err(Error::new(Code::InvalidConfig, message))
    };
    let Some(value) = keys.value("backend") else {
        return match (of_iptables, of_nftables) {
            ([], []) => Ok(Backend::Automatic),
            ([], _) => Ok(Backend::Nftables),
            (_, []) => Ok(Backend::Iptables),
            _ => refuse("iptables", "nftables", of_nftables),
        };
    };
    match value.string()?.as_str() {
        "nftables" if of_iptables.is_empty() => Ok(Backend::Nftables),
        "nftables" => refuse("nftables", "iptables", of_iptables),
        "iptables" if of_nftables.is_empty() => Ok(Backend::Iptables),
        "iptables" => refuse("iptables", "nftables", of_nftables),
        other => Err(Error::new(Code::InvalidConfig, format!("unrecognized backend {other:?}"))),
    }
}

/// `markMasqBit` is of no use on nftables, which needs no mark, and harmless.
fn marking(keys: &Object<'_>) -> Result<Marking> {
    let chain = keys.nonempty(CHAIN)?;
    let bit = keys.integer(BIT)?;
    match (chain, bit) {
        (Some(_), Some(_)) => {
            let message = "Cannot specify externalSetMarkChain and markMasqBit";
            Err(Error::new(Code::InvalidConfig, message))
        }
        (Some(chain), None) if is_chain(&chain) => Ok(Marking::Chain(chain)),
        (Some(chain), None) => {
            let message = format!("{CHAIN}: not a name of a chain, got {chain:?}");
            Err(Error::new(Code::InvalidConfig, message))
        }
        (None, None) => Ok(Marking::Bit(DEFAULT_BIT)),
        (None, Some(bit)) => match u32::try_from(bit) {
            Ok(bit) if bit < u32::BITS => Ok(Marking::Bit(bit)),
            _ => Err(Error::new(Code::InvalidConfig, "MasqMarkBit must be between 0 and 31")
                .with_details(format!("{BIT}: {bit}"))),
        },
    }
}

/// Whether it stands in a line of `iptables-restore` as one word, and is short enough.
fn is_chain(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.:/+@".contains(c);
    name.len() <= MAX_CHAIN && !name.starts_with('-') && name.chars().all(is_plain)
}

fn of_nftables_words(conditions: &Conditions<'_>, version: IpVersion) -> Result<Alternatives> {
    let Some(value) = &conditions.value else { return Ok(Vec::new()) };
    conditions::parse(&conditions.words, version)
        .map_err(|fault| value.invalid(fault).with_code(Code::UnsupportedField))
}

/// Fails for words that can't stand in a line, or would be no conditions there.
fn require_words(conditions: &Conditions<'_>) -> Result<()> {
    let Some(value) = &conditions.value else { return Ok(()) };
    for word in &conditions.words {
        if word.is_empty() || word.chars().any(char::is_control) {
            return Err(value.invalid(format_args!("{word:?} is not a word of iptables")));
        }
        if COMMANDS.contains(&word.as_str()) {
            return Err(value.invalid(format_args!("{word:?} is no condition")));
        }
    }
    Ok(())
}

//! What is known of a plugin under test: its executable, its role, and a configuration that works.
//!
//! A configuration is one of the specification with a key `conformance` beside its own, which says what the
//! plugin is and what it needs:
//!
//! - `role`: `interface` (makes the container interface; the default), `loopback`, `chained` or `ipam`;
//! - `prepare`: commands that make what it needs of the host;
//! - `runtimeConfig`: what a runtime would say;
//! - `changes`: keys of `prevResult` that a chained plugin may change in its result;
//! - `spoils`: commands that break what it did, each of which its CHECK should notice: `what`, `where`
//!   (`host` or `container`) and `run`;
//! - `exclusive`: only one container can be attached at a time;
//! - `pool`: an IPAM plugin that gives each container another address;
//! - `needs`: why it can't be run here at all.
//!
//! In it stand `@n` for a number of the container, from 2 on, `"@port"` for a number that is a port of its own,
//! in commands `@ifname` for the container interface and `@host` for its peer on the host.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// What a plugin does in an attachment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// Makes the container interface.
    Interface,
    /// Brings an interface up that is there: `lo`.
    Loopback,
    /// Changes what a plugin before it made.
    Chained,
    /// Gives addresses to another plugin.
    Ipam,
}

impl Role {
    /// As a configuration names it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Loopback => "loopback",
            Self::Chained => "chained",
            Self::Ipam => "ipam",
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let all = [Self::Interface, Self::Loopback, Self::Chained, Self::Ipam];
        let found = all.into_iter().find(|role| role.text() == text);
        found.ok_or_else(|| {
            format!("conformance.role {text:?} is none of interface, loopback, chained, ipam")
        })
    }
}

/// A command that breaks what a plugin did.
#[derive(Clone, Debug)]
pub(crate) struct Spoil {
    pub(crate) what: String,
    pub(crate) is_inside: bool,
    pub(crate) command: String,
}

/// A configuration and what it says of its plugin.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The name of the executable.
    pub name: String,
    pub(crate) role: Role,
    pub(crate) keys: Map<String, Value>,
    pub(crate) runtime_config: Option<Value>,
    pub(crate) prepare: Vec<String>,
    pub(crate) changes: Vec<String>,
    pub(crate) spoils: Vec<Spoil>,
    pub(crate) is_exclusive: bool,
    pub(crate) is_pool: bool,
    pub(crate) needs: Option<String>,
}

/// The configurations of the plugins that are known.
const KNOWN: [&str; 18] = [
    include_str!("../configurations/bandwidth.json"),
    include_str!("../configurations/bridge.json"),
    include_str!("../configurations/dhcp.json"),
    include_str!("../configurations/dummy.json"),
    include_str!("../configurations/firewall.json"),
    include_str!("../configurations/host-device.json"),
    include_str!("../configurations/host-local.json"),
    include_str!("../configurations/ipvlan.json"),
    include_str!("../configurations/loopback.json"),
    include_str!("../configurations/macvlan.json"),
    include_str!("../configurations/portmap.json"),
    include_str!("../configurations/ptp.json"),
    include_str!("../configurations/sbr.json"),
    include_str!("../configurations/static.json"),
    include_str!("../configurations/tap.json"),
    include_str!("../configurations/tuning.json"),
    include_str!("../configurations/vlan.json"),
    include_str!("../configurations/vrf.json"),
];

impl Configuration {
    /// The configurations of the plugins that are known by name.
    ///
    /// # Errors
    /// When one of them is none: a defect of this crate.
    pub fn known() -> Result<Vec<Self>, String> {
        KNOWN.into_iter().map(Self::parse).collect()
    }

    /// One's own configuration, for the plugin that `type` names, in `ipam` that of an IPAM plugin.
    ///
    /// # Errors
    /// When it can't be read or is none, with the key.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        let about = match keys.remove("conformance") {
            None => Map::new(),
            Some(Value::Object(about)) => about,
            Some(other) => return Err(format!("conformance is no object: {other}")),
        };
        let role = match about.get("role") {
            None => Role::Interface,
            Some(role) => Role::parse(role.as_str().unwrap_or_default())?,
        };
        let kind = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        // An IPAM plugin gets the configuration of the plugin that runs it.
        let name = match role {
            Role::Ipam => kind(keys.get("ipam").and_then(|ipam| ipam.get("type"))),
            _ => kind(keys.get("type")),
        };
        let list = |key: &str| texts(&about, key);
        let is = |key: &str| about.get(key) == Some(&Value::Bool(true));
        Ok(Self {
            name: name.ok_or("the configuration has no type")?,
            role,
            runtime_config: about.get("runtimeConfig").cloned(),
            prepare: list("prepare")?,
            changes: list("changes")?,
            spoils: spoils(&about)?,
            is_exclusive: is("exclusive"),
            is_pool: is("pool"),
            needs: kind(about.get("needs")),
            keys,
        })
    }

    /// Whether it has another plugin give the addresses.
    pub(crate) fn delegates(&self) -> bool {
        let kind = self.keys.get("ipam").and_then(|ipam| ipam.get("type"));
        self.role == Role::Interface && kind.and_then(Value::as_str) == Some(crate::delegate::NAME)
    }
}

fn texts(about: &Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("conformance.{key} is no list of texts");
    let Some(value) = about.get(key) else { return Ok(Vec::new()) };
    let list = value.as_array().ok_or_else(wrong)?;
    list.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn spoils(about: &Map<String, Value>) -> Result<Vec<Spoil>, String> {
    let Some(list) = about.get("spoils") else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or("conformance.spoils is no list")?;
    let one = |value: &Value| {
        let text = |key: &str| {
            let text = value.get(key).and_then(Value::as_str).map(str::to_owned);
            text.ok_or_else(|| format!("conformance.spoils: {key} is missing in {value}"))
        };
        let is_inside = match text("where")?.as_str() {
            "host" => false,
            "container" => true,
            other => return Err(format!("conformance.spoils: where {other:?}")),
        };
        Ok(Spoil { what: text("what")?, is_inside, command: text("run")? })
    };
    list.iter().map(one).collect()
}

/// A plugin of a folder, with a configuration for it.
#[derive(Clone, Debug)]
pub struct Plugin {
    pub(crate) configuration: Configuration,
    pub(crate) program: PathBuf,
    /// What it prints when it is called without a command, and offers by VERSION.
    pub(crate) about: String,
    pub(crate) versions: Vec<String>,
}

impl Plugin {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.configuration.name
    }

    /// The folder that it lies in.
    pub(crate) fn folder(&self) -> &Path {
        self.program.parent().unwrap_or(Path::new("/"))
    }
}

/// Writes the number of a container into a configuration.
pub(crate) fn numbered(value: &Value, number: usize) -> Value {
    match value {
        Value::String(text) if text == "@port" => (8080 + number).into(),
        Value::String(text) => text.replace("@n", &number.to_string()).into(),
        Value::Array(list) => list.iter().map(|one| numbered(one, number)).collect(),
        Value::Object(object) => {
            object.iter().map(|(key, one)| (key.clone(), numbered(one, number))).collect()
        }
        other => other.clone(),
    }
}

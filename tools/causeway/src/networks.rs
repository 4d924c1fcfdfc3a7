//! The networks of this host: their lists, and the pools that hold their addresses.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use causeway_bridge::config::BridgeConfig;
use causeway_host_local::config as host_local;
use causeway_host_local::store::Location;
use cni_common::spec::{CniArgs, NetworkConfig, Object, Version};
use cni_common::types::NetworkName;
use cni_common::{Code, Error, Result};
use cni_runtime::{NetworkList, Plugin};

/// Where to look.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The folder of network lists.
    pub(crate) conf_dir: PathBuf,
    /// The folder of pools where a list names no other.
    pub(crate) data_dir: PathBuf,
    /// Where runtimes keep results.
    pub(crate) cache_dir: PathBuf,
}

/// One network.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Its name.
    pub(crate) name: NetworkName,
    /// Its list and the file that it stands in; `None` for a network that is only known by what it
    /// left.
    pub(crate) list: Option<(PathBuf, NetworkList)>,
    /// What its list says to `bridge`.
    pub(crate) bridge: Option<BridgeConfig>,
    /// What its list says to `host-local`.
    pub(crate) ranges: Option<host_local::Config>,
    /// Its pool: `None` where another IPAM plugin than `host-local` or none gives addresses.
    pub(crate) pool: Option<Location>,
    /// What of its list can't be understood.
    pub(crate) faults: Vec<Error>,
}

/// All networks by their names, and the files that are no lists.
#[derive(Debug)]
pub(crate) struct Networks {
    /// The networks.
    pub(crate) all: BTreeMap<String, Network>,
    /// Files that are no network lists, and why.
    pub(crate) faults: Vec<(PathBuf, String)>,
}

impl Networks {
    /// Reads the lists and looks for pools. No folder of lists is no fault: lists may be elsewhere.
    pub(crate) fn read(places: &Places) -> Result<Self> {
        let mut networks = Self { all: BTreeMap::new(), faults: Vec::new() };
        if places.conf_dir.exists() {
            let found = NetworkList::read_folder(&places.conf_dir);
            for (path, list) in found.map_err(|error| Error::new(Code::Io, error.to_string()))? {
                match list {
                    Ok(list) => networks.add(path, list),
                    Err(error) => networks.faults.push((path, error.to_string())),
                }
            }
        }
        networks.add_pools(places)?;
        Ok(networks)
    }

    /// The network of this name, or all.
    pub(crate) fn only(mut self, name: Option<&str>) -> Result<Self> {
        let Some(name) = name else { return Ok(self) };
        let names: Vec<String> = self.all.keys().cloned().collect();
        self.all.retain(|known, _| known == name);
        self.faults.clear();
        if self.all.is_empty() {
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let message = format!("no network {name:?} on this host; there is: {known}");
            return Err(Error::new(Code::InvalidConfig, message));
        }
        Ok(self)
    }

    /// Of several lists with one name the first counts, as for runtimes.
    fn add(&mut self, path: PathBuf, list: NetworkList) {
        match list.name().parse() {
            Ok(name) if !self.all.contains_key(list.name()) => {
                let network = Network::of(name, path, list);
                self.all.insert(network.name.to_string(), network);
            }
            Ok(_known) => {
                let fault = format!(
                    "another file has the name {:?}, too, and is the one that counts",
                    list.name()
                );
                self.faults.push((path, fault));
            }
            Err(error) => self.faults.push((path, error.to_string())),
        }
    }

    /// Adds those networks that are known by their pool alone.
    fn add_pools(&mut self, places: &Places) -> Result<()> {
        let entries = match fs::read_dir(&places.data_dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::io("read", &places.data_dir, &error)),
        };
        for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
            let Some(name) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let location = Location {
                data_dir: places.data_dir.clone(),
                network: entry.file_name().to_string_lossy().into_owned(),
                keeps_history: false,
            };
            let network = self.entry(name);
            if network.list.is_none() {
                network.pool = Some(location);
            }
        }
        Ok(())
    }

    /// The network of this name, which is added if it is not known.
    pub(crate) fn entry(&mut self, name: NetworkName) -> &mut Network {
        self.all.entry(name.to_string()).or_insert_with(|| Network {
            name,
            list: None,
            bridge: None,
            ranges: None,
            pool: None,
            faults: Vec::new(),
        })
    }
}

impl Network {
    fn of(name: NetworkName, path: PathBuf, list: NetworkList) -> Self {
        let mut network =
            Self { name, list: None, bridge: None, ranges: None, pool: None, faults: Vec::new() };
        for plugin in list.plugins() {
            if let Err(error) = network.read(&list, plugin) {
                network.faults.push(error.context(plugin.kind()));
            }
        }
        network.list = Some((path, list));
        network
    }

    /// Reads what the list says to one plugin, by the plugin's own reading.
    fn read(&mut self, list: &NetworkList, plugin: &Plugin) -> Result<()> {
        let text = serde_json::Value::Object(list.config_of(plugin)).to_string();
        let config = NetworkConfig::parse(Object::parse(&text, "network list")?, &Version::ALL)?;
        let args = CniArgs::default();
        if config.ipam_type()?.as_deref() == Some("host-local") {
            self.pool = Some(host_local::pool_location(&config)?);
            match host_local::Config::parse(&config, &args) {
                Ok(ranges) => self.ranges = Some(ranges),
                // The runtime says them with each call.
                Err(_missing) if plugin.has_capability("ipRanges") => {}
                Err(error) => return Err(error),
            }
        }
        if plugin.kind() == "bridge" {
            self.bridge = Some(BridgeConfig::parse(&config, &args)?);
        }
        Ok(())
    }

    /// The bridge that its attachments are on, if its list says one.
    pub(crate) fn bridge_name(&self) -> Option<&str> {
        self.bridge.as_ref().map(|config| config.bridge.as_str())
    }
}

//! Network lists, and the configuration that each plugin of one gets. Pure but for reading a file.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::{Attachment, Error};

/// A network list (`.conflist`), or the one plugin of an old `.conf` as a list of one.
#[derive(Clone, Debug)]
pub struct NetworkList {
    object: Map<String, Value>,
    name: String,
    version: String,
    plugins: Vec<Plugin>,
}

/// One plugin of a list, as the list has it.
#[derive(Clone, Debug)]
pub struct Plugin {
    kind: String,
    keys: Map<String, Value>,
}

impl Plugin {
    fn new(value: Value) -> Result<Self, Error> {
        let Value::Object(keys) = value else {
            return Err(Error::new(format!("a plugin of a network list is no object: {value}")));
        };
        match keys.get("type") {
            Some(Value::String(kind)) if !kind.is_empty() => Ok(Self { kind: kind.clone(), keys }),
            _ => Err(Error::new(format!("a plugin has no type: {}", Value::Object(keys)))),
        }
    }

    /// The name of its executable.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether it has `key`.
    pub fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// The name of the IPAM plugin that it runs, if it says one.
    pub fn ipam_type(&self) -> Option<&str> {
        self.keys.get("ipam")?.get("type")?.as_str().filter(|kind| !kind.is_empty())
    }

    /// Whether it asks for a capability.
    pub fn has_capability(&self, name: &str) -> bool {
        let asked = self.keys.get("capabilities").and_then(|all| all.get(name));
        asked.is_some_and(|asked| asked == &Value::Bool(true))
    }
}

impl NetworkList {
    /// The list in a file.
    ///
    /// # Errors
    /// When it can't be read or is no list.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?;
        Self::parse(path, &text)
    }

    /// The list that the text of a file is.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let wrong = |error: &dyn std::fmt::Display| {
            Error::new(format!("network list {}: {error}", path.display()))
        };
        let value = serde_json::from_str(text).map_err(|error| wrong(&error))?;
        Self::new(value).map_err(|error| wrong(&error))
    }

    /// The list that a JSON object is.
    ///
    /// # Errors
    /// When it has no name, no plugin, a plugin without type, or a version that is not numbers.
    pub fn new(list: Value) -> Result<Self, Error> {
        let Value::Object(object) = list else {
            return Err(Error::new("a network list is an object"));
        };
        let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
        let name = text("name").ok_or_else(|| Error::new("a network list has a name"))?;
        let version = text("cniVersion").unwrap_or_else(|| "0.1.0".to_owned());
        if numbers(&version).is_none() {
            return Err(Error::new(format!("cniVersion is not three numbers: {version:?}")));
        }
        let plugins = match object.get("plugins") {
            None => vec![Value::Object(object.clone())],
            Some(Value::Array(plugins)) if !plugins.is_empty() => plugins.clone(),
            Some(_) => return Err(Error::new("a network list has a list of plugins")),
        };
        let plugins = plugins.into_iter().map(Plugin::new).collect::<Result<_, _>>()?;
        Ok(Self { object, name, version, plugins })
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version of the specification.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its plugins, in order: at least one.
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// The plugin of this name, if it is in the list.
    pub fn find(&self, kind: &str) -> Option<&Plugin> {
        self.plugins.iter().find(|plugin| plugin.kind() == kind)
    }

    /// The list without the plugin of this name.
    #[must_use]
    pub fn without(&self, kind: &str) -> Self {
        let mut list = self.clone();
        list.plugins.retain(|plugin| plugin.kind() != kind);
        list
    }

    /// The list as JSON.
    pub fn to_json(&self) -> Value {
        Value::Object(self.object.clone())
    }

    /// Whether its version is this one or newer.
    pub fn at_least(&self, version: [u32; 3]) -> bool {
        numbers(&self.version).is_some_and(|own| own >= version)
    }

    /// Whether a flag of the list is set, as a boolean or as text.
    pub(crate) fn is_set(&self, flag: &str) -> bool {
        match self.object.get(flag) {
            Some(Value::Bool(value)) => *value,
            Some(Value::String(text)) => text == "true",
            _ => false,
        }
    }

    /// What a plugin gets on stdin where no attachment is concerned: its part of the list, with the
    /// list's name and version.
    pub fn config_of(&self, plugin: &Plugin) -> Map<String, Value> {
        let mut config = plugin.keys.clone();
        config.insert("name".to_owned(), self.name.clone().into());
        config.insert("cniVersion".to_owned(), self.version.clone().into());
        config
    }

    /// The same for an attachment, besides with what the plugin before answered (`prevResult`), and
    /// with the arguments of the capabilities that the plugin asks for (`runtimeConfig`).
    pub fn config_of_attachment(
        &self,
        plugin: &Plugin,
        attachment: &Attachment,
        previous: Option<&Value>,
    ) -> Map<String, Value> {
        let mut config = self.config_of(plugin);
        if let Some(result) = previous {
            config.insert("prevResult".to_owned(), result.clone());
        }
        let arguments = attachment.capability_args.iter();
        let asked_for: Map<String, Value> = arguments
            .filter(|(name, _)| plugin.has_capability(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !asked_for.is_empty() {
            config.insert("runtimeConfig".to_owned(), asked_for.into());
        }
        config
    }
}

/// The numbers of a version.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
    parts?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list(keys: Value) -> NetworkList {
        let mut list = json!({"name": "net", "plugins": [{"type": "a"}]});
        list.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        NetworkList::new(list).unwrap()
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let version = |text: &str| list(json!({"cniVersion": text}));
        assert!(version("0.4.0").at_least([0, 4, 0]));
        assert!(version("1.0.0").at_least([0, 4, 0]));
        assert!(!version("0.3.1").at_least([0, 4, 0]));
        assert!(!version("0.10.0").at_least([1, 1, 0]));
        assert!(!list(json!({})).at_least([0, 2, 0]), "none means 0.1.0");
    }

    #[test]
    fn a_capability_is_handed_only_to_whom_it_is_true_for() {
        let list = list(json!({"cniVersion": "1.0.0", "plugins": [
            {"type": "a", "capabilities": {"mac": true, "ips": false}},
            {"type": "b", "capabilities": {"bandwidth": true}},
        ]}));
        let attachment =
            Attachment::default().capabilities([("mac", json!("m")), ("ips", json!(["i"]))]);
        let config = |kind| list.config_of_attachment(list.find(kind).unwrap(), &attachment, None);
        assert_eq!(config("a")["runtimeConfig"], json!({"mac": "m"}));
        assert_eq!(config("b").get("runtimeConfig"), None);
    }

    #[test]
    fn a_single_plugin_is_a_list_of_one() {
        let value = json!({"name": "net", "type": "bridge", "bridge": "cbr0"});
        let list = NetworkList::new(value).unwrap();
        assert_eq!(list.plugins().len(), 1);
        assert_eq!(list.config_of(list.find("bridge").unwrap())["bridge"], "cbr0");
    }

    #[test]
    fn what_is_no_list_is_an_error_that_says_so() {
        for (value, says) in [
            (json!([]), "is an object"),
            (json!({"plugins": [{"type": "a"}]}), "has a name"),
            (json!({"name": "net", "plugins": []}), "list of plugins"),
            (json!({"name": "net", "plugins": [{}]}), "no type"),
            (json!({"name": "net", "plugins": ["a"]}), "no object"),
            (json!({"name": "net", "type": "a", "cniVersion": "1.0"}), "not three numbers"),
        ] {
            let error = NetworkList::new(value).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}

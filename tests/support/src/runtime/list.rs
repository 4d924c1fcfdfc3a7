//! Network lists, and the configuration that each plugin of one gets. Pure but for reading a file.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Attachment;

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
pub struct Plugin(Map<String, Value>);

impl Plugin {
    /// The name of its executable.
    pub fn kind(&self) -> &str {
        self.0["type"].as_str().expect("a plugin has a type")
    }

    /// Whether it has `key`.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Whether it asks for a capability.
    fn wants(&self, capability: &str) -> bool {
        let asked = self.0.get("capabilities").and_then(|all| all.get(capability));
        asked.is_some_and(|wanted| wanted == &Value::Bool(true))
    }
}

impl NetworkList {
    /// The list in a file.
    ///
    /// # Panics
    /// When it can't be read or is no list.
    pub fn read(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let shown = path.display();
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{shown}: {error}"));
        Self::new(value)
    }

    /// The list that a JSON object is.
    ///
    /// # Panics
    /// When it is none.
    pub fn new(list: Value) -> Self {
        let Value::Object(object) = list else { panic!("a network list is an object") };
        let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
        let name = text("name").expect("a network list has a name");
        let version = text("cniVersion").unwrap_or_else(|| "0.1.0".to_owned());
        let plugins = match object.get("plugins") {
            None => vec![Value::Object(object.clone())],
            Some(Value::Array(plugins)) if !plugins.is_empty() => plugins.clone(),
            Some(_) => panic!("a network list has plugins: {object:?}"),
        };
        let plugin = |value| match value {
            Value::Object(keys) if keys.get("type").is_some_and(Value::is_string) => Plugin(keys),
            other => panic!("a plugin is an object with a type: {other}"),
        };
        let plugins = plugins.into_iter().map(plugin).collect();
        Self { object, name, version, plugins }
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version of the specification.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its plugins, in order.
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// The plugin of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn plugin(&self, kind: &str) -> &Plugin {
        self.find(kind).unwrap_or_else(|| panic!("no {kind} in {}", self.name))
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
    pub fn at_least(&self, version: &str) -> bool {
        let numbers = |text: &str| -> Vec<u32> {
            text.split('.').map(|part| part.parse().expect("a version is numbers")).collect()
        };
        numbers(&self.version) >= numbers(version)
    }

    /// Whether a flag of the list is set, as a boolean or as text.
    pub(crate) fn says(&self, flag: &str) -> bool {
        match self.object.get(flag) {
            Some(Value::Bool(value)) => *value,
            Some(Value::String(text)) => text == "true",
            _ => false,
        }
    }

    /// What a plugin gets on stdin: its part of the list, with the list's name and version, what
    /// the plugin before answered, and what the runtime has to say on the capabilities it asks for.
    pub fn derived(
        &self,
        plugin: &Plugin,
        previous: Option<&Value>,
        attachment: &Attachment,
    ) -> Value {
        let said = attachment.capability_args.iter();
        let wanted: Map<String, Value> = said
            .filter(|(name, _)| plugin.wants(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut more = json!({});
        if let Some(result) = previous {
            more["prevResult"] = result.clone();
        }
        if !wanted.is_empty() {
            more["runtimeConfig"] = wanted.into();
        }
        self.derived_with(plugin, more)
    }

    /// The same without an attachment, with the keys of `more` besides.
    pub fn derived_with(&self, plugin: &Plugin, more: Value) -> Value {
        let mut config = plugin.0.clone();
        config.insert("name".to_owned(), self.name.clone().into());
        config.insert("cniVersion".to_owned(), self.version.clone().into());
        let Value::Object(more) = more else { panic!("more keys are an object") };
        config.extend(more);
        Value::Object(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(keys: Value) -> NetworkList {
        let mut list = json!({"name": "net", "plugins": [{"type": "a"}]});
        list.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        NetworkList::new(list)
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let version = |text: &str| list(json!({"cniVersion": text}));
        assert!(version("0.4.0").at_least("0.4.0"));
        assert!(version("1.0.0").at_least("0.4.0"));
        assert!(!version("0.3.1").at_least("0.4.0"));
        assert!(!version("0.10.0").at_least("1.1.0"));
        assert!(!list(json!({})).at_least("0.2.0"), "none means 0.1.0");
    }

    #[test]
    fn a_capability_is_handed_only_to_whom_it_is_true_for() {
        let list = NetworkList::new(json!({"name": "net", "cniVersion": "1.0.0", "plugins": [
            {"type": "a", "capabilities": {"mac": true, "ips": false}},
            {"type": "b", "capabilities": {"bandwidth": true}},
        ]}));
        let said = json!({"mac": "m", "ips": ["i"]});
        let attachment = Attachment::default().capabilities(&said);
        let derived = |kind| list.derived(list.plugin(kind), None, &attachment);
        assert_eq!(derived("a")["runtimeConfig"], json!({"mac": "m"}));
        assert_eq!(derived("b").get("runtimeConfig"), None);
    }

    #[test]
    fn a_single_plugin_is_a_list_of_one() {
        let list = NetworkList::new(json!({"name": "net", "type": "bridge", "bridge": "cbr0"}));
        assert_eq!(list.plugins().len(), 1);
        assert_eq!(list.derived_with(list.plugin("bridge"), json!({}))["bridge"], "cbr0");
    }
}

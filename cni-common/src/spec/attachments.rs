//! GC's list of the attachments that still live.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

use super::json::Object;
use crate::error::{Code, Error, Result};

/// The attachments of a network that live, by container; whatever else is recorded of it is stale.
#[derive(Clone, Debug, Default)]
pub struct ValidAttachments<'a>(HashMap<Cow<'a, str>, Vec<Cow<'a, str>>>);

/// The specification's key, and the one libcni sends besides.
const KEYS: [&str; 2] = ["cni.dev/valid-attachments", "cni.dev/attachments"];

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "containerID", borrow)]
    container: Cow<'a, str>,
    #[serde(borrow)]
    ifname: Cow<'a, str>,
}

impl<'a> ValidAttachments<'a> {
    /// Reads the list. Neither key there, or `null`, says nothing about anybody (`None`): never that
    /// everything is stale.
    pub fn parse(config: &Object<'a>) -> Result<Option<Self>> {
        let Some(list) = KEYS.iter().find_map(|key| config.value(key)) else { return Ok(None) };
        let entries: Vec<Entry<'a>> = serde_json::from_str(list.text()).map_err(|error| {
            let fault = format!("{}: must be a list of {{containerID, ifname}}", list.path());
            Error::new(Code::InvalidConfig, fault).with_details(error.to_string())
        })?;
        let mut containers: HashMap<_, Vec<_>> = HashMap::new();
        for entry in entries {
            containers.entry(entry.container).or_default().push(entry.ifname);
        }
        Ok(Some(Self(containers)))
    }

    /// Whether the attachment lives.
    pub fn contains(&self, container: &str, ifname: &str) -> bool {
        self.0.get(container).is_some_and(|names| names.iter().any(|name| name == ifname))
    }

    /// Whether the container lives with any interface.
    pub fn contains_container(&self, container: &str) -> bool {
        self.0.contains_key(container)
    }

    /// The attachments, as container ID and interface name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(container, names)| {
            names.iter().map(|name| (container.as_ref(), name.as_ref()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<ValidAttachments<'_>>> {
        ValidAttachments::parse(&Object::parse(text, "test").unwrap())
    }

    #[test]
    fn either_key_is_taken_and_an_empty_list_is_what_it_says() {
        for key in KEYS {
            let text = format!(r#"{{"{key}":[{{"containerID":"a","ifname":"eth0"}}]}}"#);
            let valid = parse(&text).unwrap().unwrap();
            assert!(valid.contains("a", "eth0") && !valid.contains("a", "eth1"));
            assert_eq!(parse(&format!(r#"{{"{key}":[]}}"#)).unwrap().unwrap().iter().count(), 0);
        }
    }

    #[test]
    fn a_missing_list_is_none_and_a_faulty_one_an_error() {
        for text in ["{}", r#"{"cni.dev/valid-attachments":null}"#] {
            assert!(parse(text).unwrap().is_none());
        }
        assert!(parse(r#"{"cni.dev/valid-attachments":{}}"#).unwrap_err().is(Code::InvalidConfig));
    }
}

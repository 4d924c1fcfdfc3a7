//! The network's name, which is also a folder's name on disk.

use std::str::FromStr;

use super::{checked_string, is_identifier};
use crate::error::{Code, Error};

/// A network's name: the same pattern as a container ID, so never a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetworkName(String);

checked_string!(NetworkName);

impl FromStr for NetworkName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::new(Code::InvalidConfig, "missing network name"));
        }
        if is_identifier(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(Code::InvalidConfig, "invalid characters found in network name")
            .with_details(format!("\"name\": {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_not_a_name() {
        for bad in ["../x", "/etc", ".", "..", "a/b", "a b"] {
            assert!(bad.parse::<NetworkName>().unwrap_err().is(Code::InvalidConfig), "{bad}");
        }
        assert_eq!("".parse::<NetworkName>().unwrap_err().message(), "missing network name");
        assert_eq!(
            "k8s-pod.network_1".parse::<NetworkName>().unwrap().as_str(),
            "k8s-pod.network_1"
        );
    }
}

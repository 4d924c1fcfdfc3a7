//! `CNI_CONTAINERID`. Knows nothing of what a container is.

use std::str::FromStr;

use super::{checked_string, is_identifier};
use crate::error::{Code, Error};

/// A container's ID: `^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$` (CNI specification, section 2).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(String);

checked_string!(ContainerId);

impl FromStr for ContainerId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if is_identifier(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(Code::InvalidEnvironment, "invalid characters in containerID")
            .with_details(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_that_of_the_specification() {
        for good in ["a", "0", "a.b_c-d", "A9"] {
            assert_eq!(good.parse::<ContainerId>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "-a", "_a", "a/b", "a b", "a\n", "é", "a\0"] {
            let error = bad.parse::<ContainerId>().unwrap_err();
            assert!(error.is(Code::InvalidEnvironment));
            assert_eq!(error.details(), Some(bad));
        }
    }
}

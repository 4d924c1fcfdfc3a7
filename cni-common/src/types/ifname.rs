//! The name of a network interface.

use std::str::FromStr;

use super::checked_string;
use crate::error::{Code, Error};

/// An interface name as the kernel takes it (`dev_valid_name` in net/core/dev.c): 1 to 15 bytes,
/// not `.` or `..`, no `/`, `:` or white space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IfName(String);

checked_string!(IfName);

/// `IFNAMSIZ` without the closing NUL.
const MAX_LENGTH: usize = 15;

impl IfName {
    fn fault(text: &str) -> Option<&'static str> {
        if text.is_empty() {
            Some("interface name is empty")
        } else if text.len() > MAX_LENGTH {
            Some("interface name is too long (15 bytes at most)")
        } else if text == "." || text == ".." {
            Some("interface name is . or ..")
        } else if text.contains(|c: char| c == '/' || c == ':' || c == '\0' || c.is_whitespace()) {
            Some("interface name contains / or : or whitespace characters")
        } else {
            None
        }
    }
}

impl FromStr for IfName {
    type Err = Error;

    /// Fails with code 4; a configuration's reader sets its own code.
    fn from_str(text: &str) -> Result<Self, Error> {
        match Self::fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(fault) => Err(Error::new(Code::InvalidEnvironment, fault).with_details(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_the_kernels() {
        for good in ["eth0", "a", "exactly15bytes_", "e.5", "é"] {
            assert!(good.parse::<IfName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a:b", "a b", "a\tb", "sixteen_bytes_xx", "a\0"] {
            assert!(bad.parse::<IfName>().unwrap_err().is(Code::InvalidEnvironment), "{bad:?}");
        }
    }
}

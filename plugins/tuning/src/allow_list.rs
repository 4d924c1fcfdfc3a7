//! `/etc/cni/tuning/allowlist.conf`: which sysctls the node's administrator allows, one regular
//! expression on a line, of which any part of a key may be a match. Pure.

use cni_common::{Code, Error, Result};
use regex_lite::Regex;

/// Where it is; without the file everything is allowed.
pub const PATH: &str = "/etc/cni/tuning/allowlist.conf";
/// What is longer is no list of sysctls.
pub const MAX_BYTES: usize = 64 << 10;

/// The expressions in their order.
#[derive(Debug)]
pub struct AllowList {
    lines: Vec<(String, Result<Regex, regex_lite::Error>)>,
}

impl AllowList {
    /// Reads the file's text; empty lines do not count.
    pub fn parse(text: &str) -> Self {
        let lines = text.split('\n').map(str::trim).filter(|line| !line.is_empty());
        Self { lines: lines.map(|line| (line.to_owned(), Regex::new(line))).collect() }
    }

    /// Fails (code 7) unless an expression matches `key` as it is written in the configuration. A
    /// line that is no expression fails those keys only that no line before it allows.
    pub fn require(&self, key: &str) -> Result<()> {
        for (line, expression) in &self.lines {
            let expression = expression.as_ref().map_err(|error| {
                let message = format!("{PATH}: not a regular expression: {line:?}");
                Error::new(Code::InvalidConfig, message).with_details(error.to_string())
            })?;
            if expression.is_match(key) {
                return Ok(());
            }
        }
        let lines: Vec<&str> = self.lines.iter().map(|(line, _)| line.as_str()).collect();
        let message = format!(
            "Sysctl {key} is not allowed. Only the following sysctls are allowed: [{}]",
            lines.join(" ")
        );
        Err(Error::new(Code::InvalidConfig, message).with_details(PATH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_of_a_key_may_match_unless_the_expression_is_anchored() {
        let list = AllowList::parse("^net\\.core\\.\r\n\n  [[:alpha:]]_limit$ \n(?i)ARP\n");
        for key in ["net.core.somaxconn", "net.x.y_limit", "net.ipv4.conf.eth0.arp_notify"] {
            list.require(key).unwrap();
        }
        let error = list.require("net/core/somaxconn").unwrap_err();
        assert_eq!(
            error.message(),
            "Sysctl net/core/somaxconn is not allowed. Only the following sysctls are allowed: \
             [^net\\.core\\. [[:alpha:]]_limit$ (?i)ARP]"
        );
    }

    #[test]
    fn an_empty_list_allows_nothing() {
        let error = AllowList::parse("\n \n").require("net.x").unwrap_err();
        assert!(error.message().ends_with("are allowed: []"), "{error}");
    }

    #[test]
    fn a_line_that_is_no_expression_is_named_when_it_is_reached() {
        let list = AllowList::parse("^net.core\n(\nnet");
        list.require("net.core.x").unwrap();
        let error = list.require("net.ipv4.x").unwrap_err();
        assert!(error.message().ends_with("not a regular expression: \"(\""), "{error}");
    }

    #[test]
    fn an_expression_takes_no_more_time_than_its_length() {
        let list = AllowList::parse("(a*)*(a|aa)+b\n");
        let begun = std::time::Instant::now();
        list.require(&"a".repeat(2000)).unwrap_err();
        assert!(begun.elapsed().as_secs() < 5);
    }
}

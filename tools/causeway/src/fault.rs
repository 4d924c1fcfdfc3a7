//! What was found to be wrong. Where much is missing at once, a person is shown the first parts of it, a line each.

use std::fmt;

use cni_common::Error;
use serde::{Serialize, Serializer};

/// What a line of text holds besides whose fault it is; what is longer is told in several.
const MAX_LINE: usize = 160;
/// How many parts a person is shown below the first one: all that one plugin of a default list can miss for one
/// container, but for the ports of a long list.
const MAX_SHOWN: usize = 8;

/// A fault, which may have several parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    first: String,
    others: Vec<String>,
}

impl Fault {
    /// The first part.
    pub(crate) fn first(&self) -> &str {
        &self.first
    }

    /// What a person reads: one line, or the first parts and how many more there are.
    pub(crate) fn text(&self) -> String {
        let line = self.to_string();
        if self.others.is_empty() || self.others.len() == 1 && line.chars().count() <= MAX_LINE {
            return line;
        }
        // A last line that says "1 more" would hold that one as well.
        let shown = if self.others.len() == MAX_SHOWN + 1 { MAX_SHOWN + 1 } else { MAX_SHOWN };
        let mut text = self.first.clone();
        for part in self.others.iter().take(shown) {
            text.push_str(&format!("\n        {part}"));
        }
        match self.others.len().saturating_sub(shown) {
            0 => {}
            more => text.push_str(&format!("\n        and {more} more, which --json shows")),
        }
        text
    }
}

impl From<String> for Fault {
    fn from(first: String) -> Self {
        Self { first, others: Vec::new() }
    }
}

/// Of what a CHECK found, the message is the first part, and each detail another one.
impl From<&Error> for Fault {
    fn from(error: &Error) -> Self {
        let others = error.details().map(parts).unwrap_or_default();
        Self { first: error.message().to_owned(), others }
    }
}

/// All of it in one line, as the error says it.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first)?;
        match self.others.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", self.others.join("; ")),
        }
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Details are parted by semicolons; one in between quotes is of the chain that it is about.
fn parts(details: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut is_whole = true;
    for piece in details.split("; ") {
        match parts.last_mut() {
            Some(last) if !is_whole => last.push_str(&format!("; {piece}")),
            _ => parts.push(piece.to_owned()),
        }
        is_whole ^= piece.matches('"').count() % 2 == 1;
    }
    parts
}

#[cfg(test)]
mod tests {
    use cni_common::Code;

    use super::*;

    fn of(count: usize) -> Fault {
        let errors =
            (0..count).map(|number| Error::new(Code::CheckFailed, format!("part {number}")));
        Fault::from(&Error::join(errors).unwrap_err())
    }

    #[test]
    fn few_parts_are_one_line_and_many_a_line_each() {
        assert_eq!(of(1).text(), "part 0");
        assert_eq!(of(2).text(), "part 0 (part 1)");
        assert_eq!(of(3).text(), "part 0\n        part 1\n        part 2");
        assert!(of(10).text().ends_with("\n        part 9"));
        let shown: String = (1..=8).map(|number| format!("        part {number}\n")).collect();
        let many = format!("part 0\n{shown}        and 2 more, which --json shows");
        assert_eq!(of(11).text(), many);
    }

    #[test]
    fn two_parts_that_are_long_are_two_lines() {
        let long = Error::new(Code::CheckFailed, "a".repeat(MAX_LINE)).with_details("b");
        assert!(Fault::from(&long).text().ends_with("a\n        b"));
    }

    #[test]
    fn a_semicolon_in_quotes_parts_nothing() {
        let details = "chain x: its hook is not \"type filter; policy accept\"; the rule \"a \"b\" c\" is gone; c";
        let error = Error::new(Code::CheckFailed, "first").with_details(details);
        let fault = Fault::from(&error);
        assert_eq!(fault.others.len(), 3);
        assert_eq!(fault.to_string(), format!("first ({details})"));
        assert_eq!(serde_json::to_value(&fault).unwrap(), error.to_string());
    }
}

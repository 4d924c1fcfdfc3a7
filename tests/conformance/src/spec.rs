//! The versions of the specification that have rules here, and how binding a rule is in each. Pure.

use std::fmt;
use std::str::FromStr;

/// A version of the CNI specification.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Spec {
    /// 0.4.0: CHECK, and `prevResult` on DEL.
    V0_4_0,
    /// 1.0.0: network lists only, an IP address without `version`.
    V1_0_0,
    /// 1.1.0: GC and STATUS.
    V1_1_0,
}

impl Spec {
    /// All of them, the oldest first.
    pub const ALL: [Self; 3] = [Self::V0_4_0, Self::V1_0_0, Self::V1_1_0];

    /// As a configuration names it.
    pub fn text(self) -> &'static str {
        match self {
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|spec| spec.text() == text);
        found
            .ok_or_else(|| format!("no rules for {text:?}; there are some for 0.4.0, 1.0.0, 1.1.0"))
    }
}

/// How binding a rule is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// MUST, MUST NOT, REQUIRED.
    Must,
    /// SHOULD, SHOULD NOT.
    Should,
    /// Not of the specification: what a runtime does with a plugin.
    Habit,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::Habit => "habit",
        })
    }
}

/// The level of a rule in 0.4.0, 1.0.0 and 1.1.0; `None` where a version does not have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Levels(pub(crate) [Option<Level>; 3]);

impl Levels {
    pub(crate) const MUST: Self = Self([Some(Level::Must); 3]);
    pub(crate) const SHOULD: Self = Self([Some(Level::Should); 3]);
    /// Relaxed by 1.0.0.
    pub(crate) const MUST_THEN_SHOULD: Self =
        Self([Some(Level::Must), Some(Level::Should), Some(Level::Should)]);
    /// Tightened by 1.0.0.
    pub(crate) const SHOULD_THEN_MUST: Self =
        Self([Some(Level::Should), Some(Level::Must), Some(Level::Must)]);
    pub(crate) const MUST_SINCE_1_0: Self = Self([None, Some(Level::Must), Some(Level::Must)]);
    pub(crate) const SHOULD_SINCE_1_0: Self =
        Self([None, Some(Level::Should), Some(Level::Should)]);
    /// Not taken over by 1.0.0.
    pub(crate) const SHOULD_IN_0_4: Self = Self([Some(Level::Should), None, None]);
    pub(crate) const MUST_SINCE_1_1: Self = Self([None, None, Some(Level::Must)]);
    pub(crate) const SHOULD_SINCE_1_1: Self = Self([None, None, Some(Level::Should)]);

    pub(crate) fn of(self, spec: Spec) -> Option<Level> {
        let [first, second, third] = self.0;
        match spec {
            Spec::V0_4_0 => first,
            Spec::V1_0_0 => second,
            Spec::V1_1_0 => third,
        }
    }
}

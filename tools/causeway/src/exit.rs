//! The exit status. As fsck has it, because 1 means an error everywhere else: bits that add.

use std::ops::BitOr;
use std::process::ExitCode;

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(u8);

impl Exit {
    /// Nothing is wrong.
    pub(crate) const OK: Self = Self(0);
    /// Something was wrong, and was mended.
    pub(crate) const REPAIRED: Self = Self(1);
    /// Something wrong is left.
    pub(crate) const LEFT: Self = Self(4);
    /// The tool could not do its work.
    pub(crate) const FAILED: Self = Self(8);
    /// The command line was wrong.
    pub(crate) const USAGE: Self = Self(16);

    /// This one if `is_so`, else that nothing is wrong.
    pub(crate) fn when(self, is_so: bool) -> Self {
        if is_so { self } else { Self::OK }
    }
}

impl BitOr for Exit {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_to_pass_adds_up() {
        let both = Exit::REPAIRED | Exit::LEFT.when(true) | Exit::FAILED.when(false);
        assert_eq!(both, Exit(5));
    }
}

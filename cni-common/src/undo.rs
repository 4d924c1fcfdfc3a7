//! What an ADD has done so far, and how each step is taken back.

use crate::error::{Error, Result};

/// Steps to be taken back, the last one first. A step is noted after it succeeded, never before:
/// undoing what was refused would undo somebody else's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal<S>(Vec<S>);

impl<S> Default for Journal<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S> Journal<S> {
    /// Notes how to take back the step that was just done.
    pub fn note(&mut self, step: S) {
        self.0.push(step);
    }

    /// The steps noted so far, the first one first.
    pub fn steps(&self) -> impl Iterator<Item = &S> {
        self.0.iter()
    }

    /// Takes everything back by `undo`. No failure stops the rest; all failures are returned.
    pub fn take_back(&mut self, mut undo: impl FnMut(S) -> Result<()>) -> Vec<Error> {
        let mut failures = Vec::new();
        while let Some(step) = self.0.pop() {
            failures.extend(undo(step).err());
        }
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn steps_are_taken_back_last_first_and_a_failure_stops_nothing() {
        let mut journal = Journal::default();
        (1..=3).for_each(|step| journal.note(step));
        let mut undone = Vec::new();
        let failures = journal.take_back(|step| {
            undone.push(step);
            if step == 2 { Err(Error::new(Code::Kernel, "no")) } else { Ok(()) }
        });
        assert_eq!(undone, [3, 2, 1]);
        assert_eq!(failures, [Error::new(Code::Kernel, "no")]);
        assert!(journal.take_back(|_| Ok(())).is_empty());
    }
}

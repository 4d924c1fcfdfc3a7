//! What an ADD has done so far, and how each step is undone.

use crate::error::{Error, Result};

/// Does `step`, and once more if it fails: what was in its way may have passed. For what must not be
/// left undone, as nobody comes after it who would do it.
pub fn retry_once<T>(mut step: impl FnMut() -> Result<T>) -> Result<T> {
    step().or_else(|_first| step())
}

/// Steps to be undone, the last one first. A step is noted after it succeeded, never before:
/// undoing what was refused would undo somebody else's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal<S>(Vec<S>);

impl<S> Default for Journal<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S> Journal<S> {
    /// Notes how to undo the step that was just done.
    pub fn note(&mut self, step: S) {
        self.0.push(step);
    }

    /// The steps noted so far, the first one first.
    pub fn steps(&self) -> impl Iterator<Item = &S> {
        self.0.iter()
    }

    /// Undoes everything by `undo`. No failure stops the rest; all failures are returned.
    pub fn rollback(&mut self, mut undo: impl FnMut(S) -> Result<()>) -> Vec<Error> {
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
    fn steps_are_undone_last_first_and_a_failure_stops_nothing() {
        let mut journal = Journal::default();
        (1..=3).for_each(|step| journal.note(step));
        let mut undone = Vec::new();
        let failures = journal.rollback(|step| {
            undone.push(step);
            if step == 2 { Err(Error::new(Code::Kernel, "no")) } else { Ok(()) }
        });
        assert_eq!(undone, [3, 2, 1]);
        assert_eq!(failures, [Error::new(Code::Kernel, "no")]);
        assert!(journal.rollback(|_| Ok(())).is_empty());
    }
}

//! What is at work just now: the step that others are within, and the plugin whose it is.

use std::cell::RefCell;

thread_local! {
    static SCOPE: RefCell<Scope> = const { RefCell::new(Scope { within: 0, called: None }) };
}

#[derive(Clone, Default)]
struct Scope {
    /// The step's number; 0 is the call itself.
    within: u32,
    /// Plugin and command of a call in this process.
    called: Option<(String, String)>,
}

/// The number of what is at work, and plugin and command, if a plugin that was called in this process is.
pub(super) fn now() -> (u32, Option<(String, String)>) {
    SCOPE.with_borrow(|scope| (scope.within, scope.called.clone()))
}

/// Something that was entered, and is left when the value is dropped: also by a panic.
pub(super) struct Entered(Scope);

impl Entered {
    /// Enters a step.
    pub(super) fn step(id: u32) -> Self {
        Self(SCOPE.with_borrow_mut(|scope| {
            let within = std::mem::replace(&mut scope.within, id);
            Scope { within, called: scope.called.clone() }
        }))
    }

    /// Enters a call of a plugin.
    pub(super) fn call(id: u32, (plugin, command): (&str, &str)) -> Self {
        let called = Some((plugin.to_owned(), command.to_owned()));
        Self(SCOPE.replace(Scope { within: id, called }))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        SCOPE.set(std::mem::take(&mut self.0));
    }
}

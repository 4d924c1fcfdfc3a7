//! A panic is a defect of ours, and the caller still gets an error object for it.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Mutex;

use crate::error::{Code, Error, Result};

static LAST: Mutex<Option<String>> = Mutex::new(None);

/// Keeps message and place of a panic for the error object instead of printing them.
pub(super) fn record_instead_of_printing() {
    set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let payload = info.payload_as_str().unwrap_or("panic");
        if let Ok(mut last) = LAST.lock() {
            *last = Some(format!("{payload} at {place}"));
        }
    }));
}

/// Does `work`; a panic in it is error 999 with what the panic said. So a panic is no excuse for leaving half
/// of something.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_payload| {
        let said = LAST.lock().ok().and_then(|mut last| last.take()).unwrap_or_default();
        Err(Error::new(Code::Internal, "internal error: the plugin panicked").with_details(said))
    })
}

//! Reading the kernel's messages by crates that believe some lengths in them that they should not, and
//! panic over them: that too is an answer that can't be read, and no defect to unwind a call for. Pure.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Code, Error, Result};

/// What `read` makes of a message.
pub(crate) fn guarded<T, E: Display>(read: impl FnOnce() -> Result<T, E>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(message)) => Ok(message),
        Ok(Err(error)) => Err(Error::new(Code::Kernel, error.to_string())),
        Err(_panic) => Err(Error::new(Code::Kernel, "a length in it is not valid")),
    }
}

//! One ADD or DEL of an attachment at a time (`docs/decisions/0022`).

use std::path::Path;
use std::time::Duration;

use cni_common::error::{Context, Result};
use cni_common::names;
use cni_common::sys::attacher::LOCK_FILE;
use cni_common::sys::byte_lock::ByteLock;
use cni_common::types::Attachment;

/// Longer than an ADD that moves, and so short that an ADD which waited first ends before the
/// kubelet's deadline of four minutes all the same.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Waits until no other ADD or DEL of the attachment runs. `None` where there can't be a lock.
pub fn attachment(attachment: &Attachment) -> Result<Option<ByteLock>> {
    ByteLock::acquire(Path::new(LOCK_FILE), names::lock_offset(attachment), TIMEOUT)
        .with_context(|| format!("another ADD or DEL of {attachment}"))
}

//! One ADD or DEL of an attachment at a time (`docs/decisions/0022`).

use cni_common::error::Result;
use cni_common::names;
use cni_common::sys::attacher;
use cni_common::sys::byte_lock::ByteLock;
use cni_common::types::Attachment;

/// Waits until no other ADD or DEL of the attachment runs. `None` where there can't be a lock.
pub fn attachment(attachment: &Attachment) -> Result<Option<ByteLock>> {
    attacher::lock(names::lock_offset(attachment), attachment)
}

//! What a runtime keeps of an attachment: a file of libcni's, or one that anybody may have damaged.

use cni_runtime::{Attachment, Cached};

/// What is read has a network and an interface; printed, it is read as the same again.
pub fn cache(data: &[u8]) {
    let Some(found) = std::str::from_utf8(data).ok().and_then(Cached::parse) else { return };
    assert!(!found.network.is_empty() && !found.attachment.ifname.is_empty(), "{found:?}");
    let printed = found.print();
    let again = Cached::parse(&printed).expect("what was printed");
    assert_eq!(again.print(), printed);
    // A name with a separator in it becomes two.
    let attachment = Attachment { args: again.attachment.args.clone(), ..found.attachment };
    assert_eq!(again, Cached { attachment, ..found });
}

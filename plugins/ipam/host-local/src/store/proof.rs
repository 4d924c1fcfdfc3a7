//! What proves that an address is nobody's any more: never the time of its file, and never for a file
//! of another plugin.

use std::fmt;

use super::lease::Holder;
use super::origin::Origin;

/// Why nobody holds an address that there is a file of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its writer never came to write whose it is.
    Unfinished,
    /// This suite allocated it in an earlier boot, and no namespace outlives that.
    EarlierBoot,
    /// Its host interface is gone, and with it the container's namespace.
    NamespaceGone,
}

impl Proof {
    /// What the file itself proves.
    pub(super) fn of_file(holder: &Holder, boot: Option<&str>, origin: &Origin) -> Option<Self> {
        if holder.is_nobody() {
            return Some(Self::Unfinished);
        }
        let is_earlier = *holder != Holder::Unknown && origin.is_of_earlier_boot(boot);
        is_earlier.then_some(Self::EarlierBoot)
    }

    /// The same, or what is proved of the attachment that it was allocated for.
    pub(super) fn find(holder: &Holder, boot: Option<&str>, origin: &Origin) -> Option<Self> {
        Self::of_file(holder, boot, origin).or_else(|| {
            let is_attachment = matches!(holder, Holder::Attachment(..));
            let is_dead = is_attachment && origin.is_of_dead_attachment(boot);
            is_dead.then_some(Self::NamespaceGone)
        })
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unfinished => "its file was left unfinished",
            Self::EarlierBoot => "it was allocated in an earlier boot",
            Self::NamespaceGone => {
                "its host interface is gone, and so is the container's namespace"
            }
        })
    }
}

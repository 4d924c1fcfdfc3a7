//! The comment that says whose something is: `<network>/<container>/<ifname>`. Pure.
//!
//! `nft` reads back comments of 128 bytes, container IDs and network names are of any length, and
//! the comment must identify exactly. So a part that is too long is cut and ends in `~` and a hash
//! of the whole; `~` can't stand in a name.

use std::collections::HashSet;

use crate::spec::ValidAttachments;
use crate::types::{Attachment, NetworkName, hash};

/// With a container ID of this length, two slashes and 15 bytes of interface name: 128 bytes.
const NETWORK: usize = 40;
/// The 64 hexadecimal digits that runtimes use, and some more.
const CONTAINER: usize = 71;
/// 96 bits tell the names of one machine apart.
const HASH_DIGITS: usize = 24;
/// Stands between what is left of a name and the hash of the whole.
pub const CUT: char = '~';

/// The comment of what belongs to the attachment.
pub fn comment(attachment: &Attachment) -> String {
    owned(&attachment.network, attachment.container.as_str(), attachment.ifname.as_str())
}

/// The attachments of one network that live, as GC is told them or finds out.
pub struct Living<'a> {
    network: &'a NetworkName,
    known: Known<'a>,
}

enum Known<'a> {
    /// The comments of all that live.
    Listed(HashSet<String>),
    /// Whether an attachment is proved to be dead.
    Dead(&'a dyn Fn(&Attachment) -> bool),
}

impl<'a> Living<'a> {
    /// Those of the list.
    pub fn of(network: &'a NetworkName, valid: &ValidAttachments<'_>) -> Self {
        let comments = valid.iter().map(|(container, ifname)| owned(network, container, ifname));
        Self { network, known: Known::Listed(comments.collect()) }
    }

    /// All but those that are proved to be dead.
    pub fn unless(network: &'a NetworkName, is_dead: &'a dyn Fn(&Attachment) -> bool) -> Self {
        Self { network, known: Known::Dead(is_dead) }
    }

    /// Whether the comment names an attachment of the network that does not live.
    pub fn is_stale(&self, comment: &str) -> bool {
        let Some(rest) = comment.strip_prefix(&prefix(self.network)) else { return false };
        match &self.known {
            Known::Listed(comments) => !comments.contains(comment),
            Known::Dead(is_dead) => attachment(self.network, rest).is_some_and(|one| is_dead(&one)),
        }
    }
}

/// The attachment of the network whose comment ends in `<container>/<ifname>`. A name that was cut
/// says of none.
fn attachment(network: &NetworkName, rest: &str) -> Option<Attachment> {
    if network_part(network) != network.as_str() {
        return None;
    }
    let (container, ifname) = rest.split_once('/')?;
    Some(Attachment {
        network: network.clone(),
        container: container.parse().ok()?,
        ifname: ifname.parse().ok()?,
    })
}

/// The attachment that a comment names; `None` where a name had to be cut.
pub fn parse_comment(comment: &str) -> Option<Attachment> {
    let mut parts = comment.splitn(3, '/');
    Some(Attachment {
        network: parts.next()?.parse().ok()?,
        container: parts.next()?.parse().ok()?,
        ifname: parts.next()?.parse().ok()?,
    })
}

/// What the comments of a network's attachments begin with.
fn prefix(network: &NetworkName) -> String {
    format!("{}/", network_part(network))
}

/// The network's name, cut if need be.
pub fn network_part(network: &NetworkName) -> String {
    shortened(network.as_str(), NETWORK)
}

fn owned(network: &NetworkName, container: &str, ifname: &str) -> String {
    format!("{}/{}/{ifname}", network_part(network), shortened(container, CONTAINER))
}

fn shortened(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let mut end = longest - HASH_DIGITS - CUT.len_utf8();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    format!("{kept}{CUT}{}", hash::sha256(text, HASH_DIGITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attachment(network: &str, container: &str) -> Attachment {
        Attachment {
            network: network.parse().unwrap(),
            container: container.parse().unwrap(),
            ifname: "exactly15bytes_".parse().unwrap(),
        }
    }

    #[test]
    fn usual_names_stand_in_full() {
        let id = "a".repeat(64);
        assert_eq!(comment(&attachment("podman", &id)), format!("podman/{id}/exactly15bytes_"));
    }

    #[test]
    fn the_longest_is_what_nft_reads_back_and_still_tells_two_apart() {
        let long = |end| attachment(&"n".repeat(300), &format!("{}{end}", "c".repeat(300)));
        let (one, other) = (comment(&long('1')), comment(&long('2')));
        assert_eq!(one.len(), crate::nft::MAX_COMMENT);
        assert_ne!(one, other);
        assert!(one.starts_with(&prefix(&long('1').network)));
    }

    #[test]
    fn an_attachment_is_read_back_from_its_comment_unless_that_was_cut() {
        let one = attachment("podman", "3b1c0ffee5");
        assert_eq!(parse_comment(&comment(&one)), Some(one));
        assert_eq!(parse_comment(&comment(&attachment("podman", &"c".repeat(300)))), None);
        assert_eq!(parse_comment("somebody else's"), None);
    }

    #[test]
    fn a_cut_name_is_nobodys_name() {
        let cut = network_part(&"n".repeat(300).parse().unwrap());
        assert!(cut.parse::<NetworkName>().is_err(), "{cut}");
    }
}

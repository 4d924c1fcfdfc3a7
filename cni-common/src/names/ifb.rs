//! The names and aliases of ifb devices, by which a container's traffic is shaped: made and read back
//! here. Pure.

use super::{MAX_ALIAS, cut};
use crate::types::{Attachment, hash};

/// What the reference's names begin with: for what a container sends.
const SENT: &str = "bwp";
/// What names begin with for what a container receives, where that needs a device of its own.
const RECEIVED: &str = "bwi";
/// As many as an interface name holds behind either.
const DIGITS: usize = 12;
/// Between the attachment and the name of its host interface.
const AT: &str = " at ";
/// An interface name is at most 15 bytes long (`IFNAMSIZ`).
const MAX_NAME: usize = 15;

/// The reference's name, which is the same for all interfaces of a container in one network.
pub fn plain(attachment: &Attachment) -> String {
    let Attachment { network, container, .. } = attachment;
    named(SENT, &hash::sha512(&format!("{network}{container}"), DIGITS))
}

/// The name where another interface of the container has the plain one.
pub fn with_ifname(attachment: &Attachment) -> String {
    named(SENT, &hash::sha256(&attachment.to_string(), DIGITS))
}

/// The name of the device for what the container receives.
pub fn received(attachment: &Attachment) -> String {
    named(RECEIVED, &hash::sha256(&attachment.to_string(), DIGITS))
}

fn named(start: &str, digits: &str) -> String {
    format!("{start}{digits}")
}

/// All names that devices of an attachment may have.
pub fn all(attachment: &Attachment) -> [String; 3] {
    [plain(attachment), with_ifname(attachment), received(attachment)]
}

/// Whether a link of this name may be such a device.
pub fn is_name(name: &str) -> bool {
    let digits = name.strip_prefix(SENT).or_else(|| name.strip_prefix(RECEIVED));
    digits.is_some_and(|digits| {
        digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// What an administrator reads on the device: `<network>/<container>/<ifname> at <host interface>`.
pub fn alias(attachment: &Attachment, host_interface: &str) -> String {
    format!("{}{AT}{host_interface}", owner(attachment))
}

/// Whether the alias says that the device is this attachment's.
pub fn is_of(alias: &str, attachment: &Attachment) -> bool {
    alias.split_once(AT).is_some_and(|(found, _)| found == owner(attachment))
}

/// Whether the alias says that the device is of an attachment of this network.
pub fn is_of_network(alias: &str, network: &str) -> bool {
    let start = cut(format!("{network}/"), MAX_ALIAS - AT.len() - MAX_NAME);
    alias.contains(AT) && alias.starts_with(&start)
}

/// The name of the host interface that the alias tells.
pub fn host_interface(alias: &str) -> Option<&str> {
    alias.split_once(AT).map(|(_, name)| name)
}

/// The number of the lock under which devices of a container in a network are made and removed: the
/// 48 bits of the plain name, beyond those of attachments.
pub fn lock_offset(attachment: &Attachment) -> i64 {
    offset_of(&plain(attachment))
}

/// The same, for the device of a name; of one that is not plain, the attachment has to tell.
pub fn offset_of(plain: &str) -> i64 {
    let digits = plain.strip_prefix(SENT).unwrap_or_default();
    i64::from_str_radix(digits, 16).unwrap_or_default() | 1 << 48
}

fn owner(attachment: &Attachment) -> String {
    cut(attachment.to_string(), MAX_ALIAS - AT.len() - MAX_NAME)
}

/// The attachment that the alias tells. `None` where it could not hold all of a long container ID.
pub fn attachment(alias: &str) -> Option<Attachment> {
    let (owner, _) = alias.split_once(AT)?;
    let mut parts = owner.split('/');
    let attachment = Attachment {
        network: parts.next()?.parse().ok()?,
        container: parts.next()?.parse().ok()?,
        ifname: parts.next()?.parse().ok()?,
    };
    is_of(alias, &attachment).then_some(attachment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::IfName;

    fn of(container: &str, ifname: &str) -> Attachment {
        Attachment {
            network: "net".parse().unwrap(),
            container: container.parse().unwrap(),
            ifname: ifname.parse().unwrap(),
        }
    }

    #[test]
    fn the_plain_name_is_the_references_and_the_others_are_of_one_interface() {
        // printf netc1 | sha512sum
        assert_eq!(plain(&of("c1", "eth0")), "bwp623e1c388032");
        assert_eq!(plain(&of("c1", "eth1")), plain(&of("c1", "eth0")));
        let [plain, own, received] = all(&of("c1", "eth0"));
        assert_eq!((own.as_str(), received.as_str()), ("bwp6e5fcbeeefc7", "bwi6e5fcbeeefc7"));
        assert_ne!(with_ifname(&of("c1", "eth1")), own);
        for name in [&plain, &own, &received] {
            assert!(is_name(name) && name.parse::<IfName>().is_ok());
        }
        assert!(!is_name("bwp0") && !is_name("veth623e1c388032") && !is_name("bwp623E1C388032"));
        assert_eq!(lock_offset(&of("c1", "eth0")), 0x1_623e_1c38_8032);
    }

    #[test]
    fn an_alias_tells_whose_the_device_is_whatever_the_id() {
        let short = of("c1", "eth0");
        let text = alias(&short, "veth6e5fcbeeefc");
        assert_eq!(text, "net/c1/eth0 at veth6e5fcbeeefc");
        assert_eq!(host_interface(&text), Some("veth6e5fcbeeefc"));
        assert!(is_of(&text, &short) && !is_of(&text, &of("c1", "eth1")));
        assert!(is_of_network(&text, "net") && !is_of_network(&text, "ne"));
        assert_eq!(attachment(&text), Some(short));
        let long = of(&"x".repeat(500), "eth0");
        let text = alias(&long, "veth6e5fcbeeefc");
        assert_eq!(text.len(), 254);
        assert!(is_of(&text, &long) && is_of_network(&text, "net"));
        assert_eq!(
            (attachment(&text), attachment("net/c1/eth0"), attachment("")),
            (None, None, None)
        );
    }
}

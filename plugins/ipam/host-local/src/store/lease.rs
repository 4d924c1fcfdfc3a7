//! What an address file says. Pure.

use std::net::IpAddr;

use cni_common::types::{ContainerId, IfName};

/// Between container ID and interface name.
const BREAK: &str = "\r\n";

/// Who holds an address, by the content of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// `<containerID>\r\n<ifname>`.
    Attachment(ContainerId, IfName),
    /// `<containerID>`: the old format, for whatever interface.
    Container(ContainerId),
    /// Cut short after the container's ID: no plugin lives that could have meant it so.
    HalfWritten(ContainerId),
    /// Empty, or the zeros that a power loss leaves: made by a program that never came to write.
    Nobody,
    /// Something else, perhaps an operator's note. It is not ours to judge.
    Unknown,
}

/// An address and who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address, which names the file.
    pub ip: IpAddr,
    /// What the file says.
    pub holder: Holder,
}

impl Holder {
    /// Reads the content of an address file.
    pub fn parse(content: &[u8]) -> Self {
        if content.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace()) {
            return Self::Nobody;
        }
        let Ok(text) = std::str::from_utf8(content) else { return Self::Unknown };
        if let Some((id, ifname)) = text.split_once(BREAK)
            && let (Ok(id), Ok(ifname)) = (id.trim().parse(), ifname.trim().parse())
        {
            return Self::Attachment(id, ifname);
        }
        let whole = text.trim_matches('\0');
        let Ok(id) = whole.trim().parse() else { return Self::Unknown };
        match whole.len() < text.len() || whole.contains('\r') {
            true => Self::HalfWritten(id),
            false => Self::Container(id),
        }
    }

    /// The content of an attachment's address file.
    pub fn content(container: &ContainerId, ifname: &IfName) -> String {
        format!("{container}{BREAK}{ifname}")
    }

    /// Whether the file was left by a write that did not finish: nobody holds the address.
    pub fn is_nobody(&self) -> bool {
        matches!(self, Self::Nobody | Self::HalfWritten(_))
    }

    /// The container, for a message.
    pub fn name(&self) -> &str {
        match self {
            Self::Attachment(id, _) | Self::Container(id) | Self::HalfWritten(id) => id.as_str(),
            Self::Nobody => "nobody",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let (id, ifname) = ("c1".parse().unwrap(), "eth0".parse().unwrap());
        let content = Holder::content(&id, &ifname);
        assert_eq!(content, "c1\r\neth0");
        assert_eq!(Holder::parse(content.as_bytes()), Holder::Attachment(id, ifname));
    }

    #[test]
    fn every_form_is_known_for_what_it_is() {
        let id: ContainerId = "c1".parse().unwrap();
        for old in ["c1", "c1\n", " c1 "] {
            assert_eq!(Holder::parse(old.as_bytes()), Holder::Container(id.clone()), "{old:?}");
        }
        for half in ["c1\r", "c1\r\n", "c1\0\0\0"] {
            assert_eq!(Holder::parse(half.as_bytes()), Holder::HalfWritten(id.clone()), "{half:?}");
        }
        for nobody in ["", "\n", "\0\0\0\0", " \r\n"] {
            assert_eq!(Holder::parse(nobody.as_bytes()), Holder::Nobody, "{nobody:?}");
        }
        for unknown in ["do not use", "a/b", "c1\r\na b", "é"] {
            assert_eq!(Holder::parse(unknown.as_bytes()), Holder::Unknown, "{unknown:?}");
        }
        assert_eq!(Holder::parse(b"\xff\xfe"), Holder::Unknown);
    }
}

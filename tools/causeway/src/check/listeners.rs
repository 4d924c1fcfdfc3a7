//! Programs on the host that listen on a port which leads to a container.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Finding, Seen};

/// It holds published ports open for podman, on purpose.
const HOLDER: &str = "conmon";
/// States of a socket that waits for anybody (include/net/tcp_states.h): TCP listens, UDP is not connected.
const WAITING: [(&str, &str); 2] = [("tcp", "0A"), ("udp", "07")];

/// A socket that waits for anybody.
struct Listener {
    protocol: &'static str,
    address: IpAddr,
    port: u16,
    inode: String,
}

/// Looks for them; where /proc does not tell there are none.
pub(super) fn look(seen: &Seen, findings: &mut Vec<Finding>) {
    let mut published = seen
        .attachments
        .all
        .iter()
        .flat_map(|(key, attached)| attached.ports.iter().map(move |port| (key, port)))
        .peekable();
    if published.peek().is_none() {
        return;
    }
    let listeners = listeners();
    for (key, port) in published {
        let hit = |one: &&Listener| {
            let is_there =
                one.address.is_unspecified() || port.host_ip.is_none_or(|ip| ip == one.address);
            let is_of_family = one.address.is_ipv6() || port.container_ip.is_ipv4();
            (one.protocol, one.port) == (port.protocol.as_str(), port.host_port)
                && is_there
                && is_of_family
        };
        let Some(listener) = listeners.iter().find(hit) else { continue };
        let process = process(&listener.inode);
        if process.as_ref().is_some_and(|(_, name)| name == HOLDER) {
            continue;
        }
        let who =
            process.map_or("a program".to_owned(), |(id, name)| format!("{name} (process {id})"));
        findings.push(Finding {
            kind: "published-port-in-use",
            network: key.network.clone(),
            subject: format!("{}/{}", port.host_port, port.protocol),
            fault: format!("{who} listens on {}, and it leads to {key}", listener.address).into(),
            means: "whoever connects to the program gets the container instead",
            mend: "let the program listen elsewhere, or publish another port".to_owned(),
        });
    }
}

fn listeners() -> Vec<Listener> {
    let mut all = Vec::new();
    for (protocol, state) in WAITING {
        for suffix in ["", "6"] {
            let path = format!("/proc/thread-self/net/{protocol}{suffix}");
            let text = fs::read_to_string(path).unwrap_or_default();
            all.extend(text.lines().skip(1).filter_map(|line| listener(line, (protocol, state))));
        }
    }
    all
}

/// `0: 0100007F:1F90 00000000:0000 0A … <uid> <timeout> <inode> …`
fn listener(line: &str, (protocol, wanted): (&'static str, &str)) -> Option<Listener> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (words.get(1)?, words.get(3)?, words.get(9)?);
    if *state != wanted {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Listener { protocol, address: address_of(address)?, port, inode: (*inode).to_owned() })
}

/// Words of 32 bits, each as this machine's memory has it.
fn address_of(text: &str) -> Option<IpAddr> {
    let mut octets = Vec::new();
    for word in text.as_bytes().chunks(8) {
        let number = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        octets.extend(number.to_ne_bytes());
    }
    match octets.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).to_canonical()),
        _ => None,
    }
}

/// The process that has the socket, with its name.
fn process(inode: &str) -> Option<(String, String)> {
    let wanted = format!("socket:[{inode}]");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let files = fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten();
        let links = files.filter_map(|file| fs::read_link(file.path()).ok());
        if links.into_iter().any(|link| link.to_str() == Some(&wanted)) {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some((
                entry.file_name().to_string_lossy().into_owned(),
                name.trim_end().to_owned(),
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read() {
        let line =
            "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1";
        let found = listener(line, ("tcp", "0A")).unwrap();
        if cfg!(target_endian = "little") {
            assert_eq!(found.address, IpAddr::from([127, 0, 0, 1]));
        }
        assert_eq!((found.port, found.inode.as_str()), (8080, "4711"));
        assert!(listener(line, ("tcp", "01")).is_none());
        assert_eq!(
            address_of("00000000000000000000000000000000"),
            Some(Ipv6Addr::UNSPECIFIED.into())
        );
    }
}

//! SCTP. The kernel need not have its sockets, only track its connections: packets are made by hand.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, ipproto, socket};
use serde_json::json;
use testsupport::{Container, not_run};

use crate::server::within;
use crate::world::{HOST, HOST_6, OUTSIDE, OUTSIDE_6, World};

const CLIENT: u16 = 5555;
/// `INIT` and `INIT ACK` of RFC 9260, section 3.2.
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
/// The tag that the client wants to be answered with.
const TAG: u32 = 1234;
const SOON: Duration = Duration::from_secs(5);
const NEVER: Duration = Duration::from_millis(500);

/// A raw socket, which sends and gets what is behind the IP header; of IPv4 it gets that, too.
fn raw(at: &Container, is_four: bool) -> UdpSocket {
    let family = if is_four { AddressFamily::INET } else { AddressFamily::INET6 };
    let open = move || socket(family, SocketType::RAW, Some(ipproto::SCTP)).unwrap();
    let socket = UdpSocket::from(at.inside(open));
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    socket
}

/// RFC 3309.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32| (sum >> 1) ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 };
    !bytes
        .iter()
        .fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

/// A packet of one chunk that opens an association, or agrees to one.
fn packet(kind: u8, (from, to): (u16, u16), tag: u32) -> Vec<u8> {
    let mut bytes = [from.to_be_bytes(), to.to_be_bytes()].concat();
    bytes.extend(tag.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend([kind, 0, 0, 20]);
    for number in [TAG, 65535, 0x0001_0001, 1] {
        bytes.extend(number.to_be_bytes());
    }
    let sum = crc32c(&bytes).to_le_bytes();
    bytes[8..12].copy_from_slice(&sum);
    bytes
}

/// The kind and the ports of the next packet.
fn received(socket: &UdpSocket, is_four: bool) -> Option<(u8, u16, u16)> {
    let mut bytes = [0; 200];
    let length = socket.recv(&mut bytes).ok()?;
    let bytes = &bytes[if is_four { 20 } else { 0 }..length];
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    Some((bytes[12], port(0), port(2)))
}

fn to(ip: &str) -> SocketAddr {
    SocketAddr::new(ip.trim_matches(['[', ']']).parse().unwrap(), 0)
}

#[test]
fn the_outside_reaches_the_container_and_is_answered_until_del() {
    if !Path::new("/proc/sys/net/netfilter/nf_conntrack_sctp_timeout_closed").exists() {
        return not_run("sctp: this kernel does not track its connections");
    }
    World::for_each_backend(|world| {
        let pod = world.pod("c1", 1);
        let mappings = json!([{"hostPort": 9, "containerPort": 99, "protocol": "SCTP"}]);
        pod.map(&mappings);
        pod.run("CHECK", &mappings).expect_silent_success();
        for (host, outside) in [(HOST, OUTSIDE), (HOST_6, OUTSIDE_6)] {
            let is_four = host == HOST;
            let (client, server) = (raw(&world.outside, is_four), raw(&pod.container, is_four));
            let arrives = |patience| {
                within(patience, || {
                    client.send_to(&packet(INIT, (CLIENT, 9), 0), to(host)).unwrap();
                    received(&server, is_four).map(|packet| format!("{packet:?}"))
                })
            };
            assert_eq!(arrives(SOON), format!("{:?}", (INIT, CLIENT, 99)), "{host}");
            let answer = within(SOON, || {
                server.send_to(&packet(INIT_ACK, (99, CLIENT), TAG), to(outside)).unwrap();
                received(&client, is_four).map(|packet| format!("{packet:?}"))
            });
            assert_eq!(answer, format!("{:?}", (INIT_ACK, 9, CLIENT)), "{host}");
        }
        pod.unmap(&mappings);
        let (client, server) = (raw(&world.outside, true), raw(&pod.container, true));
        let later = within(NEVER, || {
            client.send_to(&packet(INIT, (CLIENT + 1, 9), 0), to(HOST)).unwrap();
            received(&server, true).map(|packet| format!("{packet:?}"))
        });
        assert_eq!(later, "nothing");
    });
}

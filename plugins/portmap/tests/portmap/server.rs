//! A server in a container that says who it is and who is asking, and its clients.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use testsupport::Container;

/// How long an answer may take; one that must not come is waited for only as long as `NEVER`.
const SOON: Duration = Duration::from_secs(5);
pub(crate) const NEVER: Duration = Duration::from_millis(500);
const EVERY: Duration = Duration::from_millis(200);

/// Serves TCP and UDP at `port`, of both IP versions, until the test ends. An answer is
/// `<name> <the client's address>`.
pub(crate) fn serve(container: &Container, port: u16) {
    let name = container.name().to_owned();
    let any = SocketAddr::new("::".parse().unwrap(), port);
    let (tcp, udp) =
        container.inside(move || (TcpListener::bind(any).unwrap(), UdpSocket::bind(any).unwrap()));
    let who = name.clone();
    thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            let mut stream: TcpStream = stream;
            let Ok(peer) = stream.peer_addr() else { continue };
            stream.write_all(answer(&who, peer).as_bytes()).ok();
        }
    });
    thread::spawn(move || {
        while let Ok((_length, peer)) = udp.recv_from(&mut [0; 16]) {
            udp.send_to(answer(&name, peer).as_bytes(), peer).ok();
        }
    });
}

fn answer(name: &str, peer: SocketAddr) -> String {
    format!("{name} {}", peer.ip().to_canonical())
}

/// What a TCP server at `to` answers to somebody at `from` (the host itself if `None`); "nothing"
/// without one.
pub(crate) fn tcp(from: Option<&Container>, to: &str) -> String {
    within(SOON, || tcp_once(from, to))
}

/// The same where nothing is expected.
pub(crate) fn tcp_never(from: Option<&Container>, to: &str) -> String {
    within(NEVER, || tcp_once(from, to))
}

fn tcp_once(from: Option<&Container>, to: &str) -> Option<String> {
    let to: SocketAddr = to.parse().unwrap();
    let connect = move || TcpStream::connect_timeout(&to, NEVER);
    let mut stream = from.map_or_else(connect, |here| here.inside(connect)).ok()?;
    stream.set_read_timeout(Some(NEVER)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    (!text.is_empty()).then_some(text)
}

/// The same by UDP, each time from a new port.
pub(crate) fn udp(from: Option<&Container>, to: &str) -> String {
    within(SOON, || ask(&udp_client(from, to)))
}

/// A UDP socket that is connected to `to`.
pub(crate) fn udp_client(from: Option<&Container>, to: &str) -> UdpSocket {
    let to: SocketAddr = to.parse().unwrap();
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let open = move || {
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(to).unwrap();
        socket
    };
    let socket = from.map_or_else(open, |here| here.inside(open));
    socket.set_read_timeout(Some(EVERY)).unwrap();
    socket
}

/// What is answered to one packet.
pub(crate) fn ask(socket: &UdpSocket) -> Option<String> {
    socket.send(b"whence").ok()?;
    let mut bytes = [0; 100];
    let length = socket.recv(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
}

/// Again and again: routes and neighbours of fresh interfaces take a moment.
pub(crate) fn within(patience: Duration, mut ask: impl FnMut() -> Option<String>) -> String {
    let started = Instant::now();
    loop {
        match ask() {
            Some(answer) => return answer,
            None if started.elapsed() < patience => thread::sleep(EVERY / 4),
            None => return "nothing".to_owned(),
        }
    }
}

//! What runs in the tests' containers, and beside them: one end of a TCP connection, or nothing.
//!
//! `peer wait` does nothing, until it is killed; `peer answer PORT` tells everyone who connects the
//! address that they come from; `peer ask ADDRESS PORT` connects and prints the answer.

use std::env;
use std::io::{Error, Read, Result, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Longer than any packet is underway, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["wait"] => loop {
            std::thread::park();
        },
        ["answer", port] => answer(number(port)?),
        ["ask", address, port] => {
            let address: IpAddr = address.parse().map_err(Error::other)?;
            let mut stream = TcpStream::connect_timeout(&(address, number(port)?).into(), LIMIT)?;
            stream.set_read_timeout(Some(LIMIT))?;
            let mut said = String::new();
            stream.read_to_string(&mut said)?;
            std::io::stdout().write_all(said.as_bytes())
        }
        _ => Err(Error::other("peer wait | answer PORT | ask ADDRESS PORT")),
    }
}

fn number(port: &str) -> Result<u16> {
    port.parse().map_err(Error::other)
}

fn answer(port: u16) -> Result<()> {
    // Takes IPv4 as well, as long as the kernel has IPv6.
    let listener =
        TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)))?;
    loop {
        let (mut stream, from) = listener.accept()?;
        // Whoever has gone meanwhile does not want to know.
        writeln!(stream, "{}", from.ip().to_canonical()).ok();
    }
}

//! The system's D-Bus: one method call after the other, each answered before the next one is sent.
//!
//! A connection has one deadline for all that is done by it. No service is started by a call, nothing is
//! exported, and signals are passed over. Knows no service but the bus itself. Source: the D-Bus
//! specification, sections "Message Protocol", "Authentication Protocol" and "Server Addresses".

pub mod address;
mod message;

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use self::address::Address;
use self::message::PREAMBLE_LENGTH;
pub use self::message::{Kind, Method, Received, Value, read_message};
use crate::error::{Code, Error, Result};
use crate::log;

/// Where the bus is unless `DBUS_SYSTEM_BUS_ADDRESS` says otherwise: the first of these that is there.
const SOCKETS: [&str; 2] = ["/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket"];
/// No identity is claimed: the bus takes the one that the kernel says of the socket, which holds in user
/// namespaces, too. All of it is sent at once; `BEGIN` counts only after the `OK`.
const AUTHENTICATION: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
/// A line of the answer to it is some 40 bytes.
const MAX_LINE: usize = 512;
/// The bus itself.
const BUS: Method<'_> = Method {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "",
};
const NO_OWNER: &str = "org.freedesktop.DBus.Error.NameHasNoOwner";

/// What a method call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It succeeded, with the first of the values that it returned.
    Reply(Option<Value>),
    /// The called service, or the bus, refused it.
    Refused {
        /// The error's name, with dots.
        name: String,
        /// What it says to a person.
        message: String,
    },
}

/// A connection to the system bus.
#[derive(Debug)]
pub struct Bus {
    stream: UnixStream,
    timeout: Duration,
    deadline: Instant,
    serial: u32,
}

impl Bus {
    /// Connects. All that is done by the connection has to be done within `timeout` from now (error 11).
    /// `None` where there is no bus.
    pub fn system(timeout: Duration) -> Result<Option<Self>> {
        let deadline = Instant::now() + timeout;
        let Some(stream) = connect_first(&addresses(), timeout)? else { return Ok(None) };
        let mut bus = Self { stream, timeout, deadline, serial: 0 };
        bus.authenticate().map_err(|error| error.context("connect to the system bus"))?;
        Ok(Some(bus))
    }

    /// Whether somebody has the name. Starts nobody.
    pub fn has_owner(&mut self, name: &str) -> Result<bool> {
        match self.call(&Method { member: "GetNameOwner", ..BUS }, &[name])? {
            Answer::Reply(_) => Ok(true),
            Answer::Refused { name, .. } if name == NO_OWNER => Ok(false),
            Answer::Refused { name, message } => Err(Error::new(
                Code::Io,
                format!("ask the system bus who has a name: {name}: {message}"),
            )),
        }
    }

    /// Calls a method with these texts, and waits for what it comes to.
    pub fn call(&mut self, method: &Method<'_>, arguments: &[&str]) -> Result<Answer> {
        let serial = self.send(method, arguments)?;
        self.answer_to(serial)
            .map_err(|error| error.context(format!("{} of {}", method.member, method.destination)))
    }

    fn authenticate(&mut self) -> Result<()> {
        self.write(AUTHENTICATION)?;
        // The bus asks for nothing but says so, and then that all is well.
        let mut line = self.read_line()?;
        if line == "DATA" || line.starts_with("DATA ") {
            line = self.read_line()?;
        }
        if line != "OK" && !line.starts_with("OK ") {
            return Err(Error::new(Code::Io, format!("it refused this process: {line:?}")));
        }
        let serial = self.send(&Method { member: "Hello", ..BUS }, &[])?;
        match self.answer_to(serial)? {
            Answer::Reply(_) => Ok(()),
            Answer::Refused { name, message } => {
                Err(Error::new(Code::Io, format!("{name}: {message}")))
            }
        }
    }

    fn send(&mut self, method: &Method<'_>, arguments: &[&str]) -> Result<u32> {
        // Far from an overflow: the deadline comes first.
        self.serial = self.serial.wrapping_add(1);
        self.write(&method.call(self.serial, arguments)?)?;
        Ok(self.serial)
    }

    /// What is not the answer is a signal, or nobody's business.
    fn answer_to(&mut self, serial: u32) -> Result<Answer> {
        loop {
            let received = self.receive()?;
            if received.reply_serial != Some(serial) {
                continue;
            }
            match received.kind {
                Kind::Reply => return Ok(Answer::Reply(received.value)),
                Kind::Error => {
                    let message = match received.value {
                        Some(Value::Text(text)) => text,
                        _ => String::new(),
                    };
                    return Ok(Answer::Refused { name: received.error_name, message });
                }
                Kind::Other => {}
            }
        }
    }

    fn receive(&mut self) -> Result<Received> {
        let mut message = vec![0; PREAMBLE_LENGTH];
        self.read(&mut message)?;
        let length = message::length(&message)?;
        message.resize(length, 0);
        self.read(message.get_mut(PREAMBLE_LENGTH..).unwrap_or_default())?;
        read_message(&message)
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        // Byte by byte: what follows the last line is no text.
        while line.len() < MAX_LINE {
            let mut byte = [0];
            self.read(&mut byte)?;
            line.extend(byte);
            if let Some(text) = line.strip_suffix(b"\r\n") {
                return Ok(String::from_utf8_lossy(text).into_owned());
            }
        }
        Err(Error::new(Code::Io, "its answer is not one of D-Bus"))
    }

    fn read(&mut self, mut buffer: &mut [u8]) -> Result<()> {
        while !buffer.is_empty() {
            self.stream.set_read_timeout(Some(self.left()?)).map_err(|error| fault(&error))?;
            match self.stream.read(buffer) {
                Ok(0) => return Err(Error::new(Code::Io, "the system bus closed the connection")),
                Ok(count) => buffer = buffer.get_mut(count..).unwrap_or_default(),
                Err(error) => self.passing(&error)?,
            }
        }
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(self.left()?)).map_err(|error| fault(&error))?;
            match self.stream.write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) => self.passing(&error)?,
            }
        }
        Ok(())
    }

    /// Content with errors after which the same is tried again.
    fn passing(&self, error: &io::Error) -> Result<()> {
        match error.kind() {
            // A socket's timeout ends so; whether the deadline has passed is asked next.
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => self.left().map(|_| ()),
            _ => Err(fault(error)),
        }
    }

    /// How much of the time is left.
    fn left(&self) -> Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(too_late(self.timeout));
        }
        Ok(left)
    }
}

fn too_late(timeout: Duration) -> Error {
    let message = format!("no answer over the system bus within {} s", timeout.as_secs_f32());
    Error::new(Code::TryAgainLater, message)
}

fn fault(error: &io::Error) -> Error {
    let cause = match error.raw_os_error() {
        Some(number) => Error::errno(Code::Io, Errno::from_raw(number)),
        None => Error::new(Code::Io, error.to_string()),
    };
    cause.context("the system bus")
}

fn addresses() -> Vec<Address> {
    match std::env::var("DBUS_SYSTEM_BUS_ADDRESS") {
        Ok(text) if !text.is_empty() => address::parse(&text),
        _ => SOCKETS.map(|path| Address::Path(path.as_bytes().to_vec())).to_vec(),
    }
}

/// Connects to the first address where somebody listens.
fn connect_first(addresses: &[Address], timeout: Duration) -> Result<Option<UnixStream>> {
    for address in addresses {
        match connect_to(address, timeout) {
            Ok(stream) => return Ok(Some(stream)),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ECONNREFUSED) => {}
            Err(Errno::EAGAIN) => return Err(too_late(timeout)),
            Err(errno) => {
                return Err(Error::errno(Code::Io, errno)
                    .context(format!("connect to the system bus at {address}")));
            }
        }
    }
    log::debug(|| "there is no system bus");
    Ok(None)
}

fn connect_to(address: &Address, timeout: Duration) -> nix::Result<UnixStream> {
    let place = match address {
        Address::Path(path) => UnixAddr::new(OsStr::from_bytes(path))?,
        Address::Abstract(name) => UnixAddr::new_abstract(name)?,
    };
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // Connecting waits while the queue of the bus is full, as long as sending may.
    let limit = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX);
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::microseconds(limit))?;
    loop {
        match connect(socket.as_raw_fd(), &place) {
            Ok(()) => return Ok(UnixStream::from(socket)),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests;

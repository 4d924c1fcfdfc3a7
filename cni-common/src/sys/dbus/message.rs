//! Messages of D-Bus: method calls with texts written, answers read whatever lengths they claim. Pure.
//!
//! A message is 16 bytes (byte order, type, flags, version, length of the body, serial, length of the
//! fields), the fields, padding to 8 bytes, and the body.

use crate::error::{Code, Error, Result};

/// What tells how long a message is.
pub(super) const PREAMBLE_LENGTH: usize = 16;
/// D-Bus allows 128 MiB; a zone of a hundred thousand addresses is a few.
const MAX_LENGTH: usize = 16 << 20;
/// The service is not started if it does not run (`NO_AUTO_START`).
const FLAGS: u8 = 2;
const VERSION: u8 = 1;
/// The type of a method call.
const METHOD_CALL: u8 = 1;

/// Header fields, by their numbers.
mod field {
    pub(super) const PATH: u8 = 1;
    pub(super) const INTERFACE: u8 = 2;
    pub(super) const MEMBER: u8 = 3;
    pub(super) const ERROR_NAME: u8 = 4;
    pub(super) const REPLY_SERIAL: u8 = 5;
    pub(super) const DESTINATION: u8 = 6;
    pub(super) const SIGNATURE: u8 = 8;
}

/// A method of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method<'a> {
    /// The service's name on the bus.
    pub destination: &'a str,
    /// The object.
    pub path: &'a str,
    /// The interface that has the method.
    pub interface: &'a str,
    /// Its name.
    pub member: &'a str,
}

impl Method<'_> {
    /// The message that calls it with these texts.
    pub fn call(&self, serial: u32, arguments: &[&str]) -> Result<Vec<u8>> {
        let mut body = Writer::default();
        for argument in arguments {
            body.text(argument)?;
        }
        let mut message = Writer::default();
        message.bytes(&[byte_order(), METHOD_CALL, FLAGS, VERSION]);
        message.number(short(body.0.len())?);
        message.number(serial);
        message.number(0);
        for (number, kind, value) in [
            (field::PATH, b'o', self.path),
            (field::DESTINATION, b's', self.destination),
            (field::INTERFACE, b's', self.interface),
            (field::MEMBER, b's', self.member),
        ] {
            message.align(8);
            message.bytes(&[number, 1, kind, 0]);
            message.text(value)?;
        }
        if !arguments.is_empty() {
            let signature = "s".repeat(arguments.len());
            message.align(8);
            message.bytes(&[field::SIGNATURE, 1, b'g', 0]);
            message.bytes(&[u8::try_from(signature.len()).map_err(|_many| too_long())?]);
            message.bytes(signature.as_bytes());
            message.bytes(&[0]);
        }
        let fields = short(message.0.len() - PREAMBLE_LENGTH)?;
        if let Some(place) = message.0.get_mut(PREAMBLE_LENGTH - 4..PREAMBLE_LENGTH) {
            place.copy_from_slice(&fields.to_ne_bytes());
        }
        message.align(8);
        message.bytes(&body.0);
        Ok(message.0)
    }
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A method call succeeded.
    Reply,
    /// It failed.
    Error,
    /// A signal, a call, or something newer.
    Other,
}

/// A value, of the types that are read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text; also one in a variant.
    Text(String),
    /// Yes or no; also one in a variant.
    Flag(bool),
    /// A list of texts.
    Texts(Vec<String>),
    /// Anything else.
    Other,
}

/// A message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What it is about.
    pub kind: Kind,
    /// Which call it answers.
    pub reply_serial: Option<u32>,
    /// Empty unless it is an error.
    pub error_name: String,
    /// The first value of the body.
    pub value: Option<Value>,
}

/// The length of the message that begins so, all in all.
pub(super) fn length(preamble: &[u8]) -> Result<usize> {
    let mut reader = Reader::new(preamble)?;
    reader.take(4)?;
    let body = reader.size()?;
    reader.number()?;
    let fields = reader.size()?;
    let header = PREAMBLE_LENGTH.saturating_add(fields).checked_next_multiple_of(8);
    let length = header.and_then(|header| header.checked_add(body));
    length.filter(|length| *length <= MAX_LENGTH).ok_or_else(malformed)
}

/// Reads one whole message.
pub fn read_message(bytes: &[u8]) -> Result<Received> {
    let length = length(bytes)?;
    let bytes = bytes.get(..length).ok_or_else(malformed)?;
    let mut reader = Reader::new(bytes)?;
    let kind = match reader.take(4)? {
        [_, 2, _, VERSION] => Kind::Reply,
        [_, 3, _, VERSION] => Kind::Error,
        [_, _, _, VERSION] => Kind::Other,
        _ => return Err(malformed()),
    };
    reader.take(8)?;
    let end = reader.size()?.saturating_add(PREAMBLE_LENGTH);
    let mut received =
        Received { kind, reply_serial: None, error_name: String::new(), value: None };
    let mut signature = String::new();
    loop {
        reader.align(8)?;
        if reader.at >= end {
            break;
        }
        let number = reader.byte()?;
        match (number, reader.signature()?.as_str()) {
            (field::REPLY_SERIAL, "u") => received.reply_serial = Some(reader.number()?),
            (field::ERROR_NAME, "s") => received.error_name = reader.text()?,
            (field::SIGNATURE, "g") => signature = reader.signature()?,
            // What other fields say is of no use here.
            (_, "s" | "o") => drop(reader.text()?),
            (_, "g") => drop(reader.signature()?),
            (_, "u") => drop(reader.number()?),
            _ => return Err(malformed()),
        }
    }
    if !signature.is_empty() {
        received.value = Some(reader.value(&signature)?);
    }
    Ok(received)
}

fn malformed() -> Error {
    Error::new(Code::Io, "a message of the system bus can't be read")
}

fn byte_order() -> u8 {
    if cfg!(target_endian = "little") { b'l' } else { b'B' }
}

fn short(length: usize) -> Result<u32> {
    match u32::try_from(length) {
        Ok(length) if (length as usize) < MAX_LENGTH => Ok(length),
        _ => Err(too_long()),
    }
}

fn too_long() -> Error {
    Error::new(Code::Io, "a message for the system bus is too long")
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u32) {
        self.align(4);
        self.bytes(&number.to_ne_bytes());
    }

    /// A text has no zero byte: the bus would close the connection over it.
    fn text(&mut self, text: &str) -> Result<()> {
        if text.contains('\0') {
            return Err(Error::new(Code::Io, "a text for the system bus has a zero byte in it"));
        }
        self.number(short(text.len())?);
        self.bytes(text.as_bytes());
        self.bytes(&[0]);
        Ok(())
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    is_big_endian: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self> {
        let is_big_endian = match bytes.first() {
            Some(b'l') => false,
            Some(b'B') => true,
            _ => return Err(malformed()),
        };
        Ok(Self { bytes, at: 0, is_big_endian })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count).ok_or_else(malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or_else(malformed)?;
        self.at = end;
        Ok(taken)
    }

    fn align(&mut self, to: usize) -> Result<()> {
        let padding = self.at.next_multiple_of(to) - self.at;
        self.take(padding).map(|_| ())
    }

    fn byte(&mut self) -> Result<u8> {
        self.take(1)?.first().copied().ok_or_else(malformed)
    }

    fn number(&mut self) -> Result<u32> {
        self.align(4)?;
        let bytes = <[u8; 4]>::try_from(self.take(4)?).map_err(|_short| malformed())?;
        Ok(if self.is_big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn size(&mut self) -> Result<usize> {
        self.number().and_then(|number| usize::try_from(number).map_err(|_| malformed()))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.size()?;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(text)
    }

    fn signature(&mut self) -> Result<String> {
        let length = usize::from(self.byte()?);
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(text)
    }

    fn value(&mut self, signature: &str) -> Result<Value> {
        // A variant in a variant is none of those that are read here.
        let inner =
            if signature.starts_with('v') { self.signature()? } else { signature.to_owned() };
        if inner.starts_with("as") {
            return self.texts().map(Value::Texts);
        }
        match inner.as_bytes().first() {
            Some(b's' | b'o') => self.text().map(Value::Text),
            Some(b'b') => Ok(Value::Flag(self.number()? != 0)),
            _ => Ok(Value::Other),
        }
    }

    fn texts(&mut self) -> Result<Vec<String>> {
        let end = self.size()?.checked_add(self.at).ok_or_else(malformed)?;
        let mut texts = Vec::new();
        while self.at < end {
            texts.push(self.text()?);
        }
        Ok(texts)
    }
}

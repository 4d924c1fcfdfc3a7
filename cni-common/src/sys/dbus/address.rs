//! Where a bus listens, as D-Bus writes it: `unix:path=/run/dbus/system_bus_socket;unix:abstract=…`. Pure.

use std::fmt;

/// A socket of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A path.
    Path(Vec<u8>),
    /// A name that is no file.
    Abstract(Vec<u8>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match self {
            Self::Path(path) => ("path", path),
            Self::Abstract(name) => ("abstract", name),
        };
        write!(f, "unix:{kind}={}", String::from_utf8_lossy(name))
    }
}

/// The sockets that the text names, in its order. What is no socket of this machine is left out, and so is
/// an address of which any value is malformed.
pub fn parse(text: &str) -> Vec<Address> {
    text.split(';').filter_map(address).collect()
}

fn address(text: &str) -> Option<Address> {
    let keys = text.strip_prefix("unix:")?;
    let pairs: Vec<_> = keys.split(',').map(unescaped_pair).collect::<Option<_>>()?;
    pairs.into_iter().find_map(|(key, value)| match key {
        "path" => Some(Address::Path(value)),
        "abstract" => Some(Address::Abstract(value)),
        _ => None,
    })
}

fn unescaped_pair(pair: &str) -> Option<(&str, Vec<u8>)> {
    let (key, value) = pair.split_once('=')?;
    Some((key, unescaped(value)?))
}

/// Bytes that may not stand in a value are written `%` and two hexadecimal digits.
fn unescaped(value: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes().iter();
    while let Some(byte) = rest.next() {
        if *byte == b'%' {
            let mut digit = || char::from(*rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            bytes.push(*byte);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_this_machine_are_taken_in_their_order() {
        let text = "tcp:host=bus;unix:guid=1,path=/run/a%2cb;unix:abstract=name;unix:tmpdir=/tmp;unix:path=%zz;unix:guid=%zz,path=/run/b";
        let path = Address::Path(b"/run/a,b".to_vec());
        assert_eq!(parse(text), [path, Address::Abstract(b"name".to_vec())]);
        assert_eq!(parse(""), []);
    }
}

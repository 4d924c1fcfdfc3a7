//! What a bus sends, what is sent to it, and where it is said to listen.

use cni_common::Code;
use cni_common::sys::dbus::address::{self, Address};
use cni_common::sys::dbus::{Kind, Method, Value, read_message};

use super::is_sound;

/// A message of D-Bus; and the call with the texts that the input is of, parted by NULs.
pub fn dbus_message(data: &[u8]) {
    match read_message(data) {
        Err(error) => is_sound(&error, &[Code::Io]),
        Ok(received) => {
            let texts = match &received.value {
                Some(Value::Texts(texts)) => texts.as_slice(),
                Some(Value::Text(text)) => std::slice::from_ref(text),
                _ => &[],
            };
            // A text is its length and a NUL at least; a byte that is no UTF-8 becomes three.
            assert!(texts.len() * 5 <= data.len());
            assert!(texts.iter().map(String::len).sum::<usize>() <= data.len() * 3);
            // What follows a message is none of it.
            assert_eq!(read_message(&[data, &[0xff; 8]].concat()).ok(), Some(received));
        }
    }
    if let Ok(text) = std::str::from_utf8(data) {
        is_called(&text.split('\0').collect::<Vec<_>>());
    }
}

/// The call with these words: refused, or written as the specification says.
fn is_called(words: &[&str]) {
    let [destination, path, interface, member, arguments @ ..] = words else { return };
    let method = Method { destination, path, interface, member };
    let call = match method.call(7, arguments) {
        Ok(call) => call,
        Err(error) => {
            assert!(arguments.len() > 255, "{error}");
            return is_sound(&error, &[Code::Io]);
        }
    };
    let read = read_message(&call).expect("a call that was written");
    assert_eq!((read.kind, read.reply_serial), (Kind::Other, None));
    let first = arguments.first().map(|first| Value::Text((*first).to_owned()));
    assert_eq!(read.value, first);
    let number = |at: usize| u32::from_ne_bytes(call[at..at + 4].try_into().expect("4 bytes"));
    let number = |at: usize| number(at) as usize;
    let text = |at: usize| {
        let end = at + 4 + number(at);
        assert_eq!(call[end], 0);
        (std::str::from_utf8(&call[at + 4..end]).expect("a text"), end + 1)
    };
    let (end, mut at) = (16 + number(12), 16);
    for (field, kind, word) in
        [(1, b'o', path), (6, b's', destination), (2, b's', interface), (3, b's', member)]
    {
        assert_eq!(call[at..at + 4], [field, 1, kind, 0]);
        let (found, behind) = text(at + 4);
        assert_eq!(found, *word);
        at = if behind < end { behind.next_multiple_of(8) } else { behind };
    }
    if !arguments.is_empty() {
        assert_eq!(call[at..at + 4], [8, 1, b'g', 0]);
        assert_eq!(usize::from(call[at + 4]), arguments.len());
        at += 5 + arguments.len() + 1;
    }
    assert_eq!(at, end);
    let mut at = end.next_multiple_of(8);
    assert_eq!(call.len(), at + number(4));
    for argument in arguments {
        let (found, behind) = text(at);
        assert_eq!(found, *argument);
        at = if behind < call.len() { behind.next_multiple_of(4) } else { behind };
    }
    assert_eq!(at, call.len());
}

/// Where a bus listens: sockets in the order of the text, each of them as it is written there.
pub fn dbus_address(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let found = address::parse(text);
    let mut parts = text.split(';');
    for address in &found {
        let (key, bytes) = match address {
            Address::Path(path) => ("path=", path),
            Address::Abstract(name) => ("abstract=", name),
        };
        let is_written = |value: &str| plain(value).as_deref() == Some(bytes.as_slice());
        let has =
            |keys: &str| keys.split(',').any(|pair| pair.strip_prefix(key).is_some_and(is_written));
        assert!(
            parts.any(|part| part.strip_prefix("unix:").is_some_and(has)),
            "{address}: {text:?}"
        );
        assert!(!address.to_string().is_empty());
    }
    let escaped =
        |bytes: &[u8]| bytes.iter().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let again: Vec<String> = found
        .iter()
        .map(|address| match address {
            Address::Path(path) => format!("unix:path={}", escaped(path)),
            Address::Abstract(name) => format!("unix:abstract={}", escaped(name)),
        })
        .collect();
    assert_eq!(address::parse(&again.join(";")), found);
}

/// The bytes of a value; `None` where a `%` is not before two hexadecimal digits.
fn plain(value: &str) -> Option<Vec<u8>> {
    let mut parts = value.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digit = |at: usize| char::from(*part.as_bytes().get(at)?).to_digit(16);
        bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).expect("a byte"));
        bytes.extend(&part.as_bytes()[2..]);
    }
    Some(bytes)
}

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;

use nix::sys::socket::{Backlog, listen};

use super::*;

const SOON: Duration = Duration::from_secs(20);
const METHOD: Method<'_> =
    Method { destination: "a.b", path: "/a", interface: "a.b.c", member: "Do" };

/// A bus that answers the authentication, and to each message what `answer` makes of its serial.
fn bus_that(answer: impl Fn(u32) -> Vec<u8> + Send + 'static) -> Bus {
    let (near, far) = UnixStream::pair().unwrap();
    thread::spawn(move || {
        let mut far = far;
        let mut said = vec![0; AUTHENTICATION.len()];
        far.read_exact(&mut said).unwrap();
        assert_eq!(said, AUTHENTICATION);
        far.write_all(b"DATA\r\nOK 0123456789abcdef\r\n").unwrap();
        let mut preamble = vec![0; PREAMBLE_LENGTH];
        while far.read_exact(&mut preamble).is_ok() {
            let mut rest = vec![0; message::length(&preamble).unwrap() - PREAMBLE_LENGTH];
            far.read_exact(&mut rest).unwrap();
            let serial = u32::from_ne_bytes(preamble[8..12].try_into().unwrap());
            if far.write_all(&answer(serial)).is_err() {
                break;
            }
        }
    });
    let deadline = Instant::now() + SOON;
    let mut bus = Bus { stream: near, timeout: SOON, deadline, serial: 0 };
    bus.authenticate().unwrap();
    bus
}

/// A message with these fields (`number, type, bytes`) and body.
fn message(kind: u8, fields: &[(u8, &str, &[u8])], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'l', kind, 0, 1];
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(77_u32.to_le_bytes());
    bytes.extend([0; 4]);
    for (number, signature, value) in fields {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend([*number, signature.len() as u8]);
        bytes.extend(signature.as_bytes());
        bytes.push(0);
        bytes.extend(*value);
    }
    let length = (bytes.len() - PREAMBLE_LENGTH) as u32;
    bytes[12..16].copy_from_slice(&length.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(body);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u32).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes.push(0);
    bytes
}

fn reply(serial: u32, signature: &str, body: &[u8]) -> Vec<u8> {
    let mut named = vec![signature.len() as u8];
    named.extend(signature.as_bytes());
    named.push(0);
    message(2, &[(5, "u", &serial.to_le_bytes()), (8, "g", &named)], body)
}

#[test]
fn a_call_is_answered_whatever_comes_in_between() {
    let mut bus = bus_that(|serial| {
        let mut answers = message(4, &[(2, "s", &text("some.signal"))], b"");
        answers.extend(reply(serial + 100, "s", &text("another's")));
        answers.extend(reply(serial, "s", &text("mine")));
        answers
    });
    let answer = bus.call(&METHOD, &["x", "y"]).unwrap();
    assert_eq!(answer, Answer::Reply(Some(Value::Text("mine".to_owned()))));
}

#[test]
fn values_of_the_types_that_are_used_are_read() {
    let mut list = vec![14, 0, 0, 0];
    list.extend(text("a"));
    list.resize(12, 0);
    list.extend(text("b"));
    let mut variant = vec![1, b's', 0, 0];
    variant.extend(text("yes"));
    for (signature, body, value) in [
        ("b", vec![1, 0, 0, 0], Value::Flag(true)),
        ("as", list, Value::Texts(vec!["a".to_owned(), "b".to_owned()])),
        ("v", variant, Value::Text("yes".to_owned())),
        ("ab", vec![0, 0, 0, 0], Value::Other),
    ] {
        let received = read_message(&reply(1, signature, &body)).unwrap();
        assert_eq!(received.value, Some(value), "{signature}");
    }
    let refused = message(3, &[(5, "u", &[9, 0, 0, 0]), (4, "s", &text("a.Error"))], b"");
    let received = read_message(&refused).unwrap();
    assert_eq!((received.kind, received.error_name.as_str()), (Kind::Error, "a.Error"));
}

#[test]
fn a_message_that_is_cut_or_altered_anywhere_is_an_error_or_another_message_and_never_a_panic() {
    let mut list = vec![6, 0, 0, 0];
    list.extend(text("a"));
    let whole = reply(1, "as", &list);
    assert!(read_message(&whole).is_ok());
    for end in 0..whole.len() {
        assert!(read_message(&whole[..end]).is_err(), "{end}");
    }
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut altered = whole.clone();
            altered[at] = value;
            read_message(&altered).ok();
        }
    }
}

#[test]
fn a_bus_that_says_nothing_or_too_much_is_given_up_at_the_deadline() {
    let short = Duration::from_millis(200);
    let bus = |stream| Bus { stream, timeout: short, deadline: Instant::now() + short, serial: 0 };
    let (near, _far) = UnixStream::pair().unwrap();
    let error = bus(near).authenticate().unwrap_err();
    assert!(error.is(Code::TryAgainLater), "{error}");
    assert_eq!(error.message(), "no answer over the system bus within 0.2 s");
    let (near, mut far) = UnixStream::pair().unwrap();
    let signal = message(4, &[(2, "s", &text("some.signal"))], b"");
    thread::spawn(move || {
        far.write_all(b"OK\r\n").unwrap();
        while far.write_all(&signal).is_ok() {}
    });
    assert!(bus(near).authenticate().unwrap_err().is(Code::TryAgainLater));
    // One that reads nothing, either.
    let (near, _far) = UnixStream::pair().unwrap();
    let long = "x".repeat(8 << 20);
    assert!(bus(near).call(&METHOD, &[&long]).unwrap_err().is(Code::TryAgainLater));
}

#[test]
fn what_is_no_bus_is_said_to_be_none() {
    for answer in [&b"REJECTED EXTERNAL\r\n"[..], b"DATA\r\nERROR\r\n", &[b'x'; 2000]] {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(answer).unwrap();
        let deadline = Instant::now() + SOON;
        let mut bus = Bus { stream: near, timeout: SOON, deadline, serial: 0 };
        let error = bus.authenticate().unwrap_err();
        assert!(error.is(Code::Io), "{error}");
    }
    let (near, far) = UnixStream::pair().unwrap();
    let mut bus = Bus { stream: near, timeout: SOON, deadline: Instant::now() + SOON, serial: 0 };
    drop(far);
    assert!(bus.call(&METHOD, &[]).unwrap_err().is(Code::Io));
}

#[test]
fn a_socket_that_nobody_listens_on_is_no_bus_and_a_full_queue_is_waited_for_no_longer_than_allowed()
{
    let folder: PathBuf = std::env::temp_dir().join(format!("causeway-bus-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let address = || Address::Path(path.as_os_str().as_bytes().to_vec());
    assert!(connect_first(&[address()], SOON).unwrap().is_none());
    let listener = UnixListener::bind(&path).unwrap();
    // A shorter queue than the standard library makes it.
    listen(&listener, Backlog::new(1).unwrap()).unwrap();
    let mut connected = Vec::new();
    let error = loop {
        match connect_first(&[address()], Duration::from_millis(100)) {
            Ok(stream) => connected.push(stream.unwrap()),
            Err(error) => break error,
        }
        assert!(connected.len() < 10, "the queue is never full");
    };
    assert!(error.is(Code::TryAgainLater), "{error}");
    drop(listener);
    assert!(connect_first(&[address()], SOON).unwrap().is_none());
    std::fs::remove_dir_all(&folder).unwrap();
}

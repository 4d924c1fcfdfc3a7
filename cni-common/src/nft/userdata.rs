//! Comments as `nft` stores and prints them: a type, a length, and the text with a closing NUL.
//!
//! The kernel takes 256 bytes of user data, but `nft` refuses to read back a comment of more than
//! 128 bytes, so a saved rule set with a longer one could not be restored.

/// The longest comment `nft` reads back.
pub const MAX_COMMENT: usize = 128;

/// The type of a comment on tables, chains, rules and elements (all 0 in `nft`).
const COMMENT: u8 = 0;
/// In a set's user data: the byte order of its key, which `nft` wants for printing it.
const SET_KEY_BYTE_ORDER: u8 = 0;
/// In a map's user data: the byte order of what it has for each key.
const SET_DATA_BYTE_ORDER: u8 = 1;
/// In a set's user data: its comment.
const SET_COMMENT: u8 = 7;

/// How the fields of a set's key are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    /// Several fields, each with its own.
    Mixed = 0,
    /// Texts.
    Host = 1,
    /// Addresses.
    Network = 2,
}

/// The user data that holds `comment`, cut to what `nft` reads back.
pub(super) fn comment(text: &str) -> Vec<u8> {
    item(COMMENT, &terminated(text))
}

/// The part of a set's user data that tells how its key is stored.
pub(super) fn set_key(order: ByteOrder) -> Vec<u8> {
    item(SET_KEY_BYTE_ORDER, &(order as u32).to_ne_bytes())
}

/// The same of what a map has for its keys.
pub(super) fn set_data(order: ByteOrder) -> Vec<u8> {
    item(SET_DATA_BYTE_ORDER, &(order as u32).to_ne_bytes())
}

/// The comment of a set; nothing for none.
pub(super) fn set_comment(comment: &str) -> Vec<u8> {
    if comment.is_empty() { Vec::new() } else { item(SET_COMMENT, &terminated(comment)) }
}

/// The comment in user data that is not a set's; empty if there is none.
pub(super) fn read_comment(mut data: &[u8]) -> String {
    while let [kind, length, rest @ ..] = data {
        let Some((value, next)) = rest.split_at_checked(usize::from(*length)) else { break };
        if *kind == COMMENT {
            let text = value.strip_suffix(&[0]).unwrap_or(value);
            return String::from_utf8_lossy(text).into_owned();
        }
        data = next;
    }
    String::new()
}

fn terminated(text: &str) -> Vec<u8> {
    let mut end = text.len().min(MAX_COMMENT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut value = text.as_bytes().get(..end).unwrap_or_default().to_vec();
    value.push(0);
    value
}

fn item(kind: u8, value: &[u8]) -> Vec<u8> {
    // `terminated` keeps every value below 256 bytes.
    let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
    let mut data = vec![kind, length];
    data.extend_from_slice(value);
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_read_back_whatever_stands_beside_it() {
        assert_eq!(comment("a/b"), b"\0\x04a/b\0");
        assert_eq!(read_comment(b"\x01\x02xx\0\x04a/b\0"), "a/b");
        for broken in [&b""[..], b"\0", b"\0\x09a/b\0", b"\x01\x00"] {
            assert_eq!(read_comment(broken), "");
        }
    }

    #[test]
    fn a_long_comment_is_cut_between_characters() {
        let text = "é".repeat(100);
        assert_eq!(read_comment(&comment(&text)).len(), 128);
        let text = format!("x{text}");
        assert_eq!(read_comment(&comment(&text)).len(), 127);
    }
}

//! What a plugin prints besides results: errors and the answer to VERSION.

use std::borrow::Cow;

use serde::Serialize;

use super::version::Version;
use crate::error::Error;

#[derive(Serialize)]
struct ErrorJson<'a> {
    #[serde(rename = "cniVersion")]
    cni_version: &'static str,
    code: u32,
    msg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a str>,
}

#[derive(Serialize)]
struct VersionJson<'a> {
    #[serde(rename = "cniVersion")]
    cni_version: &'a str,
    #[serde(rename = "supportedVersions")]
    supported_versions: Vec<&'static str>,
}

/// A longer text is cut in its middle: callers log and show it, and the cause stands at either end.
const MAX_LENGTH: usize = 4096;

/// `text`, its middle left out when it is too long.
fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_LENGTH {
        return Cow::Borrowed(text);
    }
    let (head, tail) = (text.floor_char_boundary(MAX_LENGTH / 2), text.len() - MAX_LENGTH / 2);
    let tail = text.ceil_char_boundary(tail);
    let (head, tail) = (text.get(..head), text.get(tail..));
    Cow::Owned(format!("{} … {}", head.unwrap_or_default(), tail.unwrap_or_default()))
}

/// The error object of `error`, for a caller that speaks `version`.
pub(crate) fn print_error(error: &Error, version: Version) -> String {
    pretty(&ErrorJson {
        cni_version: version.as_str(),
        code: error.code(),
        msg: &cut(error.message()),
        details: error.details().map(cut).as_deref(),
    })
}

/// The answer to VERSION: `asked` is the caller's own `cniVersion`, if it sent one.
pub(crate) fn print_versions(asked: Option<&str>, supported: &[Version]) -> String {
    pretty(&VersionJson {
        cni_version: asked.unwrap_or(Version::LATEST.as_str()),
        supported_versions: supported.iter().map(|version| version.as_str()).collect(),
    })
}

/// JSON as callers are used to it: four spaces of indent.
pub(super) fn pretty(value: &impl Serialize) -> String {
    let mut text = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, format);
    // Strings, numbers and lists of them: writing these to memory can't fail.
    value.serialize(&mut serializer).ok();
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn a_long_message_keeps_both_its_ends() {
        let error = Error::new(Code::InvalidConfig, format!("key: {}: cause", "é".repeat(9_999)));
        let text = print_error(&error, Version::LATEST);
        assert!(text.len() < 4300 && text.contains("\"key: éé") && text.contains("éé: cause\""));
        assert!(
            !print_error(&Error::new(Code::Io, "x".repeat(4096)), Version::LATEST).contains('…')
        );
    }
}

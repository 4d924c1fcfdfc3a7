//! What a plugin prints besides results: errors and the answer to VERSION.

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

/// The error object of `error`, for a caller that speaks `version`.
pub fn print_error(error: &Error, version: Version) -> String {
    pretty(&ErrorJson {
        cni_version: version.as_str(),
        code: error.code(),
        msg: error.message(),
        details: error.details(),
    })
}

/// The answer to VERSION: `asked` is the caller's own `cniVersion`, if it sent one.
pub fn print_versions(asked: Option<&str>, supported: &[Version]) -> String {
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

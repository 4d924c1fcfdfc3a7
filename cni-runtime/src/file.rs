//! Files of folders that anybody may have written into: a FIFO or a device there is not waited for.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// What no list or result comes near to.
const MAX_LENGTH: u64 = 16 << 20;

/// The text of a regular file.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let other = |text: &str| io::Error::new(ErrorKind::InvalidInput, text.to_owned());
    if !file.metadata()?.is_file() {
        return Err(other("not a regular file"));
    }
    let mut text = String::new();
    file.take(MAX_LENGTH + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_LENGTH {
        return Err(other("longer than 16 MiB"));
    }
    Ok(text)
}

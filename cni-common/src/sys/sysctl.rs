//! `/proc/sys/net`, as the calling thread's network namespace sees it.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// Where the kernel shows it.
const ROOT: &str = "/proc/sys/net";

/// Sets `name` (a path below `/proc/sys/net`) to `value`.
///
/// A value that can't be written but is right already is a success: `/proc/sys` is read-only in
/// many containers.
pub fn write(name: &str, value: &str) -> Result<()> {
    let path = Path::new(ROOT).join(name);
    let written = fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|mut file| file.write_all(value.as_bytes()));
    match written {
        Ok(()) => Ok(()),
        Err(_) if read(name)?.as_deref() == Some(value) => Ok(()),
        Err(error) => Err(Error::io(&format!("write {value:?} to"), &path, &error)),
    }
}

/// The value of `name`, without its newline; `None` where the kernel does not have it.
pub fn read(name: &str) -> Result<Option<String>> {
    let path = Path::new(ROOT).join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim_end().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", &path, &error)),
    }
}

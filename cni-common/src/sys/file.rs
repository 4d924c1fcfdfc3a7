//! Reading a text file that somebody else names: it may be anything, or without an end.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::error::{Code, Error, Result};

/// The text of the file at `path`, which is a plain one of at most `most` bytes. What is not UTF-8
/// in it is replaced.
///
/// Links are followed. Neither a FIFO nor a device is waited for: they are errors, code 5.
pub fn read_text(path: &Path, most: usize) -> Result<String> {
    let failed = |error: std::io::Error| Error::io("read", path, &error);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).bits())
        .open(path)
        .map_err(failed)?;
    let refused = |fault: String| Err(Error::new(Code::Io, format!("read {path:?}: {fault}")));
    if !file.metadata().map_err(failed)?.is_file() {
        return refused("not a plain file".to_owned());
    }
    let mut bytes = Vec::new();
    // Not by its size: files of /proc have none.
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > most {
        return refused(format!("longer than {most} bytes"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_file_of_bounded_length_is_read() {
        let dir = std::env::temp_dir().join(format!("causeway-file-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let plain = dir.join("plain");
        std::fs::write(&plain, b"caf\xe9\n").unwrap();
        assert_eq!(read_text(&plain, 5).unwrap(), "caf\u{fffd}\n");
        assert!(read_text(&plain, 4).unwrap_err().message().ends_with("longer than 4 bytes"));
        let fifo = dir.join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [fifo.as_path(), &dir, Path::new("/dev/zero"), Path::new("/dev/null")] {
            let error = read_text(path, 100).unwrap_err();
            assert!(error.is(Code::Io), "{error}");
            assert!(error.message().contains(path.to_str().unwrap()), "{error}");
        }
        assert!(read_text(&dir.join("nothing"), 100).unwrap_err().is_not_found());
        assert!(!read_text(Path::new("/proc/self/status"), 1 << 20).unwrap().is_empty());
        std::fs::remove_dir_all(dir).unwrap();
    }
}

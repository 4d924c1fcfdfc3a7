//! What an executable file says of itself before it is run.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

/// A GNU build ID: what linkers write into an executable to tell builds apart.
pub(crate) type BuildId = [u8; 20];

/// Linkers put it right behind the headers; `strip` and `objcopy` leave it there.
const HEAD: usize = 4096;
const ELF: &[u8] = b"\x7fELF";

/// Whether `path` can be executed and is an ELF file with this build ID.
///
/// The ID is looked for as such: bytes of a hash stand nowhere else in the headers. What can't be read has
/// none.
pub(crate) fn has_build_id(path: &Path, id: &BuildId) -> bool {
    let mut head = [0; HEAD];
    let Ok(read) = File::open(path).and_then(|mut file| file.read(&mut head)) else { return false };
    let head = head.get(..read).unwrap_or_default();
    head.starts_with(ELF)
        && head.windows(id.len()).any(|bytes| bytes == id)
        // As running it would: not from a file system mounted `noexec`, not without permission.
        && access(path, AccessFlags::X_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_executable_is_told_by_its_build_id() {
        let id: BuildId = std::array::from_fn(|index| index as u8 + 100);
        let folder = temporary_folder();
        let write = |name: &str, bytes: &[u8], mode: u32| {
            let path = folder.join(name);
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let elf = [ELF, &[0; 600], &id, &[0; 9000]].concat();
        assert!(has_build_id(&write("same", &elf, 0o755), &id));
        assert!(!has_build_id(&write("not-executable", &elf, 0o644), &id));
        assert!(!has_build_id(&write("other", &elf, 0o755), &[1; 20]));
        let late = [ELF, &[0; 9000], &id].concat();
        assert!(!has_build_id(&write("far-behind", &late, 0o755), &id));
        let script = [b"#!/bin/sh\nexec /usr/lib/cni/host-local ", id.as_slice()].concat();
        assert!(!has_build_id(&write("wrapper", &script, 0o755), &id));
        assert!(!has_build_id(&write("empty", b"", 0o755), &id));
        assert!(!has_build_id(&folder.join("missing"), &id));
        fs::remove_dir_all(folder).unwrap();
    }

    fn temporary_folder() -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("causeway-build-id-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }
}

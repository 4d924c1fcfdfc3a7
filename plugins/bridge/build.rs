//! Tells `bridge` the build IDs of the IPAM plugins that it is built with.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

#[path = "../ipam/build_id.rs"]
mod build_id;

fn main() -> io::Result<()> {
    let mut text = String::new();
    for name in ["host-local", "static"] {
        let digits = build_id::build_id(name, Path::new("../.."))?;
        let bytes: Vec<String> = digits
            .as_bytes()
            .chunks(2)
            .map(|byte| format!("0x{}", String::from_utf8_lossy(byte)))
            .collect();
        let constant = name.to_uppercase().replace('-', "_");
        text += &format!("pub(super) const {constant}: [u8; 20] = [{}];\n", bytes.join(", "));
    }
    let folder = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(folder.join("build_ids.rs"), text)
}

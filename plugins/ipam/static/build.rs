//! Gives the executable its build ID.

use std::io;
use std::path::Path;

#[path = "../build_id.rs"]
mod build_id;

fn main() -> io::Result<()> {
    let id = build_id::build_id("static", Path::new("../../.."))?;
    println!("cargo::rustc-link-arg-bins=-Wl,--build-id=0x{id}");
    Ok(())
}

//! The IPAM plugin of a request: found, and run as a program or, one of this very build, in this process.

use causeway_host_local::HostLocal;
use causeway_static::Static;
use cni_common::delegate::{BuiltIn, Delegate};
use cni_common::skel::Request;
use cni_common::{Code, Error, Result};

/// What `build.rs` knows of the executables.
mod build_ids {
    include!(concat!(env!("OUT_DIR"), "/build_ids.rs"));
}

const BUILT_INS: [BuiltIn; 2] = [
    BuiltIn { plugin: &HostLocal, build_id: build_ids::HOST_LOCAL },
    BuiltIn { plugin: &Static, build_id: build_ids::STATIC },
];

/// The IPAM plugin of a request, found; `None` where there is none to be run.
pub(crate) fn find(request: &Request<'_>) -> Result<Option<Delegate>> {
    match request.config.ipam_type()? {
        // It would call itself, and that itself again.
        Some(name) if name == "bridge" => Err(Error::new(
            Code::InvalidConfig,
            "ipam.type: must be the name of an IPAM plugin, got \"bridge\"",
        )),
        Some(name) => Delegate::find(&name, request, &BUILT_INS).map(Some),
        None => Ok(None),
    }
}

/// Runs the IPAM plugin of a request, if there is one to be run, for a command that answers with
/// nothing.
pub(crate) fn run(request: &Request<'_>, command: &str) -> Result<()> {
    find(request)?.map_or(Ok(()), |ipam| ipam.run(command))
}

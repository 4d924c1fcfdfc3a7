//! STATUS: fails for a configuration that every ADD refuses, and without traffic control.

use cni_common::skel::Request;
use cni_common::sys::TrafficControl;
use cni_common::{Code, Error, Result};
use nix::errno::Errno;

use crate::config::Config;

/// The loopback interface's index, in every namespace.
const LOOPBACK: u32 = 1;

/// Reads the configuration, and whether the kernel has queueing disciplines.
pub(crate) fn status(request: &Request<'_>) -> Result<()> {
    Config::parse(&request.config)?;
    match TrafficControl::open()?.find_root(LOOPBACK) {
        Err(error) if error.raw_errno() == Some(Errno::EOPNOTSUPP) => {
            Err(Error::new(Code::NotAvailable, "the kernel lacks queueing disciplines (NET_SCHED)"))
        }
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

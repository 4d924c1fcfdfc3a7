//! STATUS: fails for a configuration that every ADD refuses.

use cni_common::Result;
use cni_common::skel::Request;

use crate::add;
use crate::config::Config;

/// No interface is named here; that of any ADD is as good.
const ANY_INTERFACE: &str = "eth0";

/// Reads the configuration, and whether its sysctls are allowed.
pub(crate) fn status(request: &Request<'_>) -> Result<()> {
    let config = Config::parse(&request.config, &request.args()?, &ANY_INTERFACE.parse()?)?;
    add::require_allowed(&config.sysctls)
}

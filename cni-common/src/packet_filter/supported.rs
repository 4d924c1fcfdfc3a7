//! Two ways to the same, where not every kernel knows the first.

use crate::Result;
use crate::sys::nft::is_unsupported;

/// The first way, or the second where the kernel can't do the first.
pub fn first_supported(
    first: impl FnOnce() -> Result<()>,
    second: impl FnOnce() -> Result<()>,
) -> Result<()> {
    match first() {
        Err(unsupported) if is_unsupported(&unsupported) => {
            second().map_err(|error| error.with_details(format!("without it: {unsupported}")))
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::{Code, Error};

    #[test]
    fn the_second_way_is_for_kernels_without_the_first() {
        let refuse = |errno| move || Err(Error::errno(Code::Kernel, errno));
        for errno in [Errno::EOPNOTSUPP, Errno::EPROTONOSUPPORT, Errno::ENOENT] {
            assert_eq!(first_supported(refuse(errno), || Ok(())), Ok(()));
        }
        let error = first_supported(refuse(Errno::EPERM), || panic!("not asked")).unwrap_err();
        assert_eq!(error.raw_errno(), Some(Errno::EPERM));
        let missing = || Err(Error::new(Code::Io, "program \"iptables-restore\" is not installed"));
        let error = first_supported(refuse(Errno::EOPNOTSUPP), missing).unwrap_err();
        assert!(error.message().contains("not installed"));
        assert!(error.details().is_some_and(|details| details.contains("EOPNOTSUPP")));
    }
}

//! CHECK: the limits are as ADD makes them, by this suite or by the reference.

use cni_common::skel::AttachmentRequest;
use cni_common::types::traffic::ShownBucket;
use cni_common::{Code, Error, Result};

use crate::bucket::Shape;
use crate::config::Config;
use crate::observe::{Sockets, observe};
use crate::operation::Operation;
use crate::plan::plan;
use crate::target;

/// What CHECK says without a `prevResult`.
const NO_PREV_RESULT: &str = "must be called as a chained plugin";

/// Compares what is there with what an ADD would still have to do.
pub(crate) fn check(request: &AttachmentRequest<'_>) -> Result<()> {
    let config = Config::parse(&request.request.config)?;
    let result = request.required_prev_result(NO_PREV_RESULT)?;
    if config.is_empty() {
        return Ok(());
    }
    let mut sockets = Sockets::open()?;
    let host = target::find(request, &result, &mut sockets.host)?;
    let observed = observe(&mut sockets, &request.attachment, host)?;
    let operations =
        plan(&config, &observed).map_err(|error| error.with_code(Code::CheckFailed))?;
    Error::join(operations.iter().filter_map(fault))
}

/// What it means that there is an operation left to do, in the words of the reference where it has some.
fn fault(operation: &Operation) -> Option<Error> {
    let message = match operation {
        // The reference writes none, and is no different for it.
        Operation::SetAlias { .. } => return None,
        Operation::CreateIfb { name, .. } => format!("get ifb device: {name:?}: Link not found"),
        Operation::SetIfbUp { name, mtu, .. } => {
            format!("ifb device {name:?} is not up with MTU {mtu}")
        }
        Operation::SetRoot { link, former: None, .. } => {
            format!("Failed to find qdisc of {link:?}")
        }
        Operation::SetRoot { link, shape, former: Some(former) } => {
            if shape.is_of_reference(former) {
                return None;
            }
            return Some(differing(link, shape, former));
        }
        Operation::CreateClsact { link } => format!("Failed to find qdisc clsact of {link:?}"),
        Operation::RemoveClassifier { link, kind } => {
            format!("{link:?} has {kind} instead of clsact")
        }
        Operation::AddFilter { link, hook, rule } => {
            format!("{hook} filter of {link:?} is missing: {rule}")
        }
        Operation::RemoveFilters { link, hook, .. } => {
            format!("{hook} filters of {link:?} are not those that ADD makes: left is {operation}")
        }
        Operation::RemoveRoot { link, .. } => {
            format!("{link:?} is limited, which is not configured")
        }
        Operation::RemoveIfb { name } => {
            format!("ifb device {name:?} is there, which is not configured")
        }
    };
    Some(Error::new(Code::CheckFailed, message))
}

fn differing(link: &str, shape: &Shape, found: &ShownBucket) -> Error {
    let wanted = shape.bucket.shown();
    let (what, wanted, found) = match () {
        () if wanted.rate != found.rate => ("Rate", wanted.rate, found.rate),
        () if wanted.limit != found.limit => ("Limit", wanted.limit.into(), found.limit.into()),
        () => ("Buffer", wanted.buffer.into(), found.buffer.into()),
    };
    Error::new(Code::CheckFailed, format!("{what} doesn't match"))
        .with_details(format!("{link:?}: {wanted} wanted, {found} found"))
}

//! The rules, by what they are about. Each module has a list of its own; [`crate::check`] puts them together.

pub(crate) mod add;
pub(crate) mod chained;
pub(crate) mod check;
pub(crate) mod del;
pub(crate) mod delegation;
pub(crate) mod environment;
pub(crate) mod errors;
pub(crate) mod form;
pub(crate) mod gc;
pub(crate) mod ipam;
pub(crate) mod result;
pub(crate) mod version;

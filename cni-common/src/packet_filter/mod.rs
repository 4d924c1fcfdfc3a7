//! What every plugin needs that keeps rules, sets and maps in the packet filter.
//!
//! All plugins share two tables, `inet causeway` and `bridge causeway`. What is there for one
//! attachment are elements of sets and maps; each carries its owner (network, container,
//! interface) as its comment. So it is found and removed without knowing more, and never by
//! another attachment. Chains and their rules belong to a plugin, not to an attachment.
//!
//! A plugin says in a [`Wanted`] what is to be there, and [`ensure()`] makes it so; [`element`]
//! finds and removes elements; [`Report`] tells what CHECK found.
//!
//! - [`owner`]: the comment that says whose something is. Pure.
//! - [`table`]: the two tables, and removing what nothing is left in.
//! - [`Registry`]: how many elements each attachment has.
//! - [`element`]: elements by their keys, and deleting those that still belong to their owner.
//! - [`iptables`], [`iptables_text`]: chains that iptables knows, in the reference's words.
//! - `ensure`: one transaction that accepts what is there already; `together`: one for many attachments.
//! - `report`: what CHECK finds.
//! - `supported`: nf_tables, or iptables where the kernel lacks it.
//! - [`mod@reference`]: what the reference plugins left in nf_tables.

pub mod element;
mod ensure;
pub mod iptables;
pub mod iptables_text;
pub mod owner;
pub mod reference;
mod registry;
mod report;
mod supported;
pub mod table;
mod together;

pub use element::ElementKey;
pub use ensure::{Wanted, ensure, ensure_unless_held};
pub use registry::Registry;
pub use report::Report;
pub use supported::first_supported;
pub use table::Unit;
pub use together::ensure_together;

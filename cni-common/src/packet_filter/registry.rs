//! A plugin's map of attachments: how many elements each has in the plugin's other sets and maps.
//!
//! Its keys are host interfaces' names, which are derived from the attachment. So an ADD that
//! follows another one without DEL is refused by the kernel here, whatever its other elements are,
//! and replaces them; and a DEL that knows nothing else need not look through everybody's elements
//! to find that there are none of its own.

use super::{ElementKey, element};
use crate::Result;
use crate::nft::{Element, KeyType, Set, Table, Value};
use crate::sys::nft::Nft;

/// One plugin's map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    table: Table,
    set: Set,
}

impl Registry {
    /// The map of this name; the comment says what is counted.
    pub fn new(table: Table, name: &str, comment: &str) -> Self {
        let set = Set::new(name, &[KeyType::Ifname], comment).to(&[KeyType::Mark]);
        Self { table, set }
    }

    /// The map itself.
    pub fn set(&self) -> &Set {
        &self.set
    }

    /// The entry of an attachment.
    pub fn key(&self, host_interface: &str) -> ElementKey {
        let key = vec![Value::Name(host_interface.to_owned())];
        ElementKey { table: self.table, set: self.set.clone(), key }
    }

    /// The entry of an attachment that has this many elements.
    pub fn element(&self, host_interface: &str, count: usize, comment: &str) -> Element {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let key = self.key(host_interface).key;
        Element::new(key, comment).with_data(vec![Value::Mark(count)])
    }

    /// The comments of all attachments in the map.
    pub fn list_owners(&self, nft: &mut Nft) -> Result<Vec<String>> {
        element::list_owners(nft, (self.table, &self.set))
    }

    /// How many elements the attachment of this comment has; `None` if it is not in the map.
    pub fn count(
        &self,
        nft: &mut Nft,
        host_interface: &str,
        comment: &str,
    ) -> Result<Option<usize>> {
        let found = self.key(host_interface).find(nft)?;
        Ok(found.filter(|element| element.comment == comment).map(
            |element| match element.data[..] {
                [Value::Mark(count)] => usize::try_from(count).unwrap_or(usize::MAX),
                _ => usize::MAX,
            },
        ))
    }
}

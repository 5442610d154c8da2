//! Types by name. For a few questions the names are searched where they lie, which takes a tenth of a millisecond; who asks often, as
//! lists do, has them put in order once, which takes some ten.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Kind, Part, TypeId};

/// What is known of the names of one part.
#[derive(Default)]
pub(super) struct Names {
    /// The answers that searching gave: what is asked is mostly asked again.
    found: Mutex<HashMap<(String, Kind), Option<TypeId>>>,
    /// Hashes of names with the types of those names, sorted.
    sorted: OnceLock<Vec<(u64, u32)>>,
}

/// So many names are searched for.
const FEW: usize = 64;

impl Part {
    /// The first type of this kind and name.
    pub(super) fn find(&self, name: &str, kind: Kind) -> Option<TypeId> {
        let is_kind = |id: &TypeId| self.layout.record(&self.bytes, *id).is_some_and(|record| record.kind == kind);
        let mut found = self.names.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= FEW {
            return self.sorted_ids(name).find(is_kind);
        }
        *found.entry((name.to_string(), kind)).or_insert_with(|| self.search(name, 0).find(is_kind))
    }

    /// The types of this name, found by its place among the strings, before which there are so many bytes of other parts.
    pub(super) fn search(&self, name: &str, before: u32) -> impl Iterator<Item = TypeId> {
        let place = self.string_offset(name).map(|place| before + place);
        place.into_iter().flat_map(|place| self.layout.ids_with_name(&self.bytes, place))
    }

    /// The same, once all names are in order.
    fn sorted_ids(&self, name: &str) -> impl Iterator<Item = TypeId> {
        let sorted = self.names.sorted.get_or_init(|| self.sorted_names());
        let wanted = hash(name);
        let first = sorted.partition_point(|(hash, _)| *hash < wanted);
        let alike = sorted[first..].iter().take_while(move |(hash, _)| *hash == wanted).map(|(_, id)| TypeId(*id));
        alike.filter(move |id| self.name(*id) == name)
    }

    fn sorted_names(&self) -> Vec<(u64, u32)> {
        let ids = 1..self.layout.count();
        let named = ids.map(|id| (self.name(TypeId(id)), id)).filter(|(name, _)| !name.is_empty());
        let mut sorted: Vec<(u64, u32)> = named.map(|(name, id)| (hash(name), id)).collect();
        sorted.sort_unstable();
        sorted
    }

    fn name(&self, id: TypeId) -> &str {
        self.layout.text(&self.bytes, self.layout.name_offset(&self.bytes, id))
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::super::{Btf, Kind};
    use super::*;

    #[test]
    fn who_asks_often_is_told_the_same() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture/kernel/btf");
        let btf = Btf::open_at(&path).unwrap();
        for name in ["task_struct", "int", "pid_t", "vfs_read", "nosuch", "", "tgid"] {
            let searched: Vec<TypeId> = btf.base.search(name, 0).collect();
            assert_eq!(btf.base.sorted_ids(name).collect::<Vec<_>>(), searched, "{name}");
        }
        let task = btf.find("task_struct", Kind::Struct);
        (0..FEW).for_each(|number| assert_eq!(btf.find(&format!("nosuch{number}"), Kind::Struct), None));
        assert!(task.is_some() && btf.find("task_struct", Kind::Struct) == task);
    }
}

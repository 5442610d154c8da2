//! Types by name. For a few questions the names are searched where they lie, which takes a tenth of a millisecond; who asks often, as
//! lists do, has them put in order once, which takes some ten.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Part, TypeId};

/// The names of one part, once they are in order.
#[derive(Default)]
pub(super) struct Names {
    asked: AtomicU32,
    /// Hashes of names with the types of those names, sorted.
    sorted: OnceLock<Vec<(u64, u32)>>,
}

/// So many questions are answered by searching.
const FEW: u32 = 64;

impl Part {
    /// All types of this name, in their order.
    pub(super) fn ids_named<'a>(&'a self, name: &'a str) -> Box<dyn Iterator<Item = TypeId> + 'a> {
        if self.names.asked.fetch_add(1, Ordering::Relaxed) < FEW {
            return Box::new(self.search(name, 0));
        }
        let sorted = self.names.sorted.get_or_init(|| self.sorted_names());
        let wanted = hash(name);
        let first = sorted.partition_point(|(hash, _)| *hash < wanted);
        let alike = sorted[first..].iter().take_while(move |(hash, _)| *hash == wanted).map(|(_, id)| TypeId(*id));
        Box::new(alike.filter(move |id| self.name(*id) == name))
    }

    /// The same, found by the place of the name among the strings, before which there are so many bytes of other parts.
    pub(super) fn search(&self, name: &str, before: u32) -> impl Iterator<Item = TypeId> {
        let place = self.string_offset(name).map(|place| before + place);
        place.into_iter().flat_map(|place| self.layout.ids_with_name(&self.bytes, place))
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
        let names = ["task_struct", "int", "pid_t", "vfs_read", "nosuch", "", "tgid"];
        let found = || names.map(|name| btf.ids_named(name).collect::<Vec<_>>());
        let (searched, is_sorted) = (found(), btf.base.names.sorted.get().is_some());
        btf.base.names.asked.store(FEW, Ordering::Relaxed);
        assert_eq!((found(), is_sorted, btf.base.names.sorted.get().is_some()), (searched, false, true));
        assert!(btf.find("task_struct", Kind::Struct).is_some());
    }
}

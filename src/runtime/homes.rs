//! Where traced functions lie outside of the kernel proper: the BPF programs in the kernel, and descriptors of modules' types.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use super::sys::object::{self, Kind};
use crate::btf::Btf;
use crate::kernel::{Home, Loaded, live};

/// For [`live::Live::with_programs`].
pub const PROGRAMS: live::Programs = live::Programs { all, types };

/// All programs that tell their types. One that ends meanwhile is left out.
fn all() -> Vec<Loaded> {
    object::all(Kind::Program).filter_map(loaded).collect()
}

fn loaded(id: u32) -> Option<Loaded> {
    let (types, functions) = described(id)?;
    let btf = Btf::parse(&types).ok()?;
    let name = |type_id: u32| (btf.name(crate::btf::TypeId(type_id)).to_string(), type_id);
    Some(Loaded { id, functions: functions.into_iter().map(name).filter(|(name, _)| !name.is_empty()).collect() })
}

fn types(id: u32) -> Option<Vec<u8>> {
    described(id).map(|(types, _)| types)
}

/// Types of a program, and the numbers of its functions in them.
fn described(id: u32) -> Option<(Vec<u8>, Vec<u32>)> {
    let program = object::by_number(Kind::Program, id).ok()?;
    let (types, functions) = object::functions(program.as_fd()).ok()?;
    let types = object::by_number(Kind::Types, types).ok()?;
    Some((object::types(types.as_fd()).ok()?, functions))
}

/// What programs that are to be put on functions outside of the kernel proper must name when they are loaded. A module's is found by
/// looking at all types in the kernel, so each is kept.
#[derive(Default)]
pub struct Descriptors {
    found: RefCell<HashMap<Home, Option<Rc<OwnedFd>>>>,
}

impl Descriptors {
    /// Nothing for the kernel proper.
    pub fn of(&self, home: &Home) -> io::Result<Option<Rc<OwnedFd>>> {
        if let Some(known) = self.found.borrow().get(home) {
            return Ok(known.clone());
        }
        let descriptor = descriptor(home)?.map(Rc::new);
        self.found.borrow_mut().insert(home.clone(), descriptor.clone());
        Ok(descriptor)
    }
}

fn descriptor(home: &Home) -> io::Result<Option<OwnedFd>> {
    match home {
        Home::Kernel => Ok(None),
        Home::Program(id) => object::by_number(Kind::Program, *id).map(Some),
        Home::Module(name) => {
            let all = object::all(Kind::Types).filter_map(|id| object::by_number(Kind::Types, id).ok());
            let mut named = all.filter(|fd| object::types_name(fd.as_fd()).is_ok_and(|found| found == *name));
            named.next().map(Some).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
        }
    }
}

//! The kernel's side of the interpreter: maps whose values have addresses, and the helpers, as far as generated code calls them.

use std::collections::HashMap;

use rtrace::bpf::Helper;
use rtrace::plan::{ActionId, MapId, MapKind, Plan, Role};
use rtrace::types::Side;

use super::evaluate::word;
use super::scene::{COLLIDES, CPUS, FAULT, Scene};
use super::store::{IfPresent, Insertion, ONLY, Record, Store, canonical};
use crate::machine::{Access, Machine, World};

/// Maps and memory of a session of the interpreter, from program to program.
pub struct Helpers<'a> {
    pub plan: &'a Plan,
    pub store: Store,
    pub scene: Scene,
    /// Where the slots of entries lie while programs may hold their addresses.
    slots: HashMap<(MapId, Vec<u8>, usize), u64>,
    /// Whether the program has a pointer to follow.
    has_task: bool,
    /// Addresses of records that are reserved.
    open: Vec<u64>,
}

/// Addresses that stand for maps.
const MAPS: u64 = 0x00ff_0000_0000_0000;
/// Where those begin that are found in arrays of maps.
const IN_USE: u64 = 0x00fe_0000_0000_0000;

const ENOENT: u64 = -2i64 as u64;
const E2BIG: u64 = -7i64 as u64;
const ENOMEM: u64 = -12i64 as u64;
const EBUSY: u64 = -16i64 as u64;
const EEXIST: u64 = -17i64 as u64;
const EINVAL: u64 = -22i64 as u64;

/// `BPF_NOEXIST`, and `BPF_F_USER_STACK` in the flags of stacks.
const NOEXIST: u64 = 1;
const USER_STACK: u64 = 1 << 8;

/// Rounds that `bpf_loop` grants.
const LOOP_LIMIT: u64 = 1 << 23;

type Args = [Option<u64>; 5];

impl<'a> Helpers<'a> {
    pub fn new(plan: &'a Plan, store: Store, scene: Scene) -> Self {
        Self { plan, store, scene, slots: HashMap::new(), has_task: false, open: Vec::new() }
    }

    /// Takes what programs wrote to values back into the maps; a program has ended.
    pub fn settle(&mut self, machine: &mut Machine) -> Result<(), String> {
        if !self.open.is_empty() {
            return Err("a reserved record was neither submitted nor discarded".to_owned());
        }
        for ((map, key, slot), address) in self.slots.drain() {
            let size = self.store.map(map).value_size as u64;
            let bytes = machine.memory.read(address, size)?;
            machine.memory.remove(address);
            if let Some(slots) = self.store.map(map).entries.get_mut(&key) {
                slots[slot] = bytes;
            }
        }
        let counters = self.plan.maps.iter().find(|(_, map)| map.role == Role::Counters).map(|(id, _)| id);
        if let Some(bytes) = counters.and_then(|id| self.store.map(id).get(0, &ONLY).cloned()) {
            self.store.counters.iter_mut().zip(bytes.chunks(8)).for_each(|(counter, bytes)| *counter = word(bytes));
        }
        Ok(())
    }

    fn map_argument(&self, args: &Args, at: usize) -> Result<MapId, String> {
        let value = argument(args, at)?;
        let id = |start: u64| {
            let index = value.wrapping_sub(start);
            (index < self.plan.maps.len() as u64).then_some(MapId(index as u32))
        };
        let direct = id(MAPS).filter(|map| !self.plan.turning.contains(map));
        direct.or(id(IN_USE)).ok_or_else(|| format!("{value:#x} is no map"))
    }

    /// What an array of maps holds, if the argument is one.
    fn in_use(&self, args: &Args) -> Result<Option<u64>, String> {
        let index = argument(args, 0)?.wrapping_sub(MAPS);
        Ok(self.plan.turning.iter().any(|map| u64::from(map.0) == index).then(|| IN_USE + index))
    }

    fn key(&self, machine: &Machine, map: MapId, args: &Args) -> Result<Vec<u8>, String> {
        machine.memory.read(argument(args, 1)?, self.plan.maps[map].key_size.into())
    }

    fn look_up(&mut self, machine: &mut Machine, args: &Args) -> Result<u64, String> {
        if let Some(in_use) = self.in_use(args)? {
            return Ok(in_use);
        }
        let map = self.map_argument(args, 0)?;
        let key = self.key(machine, map, args)?;
        let cpu = self.scene.moment.cpu;
        self.address(machine, map, key, cpu)
    }

    /// `bpf_map_lookup_percpu_elem`.
    fn look_up_on(&mut self, machine: &mut Machine, args: &Args) -> Result<u64, String> {
        let map = self.map_argument(args, 0)?;
        let key = self.key(machine, map, args)?;
        match argument(args, 2)? as usize {
            cpu if cpu < CPUS => self.address(machine, map, key, cpu),
            _ => Ok(0),
        }
    }

    /// The address of an entry's slot, or null.
    fn address(&mut self, machine: &mut Machine, map: MapId, key: Vec<u8>, cpu: usize) -> Result<u64, String> {
        let table = self.store.map(map);
        let slot = table.slot_of(cpu);
        let Some(bytes) = table.get(cpu, &key) else { return Ok(0) };
        let access = if self.plan.maps[map].role == Role::Zeros { Access::ReadOnly } else { Access::ReadWrite };
        Ok(*self.slots.entry((map, key, slot)).or_insert_with(|| machine.memory.add(bytes, access)))
    }

    fn update(&mut self, machine: &mut Machine, args: &Args) -> Result<u64, String> {
        let map = self.map_argument(args, 0)?;
        let key = self.key(machine, map, args)?;
        let value = machine.memory.read(argument(args, 2)?, self.plan.maps[map].value_size.into())?;
        let cpu = self.scene.moment.cpu;
        let if_present = if argument(args, 3)? == NOEXIST { IfPresent::Keep } else { IfPresent::Replace };
        let table = self.store.map(map);
        let (slot, inserted) = (table.slot_of(cpu), table.insert(cpu, &key, &value, if_present));
        if inserted == Insertion::Done
            && let Some(address) = self.slots.get(&(map, key, slot))
        {
            machine.memory.write(*address, &value)?;
        }
        Ok(match inserted {
            Insertion::Done => 0,
            Insertion::Full => E2BIG,
            Insertion::NoMemory => ENOMEM,
            Insertion::Busy => EBUSY,
            Insertion::Exists => EEXIST,
        })
    }

    fn delete(&mut self, machine: &mut Machine, args: &Args) -> Result<u64, String> {
        let map = self.map_argument(args, 0)?;
        let key = self.key(machine, map, args)?;
        let table = self.store.map(map);
        if matches!(table.kind, MapKind::Array | MapKind::PerCpuArray) {
            return Ok(EINVAL);
        }
        let removed = table.entries.remove(&key);
        // Old addresses stay valid until the program ends, but a new entry has others.
        self.slots.retain(|(of, other, _), _| (*of, other) != (map, &key));
        Ok(if removed.is_some() { 0 } else { ENOENT })
    }

    fn probe_read(&mut self, machine: &mut Machine, args: &Args) -> Result<u64, String> {
        let (to, size, from) = (argument(args, 0)?, argument(args, 1)?, argument(args, 2)?);
        let own = machine.memory.read(from, size).ok();
        let bytes = own.or_else(|| self.scene.read(from, size));
        let result = if bytes.is_some() { 0 } else { FAULT as u64 };
        machine.memory.write(to, &bytes.unwrap_or_else(|| vec![0; size as usize]))?;
        Ok(result)
    }

    fn probe_read_text(&mut self, machine: &mut Machine, args: &Args) -> Result<u64, String> {
        let (to, size, from) = (argument(args, 0)?, argument(args, 1)?, argument(args, 2)?);
        if size == 0 {
            return Ok(0);
        }
        let own = (0..size - 1).map_while(|at| machine.memory.read(from + at, 1).ok()).map(|byte| byte[0]);
        let own: Vec<u8> = own.take_while(|byte| *byte != 0).collect();
        let is_own = machine.memory.read(from, 1).is_ok();
        let text = if is_own { Some(own) } else { self.scene.read_text(from, size) };
        let Some(mut text) = text else {
            machine.memory.write(to, &vec![0; size as usize])?;
            return Ok(FAULT as u64);
        };
        text.push(0);
        machine.memory.write(to, &text)?;
        Ok(text.len() as u64)
    }

    fn reserve(&mut self, machine: &mut Machine, args: &Args) -> Result<u64, String> {
        if !self.store.reserve() {
            return Ok(0);
        }
        let address = machine.memory.add_undefined(argument(args, 1)?);
        self.open.push(address);
        Ok(address)
    }

    fn close(&mut self, args: &Args) -> Result<u64, String> {
        let address = argument(args, 0)?;
        let open = self.open.iter().position(|other| *other == address);
        open.map(|at| self.open.remove(at)).ok_or_else(|| "this is no reserved record".to_owned())
    }

    fn submit(&mut self, machine: &mut Machine, args: &Args) -> Result<u64, String> {
        let address = self.close(args)?;
        let action = ActionId(word(&machine.memory.read(address, 8)?) as u32);
        let layout = self.plan.actions.get(action).ok_or("a record of no known action")?;
        let bytes = machine.memory.written(address, layout.size.into())?;
        let fields = layout
            .fields
            .iter()
            .map(|field| canonical(&field.ty, bytes.get(field.offset as usize..).unwrap_or_default()));
        let fields = fields.collect::<Result<_, _>>()?;
        self.store.records.push(Record { action, fields });
        machine.memory.remove(address);
        Ok(0)
    }

    fn stack_id(&mut self, args: &Args) -> Result<u64, String> {
        let map = self.map_argument(args, 1)?;
        let side = side(argument(args, 2)?);
        let id = self.scene.stack_id(side);
        if id >= 0 && id != COLLIDES {
            let mut bytes: Vec<u8> = self.scene.stack(side).iter().flat_map(|frame| frame.to_le_bytes()).collect();
            let table = self.store.map(map);
            bytes.resize(table.value_size, 0);
            table.insert(0, &(id as u32).to_le_bytes(), &bytes, IfPresent::Replace);
        }
        Ok(id as u64)
    }

    /// `bpf_get_stack`: how many bytes of frames were written.
    fn stack(&mut self, machine: &mut Machine, args: &Args) -> Result<u64, String> {
        let (to, size) = (argument(args, 1)?, argument(args, 2)?);
        let frames = self.scene.stack(side(argument(args, 3)?));
        let bytes = frames.iter().flat_map(|frame| frame.to_le_bytes()).take(size as usize);
        let bytes: Vec<u8> = bytes.collect();
        machine.memory.write(to, &bytes)?;
        Ok(bytes.len() as u64)
    }

    /// `bpf_loop`: the callback gets the round and the context; other than 0 it ends the loop.
    fn repeat(&mut self, machine: &mut Machine, args: &Args) -> Result<u64, String> {
        // The helper takes a 32-bit number.
        let rounds = argument(args, 0)? & 0xffff_ffff;
        if rounds > LOOP_LIMIT {
            return Ok(E2BIG);
        }
        for round in 0..rounds {
            if machine.callback(self, argument(args, 1)?, &[round, argument(args, 2)?])? != 0 {
                return Ok(round + 1);
            }
        }
        Ok(rounds)
    }

    /// `bpf_for_each_map_elem`.
    fn each_entry(&mut self, machine: &mut Machine, args: &Args) -> Result<u64, String> {
        let (map, cpu) = (self.map_argument(args, 0)?, self.scene.moment.cpu);
        let keys: Vec<Vec<u8>> = self.store.map(map).entries.keys().cloned().collect();
        for (round, key) in keys.iter().enumerate() {
            let value = self.address(machine, map, key.clone(), cpu)?;
            if value == 0 {
                continue;
            }
            let key = machine.memory.add(key, Access::ReadOnly);
            let result =
                machine.callback(self, argument(args, 1)?, &[argument(args, 0)?, key, value, argument(args, 2)?])?;
            machine.memory.remove(key);
            if result != 0 {
                return Ok(round as u64 + 1);
            }
        }
        Ok(keys.len() as u64)
    }

    fn comm(&mut self, machine: &mut Machine, args: &Args) -> Result<u64, String> {
        let (to, size) = (argument(args, 0)?, argument(args, 1)?);
        let comm = self.scene.comm();
        machine.memory.write(to, comm.get(..size as usize).ok_or("a name longer than names are")?)?;
        Ok(0)
    }

    /// `struct bpf_pidns_info`: thread, then process.
    fn namespaced_pid(&mut self, machine: &mut Machine, args: &Args) -> Result<u64, String> {
        let ids = [self.scene.thread().to_le_bytes(), self.scene.process().to_le_bytes()].concat();
        machine.memory.write(argument(args, 2)?, &ids)?;
        Ok(0)
    }
}

impl World for Helpers<'_> {
    fn call(&mut self, machine: &mut Machine, helper: Helper, args: Args) -> Result<u64, String> {
        match helper {
            Helper::MAP_LOOKUP_ELEM => self.look_up(machine, &args),
            Helper::MAP_LOOKUP_PERCPU_ELEM => self.look_up_on(machine, &args),
            Helper::MAP_UPDATE_ELEM => self.update(machine, &args),
            Helper::MAP_DELETE_ELEM => self.delete(machine, &args),
            Helper::PROBE_READ_KERNEL | Helper::PROBE_READ_USER => self.probe_read(machine, &args),
            Helper::PROBE_READ_KERNEL_STR | Helper::PROBE_READ_USER_STR => self.probe_read_text(machine, &args),
            Helper::RINGBUF_RESERVE => self.reserve(machine, &args),
            Helper::RINGBUF_SUBMIT => self.submit(machine, &args),
            Helper::RINGBUF_DISCARD => {
                self.close(&args)?;
                self.store.freed();
                Ok(0)
            }
            Helper::GET_CURRENT_COMM => self.comm(machine, &args),
            Helper::GET_NS_CURRENT_PID_TGID => self.namespaced_pid(machine, &args),
            Helper::GET_STACKID => self.stack_id(&args),
            Helper::GET_STACK => self.stack(machine, &args),
            Helper::LOOP => self.repeat(machine, &args),
            Helper::FOR_EACH_MAP_ELEM => self.each_entry(machine, &args),
            Helper::GET_CURRENT_TASK_BTF => {
                self.has_task = true;
                self.scene.call(helper).ok_or_else(|| format!("the fake kernel has no {helper}"))
            }
            _ => self.scene.call(helper).ok_or_else(|| format!("the fake kernel has no {helper}")),
        }
    }

    /// Casts are all that programs call here: they give the pointer back.
    fn call_kernel(&mut self, _: i32, args: Args) -> Result<u64, String> {
        self.has_task = true;
        argument(&args, 0)
    }

    fn map(&mut self, _: &mut Machine, map: MapId) -> Result<u64, String> {
        Ok(MAPS + u64::from(map.0))
    }

    fn map_value(&mut self, machine: &mut Machine, map: MapId) -> Result<u64, String> {
        match self.plan.maps[map].kind {
            MapKind::Array => self.address(machine, map, ONLY.to_vec(), 0),
            kind => Err(format!("values of maps of kind {kind:?} have no address of their own")),
        }
    }

    fn foreign(&self, address: u64, bytes: u64) -> Option<Vec<u8>> {
        self.has_task.then(|| self.scene.follow(address, bytes))
    }
}

fn argument(args: &Args, at: usize) -> Result<u64, String> {
    args[at].ok_or_else(|| format!("argument {} was not set", at + 1))
}

fn side(flags: u64) -> Side {
    if flags & USER_STACK == 0 { Side::Kernel } else { Side::User }
}

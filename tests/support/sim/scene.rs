//! The fake kernel: who is running, what its memory holds, and what its helpers say. Both runs of a program (the interpreter's and
//! the evaluator's) get the same one, so that whatever they see differently they have computed differently.

use rtrace::bpf::Helper;
use rtrace::types::Side;

use crate::machine::CONTEXT;
use crate::numbers::mix;

pub const CPUS: usize = 2;

/// Bytes of context that a program may read.
pub const CONTEXT_SIZE: usize = 256;

/// The kernel's and the process's memory: everything outside of them faults.
const KERNEL: Span = Span { start: 0xffff_8880_0000_0000, size: 1 << 20 };
const USER: Span = Span { start: 0x1000_0000, size: 1 << 16 };

struct Span {
    start: u64,
    size: u64,
}

/// One run of one program.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Number of the program.
    pub unit: usize,
    pub cpu: usize,
    /// Everything else follows from this number: the thread, the context, the clock.
    pub seed: u64,
}

/// What a program sees during one moment.
pub struct Scene {
    pub moment: Moment,
    /// Helpers that give something else each time count here.
    calls: u64,
}

/// `-EFAULT`.
pub const FAULT: i64 = -14;
/// `-EEXIST`.
pub const COLLIDES: i64 = -17;

impl Scene {
    pub fn new(moment: Moment) -> Self {
        Self { moment, calls: 0 }
    }

    /// Helpers whose result is a number of the moment.
    pub fn call(&mut self, helper: Helper) -> Option<u64> {
        Some(match helper {
            Helper::KTIME_GET_NS | Helper::KTIME_GET_BOOT_NS | Helper::KTIME_GET_TAI_NS => {
                self.calls += 1;
                self.moment.seed % 1_000_000_000 + 1_000 * self.calls
            }
            Helper::GET_PRANDOM_U32 => {
                self.calls += 1;
                mix(self.moment.seed ^ self.calls) & 0xffff_ffff
            }
            Helper::JIFFIES64 => self.moment.seed % 1_000_000,
            Helper::GET_SMP_PROCESSOR_ID => self.moment.cpu as u64,
            Helper::GET_NUMA_NODE_ID => 0,
            Helper::GET_CURRENT_PID_TGID => u64::from(self.process()) << 32 | u64::from(self.thread()),
            Helper::GET_CURRENT_UID_GID => (1000 << 32) | (1000 * self.trait_of(3)),
            Helper::GET_CURRENT_TASK | Helper::GET_CURRENT_TASK_BTF => KERNEL.start + 4096 * self.trait_of(5),
            Helper::GET_CURRENT_CGROUP_ID => 1 + self.trait_of(7),
            Helper::GET_FUNC_IP => KERNEL.start + 64,
            _ => return None,
        })
    }

    /// A number below four that belongs to the running thread.
    fn trait_of(&self, which: u64) -> u64 {
        mix(self.moment.seed ^ which) % 4
    }

    pub fn process(&self) -> u32 {
        100 + self.trait_of(1) as u32
    }

    pub fn thread(&self) -> u32 {
        self.process() + self.trait_of(2) as u32
    }

    /// The thread's name, zero-padded as the kernel keeps it.
    pub fn comm(&self) -> [u8; 16] {
        let name = NAMES[self.trait_of(4) as usize];
        let mut comm = [0; 16];
        comm[..name.len()].copy_from_slice(name);
        comm
    }

    pub fn context(&self) -> Vec<u8> {
        let words = (0..CONTEXT_SIZE as u64 / 8).map(|word| {
            let number = mix(self.moment.seed.wrapping_add(word << 32));
            // Numbers of all magnitudes, and some addresses.
            if number.is_multiple_of(5) { pointer(number) } else { number >> (number % 64) }
        });
        words.flat_map(u64::to_le_bytes).collect()
    }

    /// Reads memory as `bpf_probe_read_kernel` and `_user` do; `None` is a fault.
    pub fn read(&self, address: u64, bytes: u64) -> Option<Vec<u8>> {
        if let Some(at) = address.checked_sub(CONTEXT).filter(|at| at + bytes <= CONTEXT_SIZE as u64) {
            return Some(self.context()[at as usize..(at + bytes) as usize].to_vec());
        }
        let inside =
            |of: &Span| address >= of.start && address.checked_add(bytes).is_some_and(|end| end <= of.start + of.size);
        (inside(&KERNEL) || inside(&USER)).then(|| (address..address + bytes).map(byte).collect())
    }

    /// A load through a pointer of the kernel's that the verifier knows, which may be any number: a fault gives zeros.
    pub fn follow(&self, address: u64, bytes: u64) -> Vec<u8> {
        self.read(address, bytes).unwrap_or(vec![0; bytes as usize])
    }

    /// Text at an address in at most so many bytes, of which the NUL is one; `None` if memory faults before its end.
    pub fn read_text(&self, address: u64, max: u64) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        for at in 0..max.saturating_sub(1) {
            match self.read(address.wrapping_add(at), 1)?[..] {
                [0] => break,
                ref byte => text.extend_from_slice(byte),
            }
        }
        Some(text)
    }

    /// The frames of the current stack.
    pub fn stack(&self, side: Side) -> Vec<u64> {
        let base = if side == Side::Kernel { KERNEL.start } else { USER.start };
        (0..1 + 3 * self.trait_of(6)).map(|frame| base + 16 * frame + self.trait_of(8)).collect()
    }

    /// The number under which `bpf_get_stackid` stores it, or an error.
    pub fn stack_id(&self, side: Side) -> i64 {
        match self.trait_of(9) {
            0 => COLLIDES,
            1 => FAULT,
            _ => (mix(self.stack(side).len() as u64 ^ self.trait_of(8)) & 0x3ff) as i64,
        }
    }
}

/// The names of threads. Each page of the kernel's memory may be a task, whose name is where the fixture's tasks have theirs.
const NAMES: [&[u8]; 4] = [b"bash", b"a", b"exactly15bytes_", b"sh"];
const NAME_IN_TASK: u64 = 1752;

/// What lies at an address: the name of a task, or else pointers, small numbers and short texts, eight bytes each.
fn byte(address: u64) -> u8 {
    let page = address.wrapping_sub(KERNEL.start) / 4096;
    if address >= KERNEL.start && (NAME_IN_TASK..NAME_IN_TASK + 16).contains(&(address % 4096)) {
        let name = NAMES[(page % 4) as usize];
        return name.get((address % 4096 - NAME_IN_TASK) as usize).copied().unwrap_or(0);
    }
    let number = mix(address & !7);
    let word = match number % 4 {
        0 => pointer(number).to_le_bytes(),
        1 => (number >> (number % 60)).to_le_bytes(),
        2 => *b"text\0abc",
        _ => [b'a' + (number >> 8) as u8 % 3; 8],
    };
    word[(address & 7) as usize]
}

/// An address within the memory that there is.
fn pointer(number: u64) -> u64 {
    let of = if number & 64 == 0 { &KERNEL } else { &USER };
    of.start + (number >> 8) % of.size / 8 * 8
}

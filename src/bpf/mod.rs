//! The machine: eBPF instructions, the assembler that turns operations on virtual registers into them, and programs ready to load.

pub mod asm;
pub mod unit;

/// A kernel helper function, by its number in `enum bpf_func_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Helper(pub u32);

impl Helper {
    pub const MAP_LOOKUP_ELEM: Helper = Helper(1);
    pub const MAP_UPDATE_ELEM: Helper = Helper(2);
    pub const MAP_DELETE_ELEM: Helper = Helper(3);
    pub const KTIME_GET_NS: Helper = Helper(5);
    pub const GET_PRANDOM_U32: Helper = Helper(7);
    pub const GET_SMP_PROCESSOR_ID: Helper = Helper(8);
    pub const GET_CURRENT_PID_TGID: Helper = Helper(14);
    pub const GET_CURRENT_UID_GID: Helper = Helper(15);
    pub const GET_CURRENT_COMM: Helper = Helper(16);
    pub const GET_STACKID: Helper = Helper(27);
    pub const GET_CURRENT_TASK: Helper = Helper(35);
    pub const GET_NUMA_NODE_ID: Helper = Helper(42);
    pub const GET_STACK: Helper = Helper(67);
    pub const GET_CURRENT_CGROUP_ID: Helper = Helper(80);
    pub const SEND_SIGNAL: Helper = Helper(109);
    pub const PROBE_READ_USER: Helper = Helper(112);
    pub const PROBE_READ_KERNEL: Helper = Helper(113);
    pub const PROBE_READ_USER_STR: Helper = Helper(114);
    pub const PROBE_READ_KERNEL_STR: Helper = Helper(115);
    pub const JIFFIES64: Helper = Helper(118);
    pub const GET_NS_CURRENT_PID_TGID: Helper = Helper(120);
    pub const KTIME_GET_BOOT_NS: Helper = Helper(125);
    pub const RINGBUF_OUTPUT: Helper = Helper(130);
    pub const RINGBUF_RESERVE: Helper = Helper(131);
    pub const RINGBUF_SUBMIT: Helper = Helper(132);
    pub const RINGBUF_DISCARD: Helper = Helper(133);
    pub const GET_CURRENT_TASK_BTF: Helper = Helper(158);
    pub const KTIME_GET_COARSE_NS: Helper = Helper(160);
    pub const FOR_EACH_MAP_ELEM: Helper = Helper(164);
    pub const GET_FUNC_IP: Helper = Helper(173);
    pub const GET_ATTACH_COOKIE: Helper = Helper(174);
    pub const LOOP: Helper = Helper(181);
    pub const KTIME_GET_TAI_NS: Helper = Helper(208);

    /// Whether it gives the same value throughout one run of a program, so that one call serves all uses.
    pub fn is_constant(self) -> bool {
        matches!(
            self,
            Self::GET_SMP_PROCESSOR_ID
                | Self::GET_CURRENT_PID_TGID
                | Self::GET_CURRENT_UID_GID
                | Self::GET_CURRENT_TASK
                | Self::GET_CURRENT_TASK_BTF
                | Self::GET_NUMA_NODE_ID
                | Self::GET_CURRENT_CGROUP_ID
                | Self::GET_FUNC_IP
                | Self::GET_ATTACH_COOKIE
        )
    }
}

//! The kernel helpers that programs call: number, name, and whether one call serves a whole run.

use std::fmt;

/// A kernel helper function, by its number in `enum bpf_func_id` (`linux/bpf.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Helper(pub u32);

macro_rules! helpers {
    ($($constant:ident = $number:literal $name:literal;)*) => {
        impl Helper {
            $(pub const $constant: Helper = Helper($number);)*

            /// The kernel's name without `bpf_`, where this table has it.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

helpers! {
    MAP_LOOKUP_ELEM = 1 "map_lookup_elem";
    MAP_UPDATE_ELEM = 2 "map_update_elem";
    MAP_DELETE_ELEM = 3 "map_delete_elem";
    KTIME_GET_NS = 5 "ktime_get_ns";
    TRACE_PRINTK = 6 "trace_printk";
    GET_PRANDOM_U32 = 7 "get_prandom_u32";
    GET_SMP_PROCESSOR_ID = 8 "get_smp_processor_id";
    GET_CURRENT_PID_TGID = 14 "get_current_pid_tgid";
    GET_CURRENT_UID_GID = 15 "get_current_uid_gid";
    GET_CURRENT_COMM = 16 "get_current_comm";
    PERF_EVENT_OUTPUT = 25 "perf_event_output";
    GET_STACKID = 27 "get_stackid";
    GET_CURRENT_TASK = 35 "get_current_task";
    PROBE_WRITE_USER = 36 "probe_write_user";
    CURRENT_TASK_UNDER_CGROUP = 37 "current_task_under_cgroup";
    GET_NUMA_NODE_ID = 42 "get_numa_node_id";
    GET_SOCKET_COOKIE = 46 "get_socket_cookie";
    OVERRIDE_RETURN = 58 "override_return";
    GET_STACK = 67 "get_stack";
    GET_CURRENT_CGROUP_ID = 80 "get_current_cgroup_id";
    SEND_SIGNAL = 109 "send_signal";
    SKB_OUTPUT = 111 "skb_output";
    PROBE_READ_USER = 112 "probe_read_user";
    PROBE_READ_KERNEL = 113 "probe_read_kernel";
    PROBE_READ_USER_STR = 114 "probe_read_user_str";
    PROBE_READ_KERNEL_STR = 115 "probe_read_kernel_str";
    SEND_SIGNAL_THREAD = 117 "send_signal_thread";
    JIFFIES64 = 118 "jiffies64";
    GET_NS_CURRENT_PID_TGID = 120 "get_ns_current_pid_tgid";
    KTIME_GET_BOOT_NS = 125 "ktime_get_boot_ns";
    SEQ_PRINTF = 126 "seq_printf";
    SEQ_WRITE = 127 "seq_write";
    RINGBUF_OUTPUT = 130 "ringbuf_output";
    RINGBUF_RESERVE = 131 "ringbuf_reserve";
    RINGBUF_SUBMIT = 132 "ringbuf_submit";
    RINGBUF_DISCARD = 133 "ringbuf_discard";
    GET_TASK_STACK = 141 "get_task_stack";
    D_PATH = 147 "d_path";
    PER_CPU_PTR = 153 "per_cpu_ptr";
    THIS_CPU_PTR = 154 "this_cpu_ptr";
    GET_CURRENT_TASK_BTF = 158 "get_current_task_btf";
    KTIME_GET_COARSE_NS = 160 "ktime_get_coarse_ns";
    FOR_EACH_MAP_ELEM = 164 "for_each_map_elem";
    SNPRINTF = 165 "snprintf";
    GET_FUNC_IP = 173 "get_func_ip";
    GET_ATTACH_COOKIE = 174 "get_attach_cookie";
    TASK_PT_REGS = 175 "task_pt_regs";
    LOOP = 181 "loop";
    STRNCMP = 182 "strncmp";
    GET_FUNC_ARG = 183 "get_func_arg";
    GET_FUNC_RET = 184 "get_func_ret";
    MAP_LOOKUP_PERCPU_ELEM = 195 "map_lookup_percpu_elem";
    KTIME_GET_TAI_NS = 208 "ktime_get_tai_ns";
}

impl Helper {
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

impl fmt::Display for Helper {
    /// As bpftool writes the target of a call: `bpf_ktime_get_ns#5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "bpf_{name}#{}", self.0),
            None => write!(f, "helper#{}", self.0),
        }
    }
}

//! Signal numbers in, what they mean out, in the words of strsignal(3).

/// The last number that a signal can have.
pub const LAST: i64 = 64;

/// Signals from here on have numbers rather than names.
const REAL_TIME: i64 = 34;

/// From 1 on.
const SIGNALS: [&str; 31] = [
    "Hangup",
    "Interrupt",
    "Quit",
    "Illegal instruction",
    "Trace/breakpoint trap",
    "Aborted",
    "Bus error",
    "Floating point exception",
    "Killed",
    "User defined signal 1",
    "Segmentation fault",
    "User defined signal 2",
    "Broken pipe",
    "Alarm clock",
    "Terminated",
    "Stack fault",
    "Child exited",
    "Continued",
    "Stopped (signal)",
    "Stopped",
    "Stopped (tty input)",
    "Stopped (tty output)",
    "Urgent I/O condition",
    "CPU time limit exceeded",
    "File size limit exceeded",
    "Virtual timer expired",
    "Profiling timer expired",
    "Window changed",
    "I/O possible",
    "Power failure",
    "Bad system call",
];

/// What the signal says.
pub fn describe(number: i64) -> String {
    match number {
        1..=31 => SIGNALS[number as usize - 1].to_string(),
        REAL_TIME..=LAST => format!("Real-time signal {}", number - REAL_TIME),
        _ => format!("Unknown signal {number}"),
    }
}

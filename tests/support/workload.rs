//! Workloads that a shell has no command for, each doing a thing a known number of times: a name in, the thing done, by a process
//! of the name that the case looks for.

use std::ffi::CString;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::FromRawFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, ptr, thread};

/// A name of no workload is a fault of the case that wants it.
pub fn run(name: &str, comm: &str) {
    let own_name = CString::new(comm).expect("a name");
    // SAFETY: the name is a text that ends, and is copied.
    unsafe { libc::prctl(libc::PR_SET_NAME, own_name.as_ptr()) };
    match name {
        "tcp" => tcp(),
        "refused" => refused(),
        "full-backlog" => full_backlog(),
        "unix" => unix(),
        "threads" => threads(),
        "ids" => ids(),
        "sync" => sync(),
        "signals" => signals(),
        "files" => files(comm),
        "eat-memory" => eat_memory(),
        "bash" => bash(),
        other => panic!("there is no workload '{other}'"),
    }
}

/// Three connections, each with 5,000 bytes there and 3,000 back.
fn tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        for _ in 0..3 {
            let (mut peer, _) = listener.accept().expect("a connection");
            peer.read_exact(&mut [0; 5000]).expect("what was sent");
            peer.write_all(&[0; 3000]).expect("room to answer");
        }
    });
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).expect("a server");
        stream.write_all(&[0; 5000]).expect("room to send");
        stream.read_exact(&mut [0; 3000]).expect("an answer");
    }
    server.join().expect("a server that ends well");
}

/// Four connections to a port on which nobody listens: port 1.
fn refused() {
    for _ in 0..4 {
        assert!(TcpStream::connect("127.0.0.1:1").is_err(), "somebody listens on port 1");
    }
}

/// A server that never accepts, its queue of one full: the next client's first packet is dropped, and sent again a second later.
fn full_backlog() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    // SAFETY: the call takes numbers only.
    unsafe { libc::listen(std::os::fd::AsRawFd::as_raw_fd(&listener), 0) };
    let address = listener.local_addr().expect("an address");
    // One may come in before the kernel has counted the one before.
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(2500));
    let queued: Vec<TcpStream> = std::iter::repeat_with(connect).take(4).map_while(Result::ok).collect();
    assert!((1..4).contains(&queued.len()), "there was room for {}", queued.len());
}

/// Five texts over a UNIX socket.
fn unix() {
    let (mut one, mut other) = UnixStream::pair().expect("a pair of sockets");
    for number in 0..5 {
        one.write_all(format!("text number {number}").as_bytes()).expect("room to send");
        other.read_exact(&mut [0; 13]).expect("what was sent");
    }
}

/// Six threads.
fn threads() {
    for _ in 0..6 {
        thread::spawn(|| {}).join().expect("a thread that ends well");
    }
}

/// Each call once, none of which changes anything for root.
fn ids() {
    // SAFETY: the calls take numbers only.
    unsafe {
        libc::syscall(libc::SYS_setuid, 0);
        libc::syscall(libc::SYS_setreuid, -1, 0);
        libc::syscall(libc::SYS_setresuid, -1, 0, -1);
        libc::syscall(libc::SYS_setfsuid, 0);
    }
}

/// Two fsyncs, one fdatasync and one msync.
fn sync() {
    let path = std::env::temp_dir().join(format!("rtrace-sync-{}", std::process::id()));
    let file = fs::File::create(&path).expect("a file");
    file.sync_all().expect("a disk");
    file.sync_all().expect("a disk");
    file.sync_data().expect("a disk");
    // SAFETY: the pages were mapped by the call before, and nothing else uses them.
    unsafe {
        let pages = libc::mmap(ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_ANONYMOUS | libc::MAP_PRIVATE, -1, 0);
        libc::msync(pages, 4096, libc::MS_ASYNC);
    }
    fs::remove_file(&path).ok();
}

/// Three signals that ask whether a process exists, two of which do not.
fn signals() {
    let own = std::process::id().cast_signed();
    // SAFETY: the calls take numbers only.
    unsafe {
        libc::kill(own, 0);
        libc::kill(i32::MAX, 0);
        libc::syscall(libc::SYS_tgkill, i32::MAX, i32::MAX, 0);
    }
}

/// Seven files, each written, read and deleted.
fn files(comm: &str) {
    for number in 0..7 {
        let path = std::env::temp_dir().join(format!("{comm}-{number}"));
        fs::write(&path, [7; 1000]).expect("room for a file");
        fs::read(&path).expect("a file");
        fs::remove_file(&path).expect("a file");
    }
}

/// Three lines typed into an interactive bash, which wants a terminal for that.
fn bash() {
    let (mut master, mut terminal) = (0, 0);
    // SAFETY: the two numbers are there to be written; nothing else is asked for.
    let opened =
        unsafe { libc::openpty(&mut master, &mut terminal, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()) };
    assert_eq!(opened, 0, "a terminal");
    // SAFETY: both were just opened, and belong to nobody else.
    let (mut master, terminal) = unsafe { (fs::File::from_raw_fd(master), fs::File::from_raw_fd(terminal)) };
    let side = || Stdio::from(terminal.try_clone().expect("a descriptor"));
    let mut shell = Command::new("/bin/bash");
    let shell = shell.args(["--norc", "-i"]).env("TERM", "dumb").stdin(side()).stdout(side()).stderr(side());
    let mut shell = shell.spawn().expect("a bash");
    master.write_all(b"echo one\necho two\nexit\n").expect("a terminal that takes what is typed");
    assert!(shell.wait().expect("a bash that ends").success());
}

/// A child in a cgroup with less memory than it wants.
fn eat_memory() {
    let group = "/sys/fs/cgroup/rtrace-test";
    fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory").ok();
    fs::create_dir_all(group).expect("cgroups");
    fs::write(format!("{group}/memory.max"), "16777216").expect("a limit of memory");
    fs::write(format!("{group}/memory.swap.max"), "0").ok();
    let command = format!("echo $$ >{group}/cgroup.procs; exec dd if=/dev/zero of=/dev/null bs=256M count=1");
    let status = Command::new("sh").args(["-c", &command]).status().expect("a shell");
    assert!(!status.success(), "there was memory enough");
    thread::sleep(Duration::from_millis(200));
    fs::remove_dir(group).ok();
}

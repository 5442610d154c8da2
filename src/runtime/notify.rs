//! Tells a service manager that the probes are attached (sd_notify(3)).

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::error::{Error, Result};

/// Sends `READY=1` to the socket that `NOTIFY_SOCKET` names; a leading `@` means an abstract one.
pub fn notify_ready(socket: &OsStr) -> Result<()> {
    let send = || {
        let address = match socket.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(socket)?,
        };
        UnixDatagram::unbound()?.send_to_addr(b"READY=1\n", &address)
    };
    send().map(drop).map_err(|error| {
        Error::usage(format!("cannot notify {}: {error}", socket.to_string_lossy()))
            .hint("NOTIFY_SOCKET names the socket; unset it if nobody waits there")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches_abstract_sockets() {
        let name = format!("rtrace-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        notify_ready(OsStr::new(&format!("@{name}"))).unwrap();
        let mut text = [0; 16];
        assert_eq!(manager.recv(&mut text).map(|length| text[..length].to_vec()).unwrap(), b"READY=1\n");
        assert!(notify_ready(OsStr::new("/nonexistent/socket")).unwrap_err().message.contains("cannot notify"));
    }
}

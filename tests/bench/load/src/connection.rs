//! A client connection that does not block.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};

/// A connection to a port of this machine, and the bytes that it still has to send.
pub struct Connection {
    stream: TcpStream,
    unsent: Vec<u8>,
    sent: usize,
}

impl Connection {
    /// Begins to connect.
    pub fn open(port: u16) -> io::Result<Self> {
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: the descriptor is owned by the stream from here on, and the address is valid.
        unsafe {
            let fd = libc::socket(libc::AF_INET, kind, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            let stream = TcpStream::from_raw_fd(fd);
            let mut address: libc::sockaddr_in = std::mem::zeroed();
            address.sin_family = libc::AF_INET as u16;
            address.sin_port = port.to_be();
            address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
            let size = std::mem::size_of_val(&address) as u32;
            if libc::connect(fd, (&raw const address).cast(), size) < 0 {
                let error = io::Error::last_os_error();
                if error.raw_os_error() != Some(libc::EINPROGRESS) {
                    return Err(error);
                }
            }
            stream.set_nodelay(true)?;
            Ok(Connection::of(stream))
        }
    }

    /// Connection that a server has accepted. It must not block.
    pub fn of(stream: TcpStream) -> Self {
        Connection { stream, unsent: Vec::new(), sent: 0 }
    }

    /// File descriptor of the connection.
    pub fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Reads what has arrived. 0 bytes are the end; `None` means that nothing has arrived.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            result => result.map(Some),
        }
    }

    /// Sends bytes after those that are not sent yet.
    ///
    /// Returns whether all are sent; if not, call `flush` when the connection is writable.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if self.sent == self.unsent.len() {
            let sent = self.write(bytes)?;
            self.unsent.clear();
            self.sent = 0;
            self.unsent.extend_from_slice(&bytes[sent..]);
        } else {
            self.unsent.extend_from_slice(bytes);
        }
        Ok(self.sent == self.unsent.len())
    }

    /// Sends what is left, and returns whether all is sent.
    pub fn flush(&mut self) -> io::Result<bool> {
        let unsent = std::mem::take(&mut self.unsent);
        let sent = self.write(&unsent[self.sent..]);
        self.unsent = unsent;
        self.sent += sent?;
        Ok(self.sent == self.unsent.len())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.stream.write(&bytes[sent..]) {
                Ok(size) => sent += size,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The connection is not established yet.
                Err(error) if error.kind() == ErrorKind::NotConnected => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }
}

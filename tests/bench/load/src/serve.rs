//! Trivial server, which shows how much the load generator can take: each event is one
//! write of prepared bytes to each subscriber, without chunks, IDs or a log.
//!
//! `--fault` makes it `lose`, `double` or `swap` events for all subscribers, or lose them for
//! `one`, to show that the generator notices.

use std::net::TcpListener;
use std::os::fd::AsRawFd;

use crate::arguments::Arguments;
use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::json;
use crate::poller::{Poller, Ready};

const LISTENER: u64 = u64::MAX;
const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n:\n\n";
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

/// Number of publishes between two faults.
const FAULT_EVERY: u64 = 50;

type Outcome = Result<(), Box<dyn std::error::Error>>;

struct Client {
    connection: Connection,
    decoder: Decoder,
    body: Vec<u8>,
    is_subscriber: bool,
}

struct Server {
    listener: TcpListener,
    poller: Poller,
    clients: Vec<Option<Client>>,
    buffer: Vec<u8>,
    fault: String,
    publishes: u64,
    /// Events that this round delivers, and an event that a fault holds back.
    events: Vec<u8>,
    held: Vec<u8>,
    /// Publishers that this round answers.
    publishers: Vec<u64>,
}

/// Serves until it is killed.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    serve(arguments).map_err(|error| error.to_string())
}

fn serve(arguments: &Arguments) -> Outcome {
    let listener = TcpListener::bind(("127.0.0.1", arguments.number("port", 0)?))?;
    listener.set_nonblocking(true)?;
    json::print(&[("port", listener.local_addr()?.port() as f64)], None);
    let poller = Poller::new(256)?;
    poller.add(listener.as_raw_fd(), LISTENER, false)?;
    let mut server = Server {
        listener,
        poller,
        clients: Vec::new(),
        buffer: vec![0; 64 * 1024],
        fault: arguments.text("fault", "none").into(),
        publishes: 0,
        events: Vec::new(),
        held: Vec::new(),
        publishers: Vec::new(),
    };
    let mut ready: Vec<Ready> = Vec::new();
    loop {
        server.poller.wait(-1, &mut ready)?;
        for each in &ready {
            match each.token {
                LISTENER => server.accept()?,
                token => server.take(token, each.writable)?,
            }
        }
        server.deliver()?;
    }
}

impl Server {
    fn accept(&mut self) -> Outcome {
        while let Ok((stream, _)) = self.listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            self.poller.add(stream.as_raw_fd(), self.clients.len() as u64, false)?;
            self.clients.push(Some(Client {
                connection: Connection::of(stream),
                decoder: Decoder::of_requests(),
                body: Vec::new(),
                is_subscriber: false,
            }));
        }
        Ok(())
    }

    /// Takes what a client sent.
    fn take(&mut self, token: u64, writable: bool) -> Outcome {
        let slot = &mut self.clients[token as usize];
        let Some(client) = slot else { return Ok(()) };
        if writable && !matches!(client.connection.flush(), Ok(false)) {
            self.poller.modify(client.connection.fd(), token, false)?;
        }
        let size = match client.connection.read(&mut self.buffer) {
            Ok(None) => return Ok(()),
            Ok(Some(size)) if size > 0 => size,
            _ => {
                *slot = None;
                return Ok(());
            }
        };
        let body = &mut client.body;
        let is_done = client.decoder.feed(&self.buffer[..size], |part| {
            body.extend_from_slice(part);
            Ok(())
        })?;
        if !is_done {
            return Ok(());
        }
        if client.decoder.head().starts_with(b"GET ") {
            client.is_subscriber = true;
            client.connection.send(STREAM_HEAD)?;
        } else {
            let event = [b"data: ", body.as_slice(), b"\n\n"].concat();
            body.clear();
            self.publishers.push(token);
            self.publishes += 1;
            let is_faulty = self.publishes % FAULT_EVERY == 0;
            match self.fault.as_str() {
                "lose" if is_faulty => {}
                "double" if is_faulty => self.events.extend([event.clone(), event].concat()),
                "swap" if is_faulty => self.held = event,
                _ => {
                    self.events.extend(event);
                    self.events.append(&mut self.held);
                }
            }
        }
        client.decoder.reset();
        Ok(())
    }

    /// Writes the events of this round to all subscribers, and answers their publishers.
    fn deliver(&mut self) -> Outcome {
        let is_faulty = self.publishes % FAULT_EVERY == 0;
        let mut left_out = self.fault == "one" && is_faulty;
        for (token, slot) in self.clients.iter_mut().enumerate() {
            let Some(client) = slot else { continue };
            if !client.is_subscriber || self.events.is_empty() || std::mem::take(&mut left_out) {
                continue;
            }
            match client.connection.send(&self.events) {
                Ok(true) => {}
                Ok(false) => self.poller.modify(client.connection.fd(), token as u64, true)?,
                Err(_) => *slot = None,
            }
        }
        self.events.clear();
        for token in self.publishers.drain(..) {
            if let Some(client) = &mut self.clients[token as usize] {
                client.connection.send(ACCEPTED)?;
            }
        }
        Ok(())
    }
}

//! Subscribers, each on its own connection.

use std::io;

use crate::check::Check;
use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::histogram::Histogram;
use crate::marks::{Mark, Scanner};
use crate::poller::Poller;
use crate::template::Template;

/// Bytes of a stream that are kept, to find its last ID.
const TAIL_LENGTH: usize = 512;

/// One subscriber.
pub struct Subscriber {
    connection: Connection,
    decoder: Decoder,
    scanner: Scanner,
    pipeline: u32,
    /// Position of its next event.
    pub position: usize,
    /// Whether it has received the head of its stream.
    pub ready: bool,
    /// Time when it had all events up to the target, in nanoseconds.
    pub complete_at: Option<u64>,
    /// Bytes of its stream so far.
    pub bytes: u64,
    tail: Vec<u8>,
}

impl Subscriber {
    /// Number of its pipeline.
    pub fn pipeline(&self) -> u32 {
        self.pipeline
    }

    /// ID of its newest event, once the event is complete.
    pub fn last_id(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.tail).replace("\r\n", "\n");
        // A keep-alive may come with the last event, and no blank line follows it.
        let text: String =
            text.split_inclusive('\n').filter(|line| !line.starts_with(':')).collect();
        if !text.ends_with("\n\n") {
            return None;
        }
        let line = text.lines().rev().find_map(|line| line.strip_prefix("id:"))?;
        Some(line.trim().to_string())
    }
}

/// Deliveries inside the measured time.
pub struct Deliveries {
    pub recording: bool,
    pub count: u64,
    /// Reads from connections, each of which may bring several events.
    pub reads: u64,
    pub latency: Histogram,
}

/// All subscribers.
pub struct Subscribers {
    pub list: Vec<Subscriber>,
    pub check: Check,
    pub deliveries: Deliveries,
    /// Text that a stream must contain before its subscriber counts as ready.
    pub ready_text: String,
    pub ready: usize,
    /// Deliveries since the beginning.
    pub total: u64,
    /// Position that completes a subscriber, and number of those that have reached it.
    pub target: usize,
    pub completed: usize,
    keep_tails: bool,
    buffer: Vec<u8>,
}

impl Subscribers {
    /// No subscribers of so many pipelines yet.
    pub fn new(pipelines: u32, ready_text: &str, keep_tails: bool) -> Self {
        Subscribers {
            list: Vec::new(),
            check: Check::new(pipelines),
            deliveries: Deliveries {
                recording: false,
                count: 0,
                reads: 0,
                latency: Histogram::new(),
            },
            ready_text: ready_text.into(),
            ready: 0,
            total: 0,
            target: usize::MAX,
            completed: 0,
            keep_tails,
            buffer: vec![0; 256 * 1024],
        }
    }

    /// Connects one more subscriber, whose first event is that at `position`.
    pub fn open(
        &mut self,
        poller: &Poller,
        port: u16,
        request: &mut Template,
        pipeline: u32,
        position: usize,
    ) -> io::Result<()> {
        let mut connection = Connection::open(port)?;
        let none = |_| Mark { pipeline, publisher: 0, number: 0, time: 0 };
        let sent = connection.send(request.fill(pipeline, none))?;
        poller.add(connection.fd(), self.list.len() as u64, !sent)?;
        self.list.push(Subscriber {
            connection,
            decoder: Decoder::of_responses(),
            scanner: Scanner::default(),
            pipeline,
            position,
            ready: false,
            complete_at: None,
            bytes: 0,
            tail: Vec::new(),
        });
        Ok(())
    }

    /// Closes all connections.
    pub fn disconnect(&mut self) {
        self.list.clear();
        (self.ready, self.completed) = (0, 0);
    }

    /// Continues a subscriber whose connection is ready.
    pub fn proceed(
        &mut self,
        poller: &Poller,
        index: usize,
        writable: bool,
        now: impl Fn() -> u64,
    ) -> Result<(), String> {
        let it = &mut self.list[index];
        let fail = |error: io::Error| format!("Subscriber {index}: {error}");
        if writable && it.connection.flush().map_err(fail)? {
            poller.modify(it.connection.fd(), index as u64, false).map_err(fail)?;
        }
        let Some(size) = it.connection.read(&mut self.buffer).map_err(fail)? else {
            return Ok(());
        };
        let (deliveries, check) = (&mut self.deliveries, &mut self.check);
        let time = now();
        let (scanner, position, pipeline) = (&mut it.scanner, &mut it.position, it.pipeline);
        let (tail, bytes, total) = (&mut it.tail, &mut it.bytes, &mut self.total);
        let keeps = self.keep_tails || !it.ready && !self.ready_text.is_empty();
        if deliveries.recording {
            deliveries.reads += 1;
        }
        let is_done = it.decoder.feed(&self.buffer[..size], |body| {
            *bytes += body.len() as u64;
            if keeps {
                tail.extend_from_slice(body);
            }
            let mut failure = None;
            scanner.scan(body, |mark| {
                *total += 1;
                if deliveries.recording {
                    deliveries.count += 1;
                    deliveries.latency.add(time.saturating_sub(mark.time));
                }
                if let Err(error) = check.take(pipeline, *position, &mark) {
                    failure = Some(error);
                }
                *position += 1;
            })?;
            failure.map_or(Ok(()), Err)
        })?;
        if it.decoder.status != 0 && it.decoder.status != 200 {
            let text = String::from_utf8_lossy(&self.buffer[..size]);
            return Err(format!("A subscriber was answered: {text}"));
        }
        if size == 0 || is_done {
            return Err(format!("The stream of subscriber {index} ended"));
        }
        if !it.ready && it.decoder.status == 200 && contains(&it.tail, &self.ready_text) {
            it.ready = true;
            self.ready += 1;
        }
        if self.keep_tails {
            let extra = it.tail.len().saturating_sub(TAIL_LENGTH);
            it.tail.drain(..extra);
            let is_complete = it.complete_at.is_none() && it.position >= self.target;
            if is_complete && it.last_id().is_some() {
                it.complete_at = Some(time);
                self.completed += 1;
            }
        } else if it.ready && it.tail.capacity() > 0 {
            it.tail = Vec::new();
        }
        Ok(())
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

//! Publishers, each with one request in flight at most, or one that stays open.

mod append;

use std::collections::VecDeque;

use append::Appends;

use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::histogram::Histogram;
use crate::marks::Mark;
use crate::poller::{Poller, Ready, Timer};
use crate::template::Template;

/// Token of the timer; those of publishers are their numbers.
const TIMER: u64 = u64::MAX;

struct Publisher {
    connection: Connection,
    decoder: Decoder,
    /// Time and pipeline of the request in flight.
    in_flight: Option<(u64, u32)>,
    /// Number of its next event.
    next: u32,
}

/// Answers inside the measured time.
pub struct Answers {
    pub recording: bool,
    pub count: u64,
    pub latency: Histogram,
}

/// All publishers.
pub struct Publishers {
    list: Vec<Publisher>,
    poller: Poller,
    ready: Vec<Ready>,
    timer: Timer,
    template: Template,
    /// Requests that stay open; `None` for one request each time.
    appends: Option<Appends>,
    /// Time between two requests, in nanoseconds; `None` for a closed loop.
    interval: Option<f64>,
    /// Beginning of the schedule, and number of its next request.
    began: u64,
    scheduled: u64,
    due: VecDeque<u64>,
    idle: Vec<usize>,
    next_pipeline: u32,
    /// Number of requests that are still to be sent.
    pub left: u64,
    pub in_flight: usize,
    /// Number of accepted events of each pipeline.
    pub accepted: Vec<u32>,
    pub answers: Answers,
    buffer: Vec<u8>,
}

impl Publishers {
    /// Connects so many publishers, to one port after the other.
    pub fn connect(
        ports: &[u16],
        count: usize,
        pipelines: u32,
        (template, append): (Template, Option<Template>),
        rate: f64,
    ) -> Result<Self, String> {
        if append.is_some() && (count != pipelines as usize || rate == 0.0) {
            return Err("--append takes a --rate, and as many publishers as pipelines".into());
        }
        let text = |error: std::io::Error| error.to_string();
        let poller = Poller::new(64).map_err(text)?;
        let timer = Timer::new().map_err(text)?;
        poller.add(timer.fd(), TIMER, false).map_err(text)?;
        let mut list = Vec::new();
        for index in 0..count {
            let connection = Connection::open(ports[index % ports.len()]).map_err(text)?;
            poller.add(connection.fd(), index as u64, false).map_err(text)?;
            let decoder = Decoder::of_responses();
            list.push(Publisher { connection, decoder, in_flight: None, next: 0 });
        }
        Ok(Publishers {
            idle: (0..count).rev().collect(),
            list,
            poller,
            ready: Vec::new(),
            timer,
            template,
            appends: append.map(|head| Appends { head, are_open: false }),
            interval: (rate > 0.0).then(|| 1e9 / rate),
            began: 0,
            scheduled: 0,
            due: VecDeque::new(),
            next_pipeline: 0,
            left: 0,
            in_flight: 0,
            accepted: vec![0; pipelines as usize],
            answers: Answers { recording: false, count: 0, latency: Histogram::new() },
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Descriptor that is readable when a publisher can go on.
    pub fn fd(&self) -> i32 {
        self.poller.fd()
    }

    /// Events of a request.
    pub fn batch(&self) -> usize {
        self.template.events()
    }

    /// Begins to send so many requests.
    pub fn start(&mut self, requests: u64, now: u64) -> Result<(), String> {
        self.left = requests;
        self.began = now;
        self.scheduled = 0;
        self.open_appends()?;
        self.go_on(now)
    }

    /// Stops sending. Requests in flight are still answered.
    pub fn stop(&mut self) -> Result<(), String> {
        self.left = 0;
        self.due.clear();
        self.end_appends()
    }

    /// Takes answers, and sends what is due.
    pub fn proceed(&mut self, now: impl Fn() -> u64) -> Result<(), String> {
        let mut ready = std::mem::take(&mut self.ready);
        self.poller.wait(0, &mut ready).map_err(|error| error.to_string())?;
        for each in &ready {
            if each.token != TIMER {
                self.take(each.token as usize, each.writable, now())?;
            }
        }
        let is_any = !ready.is_empty();
        self.ready = ready;
        if is_any {
            self.go_on(now())
        } else {
            Ok(())
        }
    }

    fn go_on(&mut self, now: u64) -> Result<(), String> {
        let Some(interval) = self.interval else {
            while self.left > 0 {
                let Some(index) = self.idle.pop() else { break };
                self.left -= 1;
                self.send(index, now)?;
            }
            return Ok(());
        };
        let time_of = |request: u64| self.began + (request as f64 * interval) as u64;
        while self.left > 0 && time_of(self.scheduled) <= now {
            self.due.push_back(time_of(self.scheduled));
            self.scheduled += 1;
            self.left -= 1;
        }
        if self.left > 0 {
            let wait = time_of(self.scheduled).saturating_sub(now);
            self.timer.set(wait).map_err(|error| error.to_string())?;
        }
        if self.appends.is_some() {
            while let Some(time) = self.due.pop_front() {
                self.append(time)?;
            }
            return Ok(());
        }
        while !self.due.is_empty() && !self.idle.is_empty() {
            let (time, index) = (self.due.pop_front().unwrap(), self.idle.pop().unwrap());
            self.send(index, time)?;
        }
        Ok(())
    }

    fn send(&mut self, index: usize, time: u64) -> Result<(), String> {
        let pipeline = self.next_pipeline;
        self.next_pipeline = (pipeline + 1) % self.accepted.len() as u32;
        self.list[index].in_flight = Some((time, pipeline));
        self.in_flight += 1;
        let request = self.fill(index, pipeline, time).to_vec();
        self.write(index, &request)
    }

    /// Fills in the next events of a publisher.
    fn fill(&mut self, index: usize, pipeline: u32, time: u64) -> &[u8] {
        let it = &mut self.list[index];
        let first = it.next;
        it.next += self.template.events() as u32;
        self.template.fill(pipeline, |event| Mark {
            pipeline,
            publisher: index as u16,
            number: first + event as u32,
            time,
        })
    }

    fn write(&mut self, index: usize, bytes: &[u8]) -> Result<(), String> {
        let fail = |error: std::io::Error| format!("Publisher {index}: {error}");
        let connection = &mut self.list[index].connection;
        if !connection.send(bytes).map_err(fail)? {
            let fd = connection.fd();
            self.poller.modify(fd, index as u64, true).map_err(fail)?;
        }
        Ok(())
    }

    fn take(&mut self, index: usize, writable: bool, now: u64) -> Result<(), String> {
        let it = &mut self.list[index];
        let fail = |error: std::io::Error| format!("Publisher {index}: {error}");
        if writable && it.connection.flush().map_err(fail)? {
            self.poller.modify(it.connection.fd(), index as u64, false).map_err(fail)?;
        }
        let Some(size) = it.connection.read(&mut self.buffer).map_err(fail)? else {
            return Ok(());
        };
        let data = &self.buffer[..size];
        let is_done = it.decoder.feed(data, |_| Ok(()))?;
        let status = it.decoder.status;
        if size == 0 || status != 0 && !(200..300).contains(&status) {
            let text = String::from_utf8_lossy(data);
            return Err(format!("A publish was answered: {text}"));
        }
        if !is_done {
            return Ok(());
        }
        it.decoder.reset();
        let (time, pipeline) = it.in_flight.take().ok_or("An answer without a request")?;
        self.in_flight -= 1;
        if self.appends.is_some() {
            return self.check_append(index, &String::from_utf8_lossy(data));
        }
        self.idle.push(index);
        self.accepted[pipeline as usize] += self.template.events() as u32;
        if self.answers.recording {
            self.answers.count += 1;
            self.answers.latency.add(now.saturating_sub(time));
        }
        Ok(())
    }
}
